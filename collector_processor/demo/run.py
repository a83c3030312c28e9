"""The demonstration from start to end: measure, record, store, show."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from collector_processor.demo.environment import instrumented_environment
from collector_processor.demo.processes import Event, Processor, arbiter
from collector_processor.demo.report import find, render, stored_since
from collector_processor.errors import DemoError

SEED = 7
STORE_TIMEOUT_S = 30.0
FORWARD_TIMEOUT_S = 15.0
POLL_S = 0.2
BAR_WIDTH = 32
QUERIES = (
    "SELECT agent_id, task_type, avg(total_reward) FROM benchmark.data_points GROUP BY 1, 2 ORDER BY 3 DESC",
    "SELECT task_id, gates_failed FROM benchmark.quarantine",
)


def run(*, keep: bool, tasks: int, data_dir: Path | None, forward: str | None = None) -> int:
    """Run the demonstration and print its report.

    Args:
        keep: leave the processor running until Ctrl-C.
        tasks: how many tasks the arbiter gets, sub-tasks not counted.
        data_dir: where the processor keeps its data; without it a new folder, which is removed at the end.
        forward: OTLP endpoint that traces are forwarded to.

    Returns:
        0 when every task was stored, 1 when some are missing.

    Raises:
        DemoError: a part didn't start or failed.
        KeyboardInterrupt: Ctrl-C; nothing is left running.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(_terminated_like_interrupted())
        folder = data_dir.absolute() if data_dir else cleanup.enter_context(_new_folder())
        folder.mkdir(parents=True, exist_ok=True)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}

        bare = _work("without recording", tasks, plain, instrumented=False)

        _say("starting the database and the processor")
        tenant_key = secrets.token_hex(32)
        processor = Processor(folder, plain, tenant_key, forward)
        cleanup.callback(processor.stop)
        ready = processor.start().ready
        _say(f"receiving OTLP at {ready['otlp_http']}, data in {folder}")

        since = datetime.now(UTC)
        recorded_environment = instrumented_environment(
            ready["otlp_http"], plain | {"OTEL_BENCHMARK_TENANT_KEY": tenant_key}
        )
        recorded = _work("with recording", tasks, recorded_environment, instrumented=True)

        sent = int(recorded["tasks"]) + int(recorded["subtasks"])
        url = processor.command("database", "url")
        stored = _wait_until_stored(processor, url, since, sent)
        forwarded = _wait_until_forwarded(processor) if forward else None
        access = _next_commands(folder if keep or data_dir else None, ready, keep=keep)
        _say(render(find(url, since), bare, recorded, access=access, forwarded=forwarded))
        if stored != sent:
            _say(f"\n{sent - stored} tasks are missing. The processor's last words:\n{processor.last_words()}")
        if keep:
            _say("\nThe processor goes on until Ctrl-C.")
            processor.wait()
        return 0 if stored == sent else 1


def _work(what: str, tasks: int, environment: Mapping[str, str], *, instrumented: bool) -> Event:
    """Run the arbiter with a progress display; return its summary."""
    summary: Event | None = None
    with arbiter(tasks, SEED, environment, instrumented=instrumented) as events:
        for event in events:
            if event["event"] == "summary":
                summary = event
            else:
                _progress(f"tasks {what}", event["done"], event["of"])
    if summary is None:
        raise DemoError("the arbiter ended without a summary")
    return summary


def _wait_until_stored(processor: Processor, url: str, since: datetime, sent: int) -> int:
    """Wait until all is stored and nothing more is on its way; return how many tasks are stored in the end.

    Tasks close by themselves a second after their end, with the reviews that came later; only what still waits
    after a long time is closed by hand.
    """
    deadline = time.monotonic() + STORE_TIMEOUT_S
    while (stored := stored_since(url, since)) < sent or processor.on_its_way():
        if time.monotonic() > deadline:
            processor.command("flush")
            stored = stored_since(url, since)
            break
        _progress("data points stored", min(stored, sent - 1), sent)
        time.sleep(POLL_S)
    _progress("data points stored", stored, sent)
    return stored


def _wait_until_forwarded(processor: Processor) -> Mapping[str, Any]:
    """Wait until it is known of every stored span what became of its copy, or for as long as that is worth it."""
    deadline = time.monotonic() + FORWARD_TIMEOUT_S
    while True:
        status = processor.status()
        forward: Mapping[str, Any] = status["forward"]
        stored = next(each for each in status["equations"] if each["name"] == "journal spans")["terms"]["handed_over"]
        done = forward["sent"] + forward["sampled_out"] + sum(forward["dropped"].values())
        if done >= stored or time.monotonic() > deadline:
            return forward
        time.sleep(POLL_S)


def _next_commands(kept_in: Path | None, ready: Event, *, keep: bool) -> Sequence[str]:
    if kept_in is None:
        return (
            "otel-benchmark demo --keep     the same, and it stays for you to query",
            "otel-benchmark serve           a processor for your own application",
            "otel-benchmark plugin check    what of your application would be recorded",
        )
    here = f"COLLECTOR_PROCESSOR_DATA_DIR={shlex.quote(str(kept_in))} otel-benchmark"
    commands = [f"{here} sql {shlex.quote(query)}" for query in QUERIES]
    if keep:
        commands += [
            f"{here} status",
            f'psql "$({here} database url)"',
            f"curl http://{ready['admin']}/metrics",
            f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{ready['otlp_http']} opentelemetry-instrument <your application>",
        ]
    return commands


@contextmanager
def _new_folder() -> Iterator[Path]:
    # For root the database runs as an unprivileged account, which reaches /tmp, but perhaps not TMPDIR.
    as_root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="otel-benchmark-demo-", dir="/tmp" if as_root else None))  # noqa: S108
    if as_root:
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """While this lasts, SIGTERM ends us as Ctrl-C does: with everything that we started."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _say(text: str) -> None:
    print(text, flush=True)


def _progress(what: str, done: int, of: int) -> None:
    """Draw a bar on a terminal; elsewhere a line at the end."""
    if sys.stdout.isatty():
        filled = BAR_WIDTH * done // max(1, of)
        bar = "█" * filled + "·" * (BAR_WIDTH - filled)
        print(f"\r{bar} {done}/{of} {what}", end="\n" if done >= of else "", flush=True)
    elif done >= of:
        print(f"{done}/{of} {what}", flush=True)
