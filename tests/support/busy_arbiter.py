"""An arbiter that works much and ends in many ways: `busy_arbiter.main()` with WAY and TASKS as arguments.

It knows nothing of us. A task is 4 lifecycle spans when its functions are named as targets, and 12 spans that the
libraries it uses would record. It prints a line of JSON, what it did and saw of itself.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry import trace

FOREIGN = 12
TEXT = "x" * int(os.environ.get("BUSY_TEXT", "10"))
TARGETS = {
    "OTEL_BENCHMARK_TASK": "support.busy_arbiter:handle",
    "OTEL_BENCHMARK_ROUTE": "support.busy_arbiter:route",
    "OTEL_BENCHMARK_EXECUTE": "support.busy_arbiter:execute",
    "OTEL_BENCHMARK_TOOL": "support.busy_arbiter:read_file",
}
tracer = trace.get_tracer("library")


def read_file(path: str) -> str:
    for number in range(FOREIGN):
        tracer.start_span("GET", attributes={"url.full": f"http://{path}/{number}", "text": TEXT}).end()
    return path


def route(task: dict[str, Any]) -> dict[str, Any]:
    return {"selected_id": "a-1"}


def execute(task: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "text": read_file("x.py")}


def handle(task: dict[str, Any]) -> dict[str, Any]:
    route(task)
    return execute(task)


def work(name: str, tasks: int) -> None:
    for number in range(tasks):
        handle({"id": f"{name}-{number}", "type": "research"})


def wait_for_word() -> None:
    """Tell the test that we are here, and wait until it says that we may go on."""
    print("?", flush=True)
    sys.stdin.readline()


def leave_a_connection() -> None:
    """Send all, so that whoever is forked now inherits connections that are open and at rest."""
    provider: Any = trace.get_tracer_provider()
    assert provider.force_flush()


def steady(tasks: int) -> None:
    work("main", tasks)


def twice(tasks: int) -> None:
    work("first", tasks)
    wait_for_word()
    work("second", tasks)


def outage(tasks: int) -> None:
    twice(tasks)
    wait_for_word()


def exit_at_once(tasks: int) -> None:
    twice(tasks)
    os._exit(0)


def killed(tasks: int) -> None:
    twice(tasks)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def killed_with_handler(tasks: int) -> None:
    def leave(*_: object) -> None:
        sys.exit(7)

    signal.signal(signal.SIGTERM, leave)
    work("first", tasks)
    assert signal.getsignal(signal.SIGTERM) is leave
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def children(method: str) -> Callable[[int], None]:
    def run(tasks: int) -> None:
        work("parent", tasks)
        leave_a_connection()
        context: Any = multiprocessing.get_context(method)
        processes = [context.Process(target=work, args=(f"child{number}", tasks)) for number in range(2)]
        for process in processes:
            process.start()
        work("again", tasks)
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]

    return run


def pool(tasks: int) -> None:
    with multiprocessing.get_context("fork").Pool(2) as workers:
        workers.starmap(work, [("child0", tasks), ("child1", tasks)], chunksize=1)
        workers.close()
        workers.join()


def prefork(tasks: int) -> None:
    """As gunicorn does: the master loads the application, workers leave by SystemExit."""
    work("parent", tasks)
    leave_a_connection()
    workers = []
    for number in range(2):
        worker = os.fork()
        if worker == 0:
            work(f"child{number}", tasks)
            sys.exit(0)
        workers.append(worker)
    assert [os.waitpid(worker, 0)[1] for worker in workers] == [0, 0]
    work("again", tasks)


def beside_grpc(tasks: int) -> None:
    """Fork while a channel of the application's own is open."""
    import grpc  # noqa: PLC0415 - the other ways must do without

    with grpc.insecure_channel("127.0.0.1:9") as channel:
        with suppress(grpc.RpcError):  # nobody is there; the channel goes on trying
            channel.unary_unary("/any/Call", None, None)(b"", timeout=5)
        children("fork")(tasks)


WAYS: dict[str, Callable[[int], None]] = {
    "steady": steady,
    "outage": outage,
    "exit at once": exit_at_once,
    "killed": killed,
    "killed with handler": killed_with_handler,
    "fork": children("fork"),
    "forkserver": children("forkserver"),
    "spawn": children("spawn"),
    "pool": pool,
    "prefork": prefork,
    "beside gRPC": beside_grpc,
}


def main() -> None:
    way, tasks = sys.argv[1:]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    WAYS[way](int(tasks))
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": took, "grown_kib": after - before}), flush=True)
