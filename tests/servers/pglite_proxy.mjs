// TimescaleDB Community for tests: PGlite, which is PostgreSQL as WebAssembly, behind PostgreSQL's wire protocol.
//
// Usage: node pglite_proxy.mjs FOLDER    (of the npm package, unpacked)
//
// Says `listening on PORT` when it is ready, on the loopback address, to whoever comes, without a password. Ends at
// SIGTERM and when its standard input ends.
//
// PGlite has one session. A connection owns it from the first statement of a transaction to the last; the others wait
// meanwhile, and are told so with an error when it takes too long. What belongs to a session (SET, prepared
// statements, temporary tables, advisory locks of the session) is shared by the connections that are open together,
// and cleared when the last of them has left. Nobody can be cancelled.

import net from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";

const WAIT_MS = 20_000;
const CANCEL_REQUEST = 80877102, SSL_REQUEST = 80877103, GSSENC_REQUEST = 80877104;
const IDLE = "I";

// What PGlite starts with is for debugging it: every client would get the server's debug messages, and plans would
// avoid to read a table from end to end.
const SETTINGS = "SET client_min_messages = notice; SET enable_seqscan = on; SET search_path = \"$user\", public";
const CLEARED = `UNLISTEN *; CLOSE ALL; DEALLOCATE ALL; SELECT pg_advisory_unlock_all(); DISCARD TEMP;
  RESET SESSION AUTHORIZATION; RESET ALL; ${SETTINGS}`;

// -- Messages ------------------------------------------------------------------------------------------------------

const text = (value) => Buffer.from(`${value}\0`);

function message(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

const query = (sql) => message("Q", text(sql));
const readyForQuery = (status) => message("Z", Buffer.from(status));

function failure(severity, code, words) {
  const fields = Object.entries({ S: severity, V: severity, C: code, M: words });
  return message("E", ...fields.flatMap(([name, value]) => [Buffer.from(name), text(value)]), Buffer.from([0]));
}

/** Splits what a server says into [type, message] pairs. */
function* messages(bytes) {
  for (let begin = 0; begin < bytes.length; ) {
    const end = begin + 1 + bytes.readInt32BE(begin + 1);
    yield [String.fromCharCode(bytes[begin]), bytes.subarray(begin, end)];
    begin = end;
  }
}

// -- The one session -----------------------------------------------------------------------------------------------

class Session {
  #database;
  #owner = null;
  #waiting = [];
  #connections = new Set();

  /** Starts PGlite with an empty database that has the extension. */
  static async start(folder) {
    const load = (module) => import(pathToFileURL(path.join(folder, "dist", module)));
    const { PGlite } = await load("index.js");
    const { timescaledb } = await load("timescaledb/index.js");
    const session = new Session();
    session.#database = await PGlite.create({ extensions: { timescaledb } });
    await session.#database.exec(`CREATE EXTENSION IF NOT EXISTS timescaledb; ${SETTINGS}`);
    const { rows } = await session.#database.query("SHOW server_version");
    session.version = rows[0].server_version;
    return session;
  }

  enter(connection) {
    this.#connections.add(connection);
  }

  /** Says what a connection says, when the session is its own; null when others keep it too long. */
  async exchange(connection, bytes) {
    if (!(await this.#acquire(connection))) return null;
    const answer = Buffer.from(await this.#database.execProtocolRaw(bytes, { syncToFs: false }));
    for (const [type, part] of messages(answer)) if (type === "Z") connection.status = String.fromCharCode(part[5]);
    if (connection.status === IDLE) this.#release();
    return answer;
  }

  /** Takes a connection that is gone out of the queue. */
  forget(connection) {
    this.#waiting.filter((one) => one.connection === connection).forEach((one) => this.#giveUp(one));
  }

  async leave(connection) {
    if (connection.status !== IDLE) await this.exchange(connection, query("ROLLBACK"));
    this.#connections.delete(connection);
    if (this.#connections.size === 0) await this.exchange(connection, query(CLEARED));
  }

  async close() {
    await this.#database.close();
  }

  async #acquire(connection) {
    if (this.#owner === null) this.#owner = connection;
    if (this.#owner === connection) return true;
    return new Promise((resolve) => {
      const one = { connection, resolve };
      this.#waiting.push(one);
      one.timer = setTimeout(() => this.#giveUp(one), WAIT_MS);
    });
  }

  #giveUp(one) {
    this.#waiting = this.#waiting.filter((other) => other !== one);
    clearTimeout(one.timer);
    one.resolve(false);
  }

  #release() {
    const next = this.#waiting.shift();
    this.#owner = next?.connection ?? null;
    clearTimeout(next?.timer);
    next?.resolve(true);
  }
}

// -- A client ------------------------------------------------------------------------------------------------------

class Connection {
  /** The state of its transaction, as PostgreSQL's ReadyForQuery tells it: idle, in one, or in a failed one. */
  status = IDLE;
  #session;
  #socket;
  #received = Buffer.alloc(0);
  #started = false;
  /** Messages of the extended protocol that wait for their Sync. */
  #unit = [];
  /** Of a COPY that the client is sending: its statement, then its data. PGlite takes both at once only. */
  #copy = null;
  #work = Promise.resolve();

  constructor(session, socket) {
    this.#session = session;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#then(() => this.#take(bytes)));
    socket.on("close", () => {
      session.forget(this);
      this.#then(() => this.#started && session.leave(this));
    });
    socket.on("error", () => {}); // `close` follows
  }

  /** Does one thing after the other. PGlite that has failed by itself can't go on. */
  #then(step) {
    this.#work = this.#work.then(step).catch((error) => {
      console.error(error);
      process.exit(1);
    });
  }

  async #take(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      // Only the first message of a connection has no type.
      const typed = this.#started ? 1 : 0;
      if (this.#received.length < typed + 4) return;
      const length = typed + this.#received.readInt32BE(typed);
      if (this.#received.length < length) return;
      const received = this.#received.subarray(0, length);
      this.#received = this.#received.subarray(length);
      if (this.#started) await this.#handle(String.fromCharCode(received[0]), received);
      else this.#start(received.readInt32BE(4));
    }
  }

  #start(code) {
    if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
      this.#socket.write("N");
    } else if (code === CANCEL_REQUEST) {
      this.#socket.end();
    } else {
      this.#started = true;
      this.#session.enter(this);
      const settings = {
        server_version: this.#session.version,
        server_encoding: "UTF8",
        client_encoding: "UTF8",
        DateStyle: "ISO, MDY",
        IntervalStyle: "postgres",
        TimeZone: "UTC",
        integer_datetimes: "on",
        standard_conforming_strings: "on",
      };
      const told = Object.entries(settings).map(([name, value]) => message("S", text(name), text(value)));
      const welcome = [message("R", Buffer.alloc(4)), ...told, message("K", Buffer.alloc(8)), readyForQuery(IDLE)];
      this.#socket.write(Buffer.concat(welcome));
    }
  }

  async #handle(type, received) {
    if (type === "X") {
      this.#socket.end();
    } else if (this.#copy) {
      this.#copy.push(received);
      if (type === "c" || type === "f") {
        const sent = Buffer.concat(this.#copy);
        this.#copy = null;
        await this.#answer(sent, (kind) => kind !== "G"); // the client has had it
      }
    } else if (type === "Q") {
      const sql = received.toString("utf8", 5, received.length - 1);
      if (/^(?:\s|--[^\n]*\n|\/\*[^]*?\*\/)*COPY\s[^;]*\sFROM\s+STDIN\b/i.test(sql)) {
        this.#copy = [received];
        const binary = /\bBINARY\b/i.test(sql) ? 1 : 0;
        this.#socket.write(message("G", Buffer.from([binary, 0, 0])));
      } else {
        await this.#answer(received);
      }
    } else {
      this.#unit.push(received);
      if (type === "S" || type === "H") {
        const sent = Buffer.concat(this.#unit);
        this.#unit = [];
        await this.#answer(sent);
      }
    }
  }

  async #answer(sent, wanted = () => true) {
    const answer = await this.#session.exchange(this, sent);
    if (answer === null) {
      const words = "PGlite has one session, and a transaction of another connection has kept it for 20 s";
      this.#socket.write(Buffer.concat([failure("ERROR", "55P03", words), readyForQuery(this.status)]));
    } else {
      const parts = [...messages(answer)].filter(([kind]) => wanted(kind)).map(([, part]) => part);
      this.#socket.write(Buffer.concat(parts));
    }
  }
}

// -- The server ----------------------------------------------------------------------------------------------------

const session = await Session.start(process.argv[2]);
const server = net.createServer((socket) => new Connection(session, socket));

async function end() {
  server.close();
  await session.close();
  process.exit(0);
}

process.on("SIGTERM", end);
process.stdin.on("end", end).resume();
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
