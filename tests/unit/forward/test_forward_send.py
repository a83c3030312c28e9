"""Pieces on their way to real backends over gRPC and HTTP: what is repeated, what is given up, what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
import trustme
from support.backend import BUSY, WRONG, Backend, Reply, Tls, backend, tls_of
from support.lifecycle import TRACE, payload, task

from collector_processor.errors import ForwardError
from collector_processor.forward import otlp, send
from collector_processor.forward.otlp import connect
from collector_processor.forward.prepare import Piece
from collector_processor.forward.send import Sender, Shown
from collector_processor.forward.tally import Drop, Room, Tally

SECRET = "Bearer PLANTED"
PATIENCE = 30.0
PIECE = Piece(payload((task(),)), 1, TRACE, frozenset())


@pytest.fixture(params=["grpc", "http/protobuf"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def started(protocol: str) -> Iterator[Backend]:
    with backend(protocol) as running:
        yield running


class Sending:
    """A sender at work, and what it counts."""

    def __init__(self, sender: Sender, room: Room, tally: Tally) -> None:
        self.sender, self.room, self.tally = sender, room, tally

    async def all_of_it(self) -> Tally:
        """Come back when nothing waits any more."""
        await asyncio.wait_for(self.sender._idle.wait(), PATIENCE)
        assert self.room.used == 0
        return self.tally

    async def in_trouble(self) -> None:
        """Come back when a request was not taken."""
        while self.sender.problem is None:  # noqa: ASYNC110  # it tells nobody when it has one
            await asyncio.sleep(0.01)


async def all_of(pieces: Sequence[Piece]) -> list[Piece]:
    """Nothing was erased."""
    return list(pieces)


@asynccontextmanager
async def sending(backend: Backend, room: int = 1 << 20, shown: Shown = all_of, **more) -> AsyncIterator[Sending]:
    exporter = connect(otlp.Backend(backend.endpoint, backend.protocol, {"authorization": SECRET}, **more))
    tally = Tally()
    held = Room(room)
    sender = Sender(exporter, held, tally, shown, first_pause=0.01)
    running = asyncio.create_task(sender.run())
    try:
        yield Sending(sender, held, tally)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await exporter.close()


def run(backend: Backend, pieces: int = 1, **more) -> tuple[Tally, str | None]:
    async def go() -> tuple[Tally, str | None]:
        async with sending(backend, **more) as at_work:
            for _ in range(pieces):
                at_work.sender.add(PIECE)
            return await at_work.all_of_it(), at_work.sender.problem

    return asyncio.run(go())


def test_pieces_are_joined_and_headers_sent(started):
    tally, problem = run(started, 5)
    assert (tally.sent, tally.total, problem) == (5, 5, None)
    assert len(started.spans) == 5
    assert len(started.seen) == 1
    assert started.seen[0][1]["authorization"] == SECRET


def test_a_request_is_bounded(started, monkeypatch):
    monkeypatch.setattr(send, "REQUEST_BYTES", 2 * len(PIECE.body))
    assert run(started, 5)[0].sent == 5
    assert [len(request.resource_spans) for request, _ in started.seen] == [2, 2, 1]


@pytest.mark.parametrize(
    "reply",
    [
        BUSY._replace(retry_after=0.0),
        BUSY._replace(bare=True),
        Reply(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, retry_after=0.0),
        Reply(grpc.StatusCode.ABORTED, 502),
        Reply(grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    ],
)
def test_what_may_be_repeated_is(started, reply):
    started.replies.extend([reply] * 3)
    tally, problem = run(started)
    assert (tally.sent, tally.total, problem) == (1, 1, None)
    assert len(started.seen) == 4
    assert started.seen[0][0] == started.seen[3][0]


@pytest.mark.parametrize(
    "reply",
    [
        WRONG,
        Reply(grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
        Reply(grpc.StatusCode.UNIMPLEMENTED, 404),
        Reply(grpc.StatusCode.UNAUTHENTICATED, 401),
        Reply(grpc.StatusCode.INTERNAL, 307),
    ],
)
def test_what_is_refused_for_good_is_dropped_and_the_next_is_sent(started, monkeypatch, reply):
    monkeypatch.setattr(send, "REQUEST_BYTES", 1)
    started.replies.append(reply)
    tally, problem = run(started, 2)
    assert (tally.sent, dict(tally.dropped), problem) == (1, {Drop.REFUSED: 1}, None)
    assert len(started.seen) == 2


def test_the_problem_is_told_without_secrets(started):
    started.otherwise = WRONG
    _, problem = run(started)
    assert problem is not None
    assert ("INVALID_ARGUMENT" in problem) or ("400" in problem)
    assert "PLANTED" not in problem


def test_the_backends_own_time_is_waited_for(started, monkeypatch):
    """Its delay takes the place of ours, which would be over at once."""
    waits: list[float] = []
    real = asyncio.wait_for

    def noted(awaitable, seconds):
        if seconds == PATIENCE:
            return real(awaitable, seconds)
        waits.append(seconds)
        return real(awaitable, 0.01)

    monkeypatch.setattr(asyncio, "wait_for", noted)
    started.replies.append(BUSY._replace(retry_after=7.0))
    started.replies.append(BUSY._replace(bare=True))
    assert run(started)[0].sent == 1
    asked, own = waits
    assert 7.0 <= asked <= 7.0 * 1.3 + 0.01
    assert own < 0.1


def test_a_date_says_when_to_come_back():
    assert otlp._retry_after({"retry-after": "12"}) == 12
    assert otlp._retry_after({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0
    assert (otlp._retry_after({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}) or 0) > 1e8
    assert otlp._retry_after({"retry-after": "soon"}) is None
    assert otlp._retry_after({}) is None


def test_partial_success_is_counted(started):
    started.replies.append(Reply(rejected=2))
    tally, problem = run(started, 3)
    assert (tally.sent, dict(tally.dropped)) == (1, {Drop.REJECTED: 2})
    assert problem == "spans were rejected: as told"


def test_a_backend_that_rejects_more_than_it_got(started):
    started.replies.append(Reply(rejected=9))
    assert dict(run(started, 3)[0].dropped) == {Drop.REJECTED: 3}


def test_memory_is_bounded_while_the_backend_is_away(started):
    started.otherwise = BUSY

    async def go() -> None:
        async with sending(started, room=10 * len(PIECE.body)) as at_work:
            for _ in range(15):
                at_work.sender.add(PIECE)
            assert at_work.room.used <= at_work.room.limit
            assert dict(at_work.tally.dropped) == {Drop.NO_ROOM: 5}
            started.otherwise = Reply()
            assert (await at_work.all_of_it()).sent == 10

    asyncio.run(go())


def test_a_request_that_is_never_taken_is_given_up(started, monkeypatch):
    monkeypatch.setattr(send, "GIVE_UP_SECONDS", 0.0)
    started.otherwise = BUSY
    assert dict(run(started)[0].dropped) == {Drop.UNREACHABLE: 1}
    assert len(started.seen) == 1


def test_who_asks_for_more_time_than_there_is_gets_what_there_is(started, monkeypatch):
    """Else each request would be dropped at once and the next one sent, to somebody who wants to be left alone."""
    monkeypatch.setattr(send, "GIVE_UP_SECONDS", 0.2)
    started.otherwise = BUSY._replace(retry_after=3600.0)
    assert dict(run(started)[0].dropped) == {Drop.UNREACHABLE: 1}
    assert len(started.seen) >= 2, "it was tried again at the end"


def test_nobody_listens(protocol):
    with backend(protocol) as gone:
        pass

    async def go() -> None:
        async with sending(gone) as at_work:
            at_work.sender.add(PIECE)
            await at_work.in_trouble()
            with backend(protocol, port=int(gone.endpoint.rpartition(":")[2])) as back:
                assert (await at_work.all_of_it()).sent == 1
                assert len(back.spans) == 1

    asyncio.run(go())


def test_what_was_erased_while_it_waited_is_not_sent(started, monkeypatch):
    monkeypatch.setattr(send, "FRESH_SECONDS", 0.0)
    started.replies.append(BUSY._replace(retry_after=0.0))
    gone, stays = Piece(PIECE.body, 1, b"g" * 16, frozenset()), Piece(PIECE.body, 1, b"s" * 16, frozenset())

    async def shown(pieces: Sequence[Piece]) -> list[Piece]:
        return [piece for piece in pieces if not started.seen or piece.trace_id != gone.trace_id]

    async def go() -> None:
        async with sending(started, shown=shown) as at_work:
            for piece in (gone, stays, gone):
                at_work.sender.add(piece)
            tally = await at_work.all_of_it()
            assert (tally.sent, dict(tally.dropped)) == (1, {Drop.NOT_SHOWN: 2})
            assert [len(request.resource_spans) for request, _ in started.seen] == [3, 1]

    asyncio.run(go())


def test_what_has_waited_stays_until_it_is_known_whether_it_may_go(started, monkeypatch):
    monkeypatch.setattr(send, "FRESH_SECONDS", 0.0)
    asked = 0

    async def shown(pieces: Sequence[Piece]) -> list[Piece]:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise ForwardError("the database is away", transient=True)
        assert not started.seen
        return list(pieces)

    async def go() -> None:
        async with sending(started, shown=shown) as at_work:
            at_work.sender.add(PIECE)
            assert (await at_work.all_of_it()).sent == 1

    asyncio.run(go())


def test_at_the_end_each_request_is_tried_once(started, monkeypatch):
    monkeypatch.setattr(send, "REQUEST_BYTES", 1)
    started.otherwise = BUSY._replace(retry_after=60.0)

    async def go() -> None:
        async with sending(started) as at_work:
            for _ in range(3):
                at_work.sender.add(PIECE)
            await at_work.in_trouble()
            await at_work.sender.finish(PATIENCE)
            assert dict(at_work.tally.dropped) == {Drop.UNREACHABLE: 3}

    asyncio.run(go())
    assert len(started.seen) == 4, "the first one was tried before too"


def test_the_end_waits_no_longer_than_told(started):
    started.otherwise = Reply(after=0.5)

    async def go() -> None:
        async with sending(started) as at_work:
            at_work.sender.add(PIECE)
            await at_work.sender.finish(0.01)
            assert dict(at_work.tally.dropped) == {Drop.UNREACHABLE: 1}

    asyncio.run(go())


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls(authority: trustme.CA, clients: trustme.CA | None = None) -> Tls:
    return tls_of(authority.issue_cert("localhost"), clients)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, trustme.Blob], str]:
    def write(name: str, blob: trustme.Blob) -> str:
        blob.write_to_path(tmp_path / name)
        return str(tmp_path / name)

    return write


def test_a_trusted_server(protocol, authority, file):
    with backend(protocol, tls(authority)) as secure:
        assert run(secure, ca_file=file("ca.pem", authority.cert_pem))[0].sent == 1


def test_a_server_that_wants_our_certificate(protocol, authority, file):
    clients = trustme.CA()
    ours = clients.issue_cert("forwarder@example.org")
    with backend(protocol, tls(authority, clients)) as secure:
        tally, problem = run(
            secure,
            ca_file=file("ca.pem", authority.cert_pem),
            cert_file=file("cert.pem", ours.cert_chain_pems[0]),
            key_file=file("key.pem", ours.private_key_pem),
        )
        assert (tally.sent, problem) == (1, None)


@pytest.mark.parametrize("trusting", [True, False])
def test_strangers_are_not_talked_to(protocol, authority, file, monkeypatch, trusting):
    """Neither a server whose certificate we don't trust, nor by one that wants a certificate from us."""
    monkeypatch.setattr(send, "GIVE_UP_SECONDS", 0.0)
    stranger = trustme.CA()
    with ExitStack() as stack:
        wanted = stranger if trusting else None
        secure = stack.enter_context(backend(protocol, tls(authority, wanted)))
        trusted = authority if trusting else stranger
        tally, problem = run(secure, ca_file=file("ca.pem", trusted.cert_pem))
        assert dict(tally.dropped) == {Drop.UNREACHABLE: 1}
        assert problem
        assert secure.seen == []


def test_a_file_that_is_gone_is_named(protocol, tmp_path):
    missing = str(tmp_path / "gone.pem")
    with pytest.raises(ForwardError, match=r"gone\.pem can't be read: No such file"):
        connect(otlp.Backend("https://localhost:1", protocol, {}, ca_file=missing))
