"""`make demo-jaeger`: the demonstration with a Jaeger beside it, and the trace of the record that it shows, as a tree.

Usage: PYTHONPATH=tests python -m servers.demo_jaeger [JAEGER]

JAEGER is the program of a Jaeger 2; without it the one that `make servers SERVERS=jaeger` makes is used, and made if
it isn't there. On a terminal the Jaeger stays until Ctrl-C.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from collector_processor.errors import DemoError
from otel_benchmark import attributes as a
from servers.__main__ import main as make
from servers.cache import user_cache
from servers.jaeger import PROGRAM, Jaeger, JaegerRecipe, running_jaeger

_TRACE = re.compile(r"trace ([0-9a-f]{32})")
_OF_TASKS = (a.POINT_STATE, a.POINT_OUTCOME, a.POINT_GATES_FAILED)
_OF_STEPS = (a.ROUTING_SELECTED_ID, a.ROUTING_PROPENSITY, a.TOOL_SUCCESS, a.TURN_REWARD, a.EVALUATION_OVERALL_SCORE)
"""Tags that stand beside a span, by the last words of their names."""


def main(arguments: Sequence[str]) -> int:
    """Show it; 1 where Jaeger can't be had, or the demonstration fails."""
    parser = argparse.ArgumentParser(
        prog="make demo-jaeger", description="Show a trace of the demonstration in Jaeger."
    )
    parser.add_argument("jaeger", nargs="?", type=Path, help="the program of a Jaeger 2; default: our own")
    parser.add_argument("--tasks", default="240", metavar="N", help="of the demonstration")
    options = parser.parse_args(arguments)
    program = options.jaeger
    if program is None:
        if make([JaegerRecipe.name]):
            return 1
        program = user_cache().find(JaegerRecipe()) / PROGRAM
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory() as folder, running_jaeger(program, Path(folder)) as jaeger:
            _show(jaeger, options.tasks)
    except KeyboardInterrupt:
        return 0
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _show(jaeger: Jaeger, tasks: str) -> None:
    trace_id = _run_demo(f"http://{jaeger.otlp_http}", tasks)
    trace = jaeger.trace(trace_id)
    if trace is None:
        raise DemoError(f"Jaeger knows no trace {trace_id}")
    print(f"\nThat trace in Jaeger: {jaeger.query}/api/traces/{trace_id}\n")
    print("\n".join(tree(trace)))
    print(f"\nIts page, where this Jaeger has pages: {jaeger.query}/trace/{trace_id}", flush=True)
    if sys.stdout.isatty():
        print("Jaeger goes on until Ctrl-C.", flush=True)
        signal.pause()


def _run_demo(endpoint: str, tasks: str) -> str:
    """Run the demonstration and show what it prints; the trace that it names."""
    command = [sys.executable, "-m", "collector_processor.cli", "demo", "--tasks", tasks, "--forward", endpoint]
    found = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                print(line, end="", flush=True)
                found = found or _TRACE.search(line)
        finally:
            demo.terminate()
    if demo.returncode or not found:
        raise DemoError(f"the demonstration ended with exit status {demo.returncode} and named no trace")
    return found[1]


def tree(trace: Mapping[str, Any]) -> Iterator[str]:
    """A trace of Jaeger's query API as lines: names, durations, what was found."""
    spans = {span["spanID"]: span for span in trace["spans"]}
    children: defaultdict[str | None, list[Mapping[str, Any]]] = defaultdict(list)
    for span in sorted(spans.values(), key=lambda span: span["startTime"]):
        parents = (each["spanID"] for each in span["references"] if each["refType"] == "CHILD_OF")
        children[next((parent for parent in parents if parent in spans), None)].append(span)

    def lines(parent: str | None, indent: str) -> Iterator[str]:
        for span in children[parent]:
            last = span is children[parent][-1]
            yield f"{indent}{'└─' if last else '├─'} {_line(span)}"
            yield from lines(span["spanID"], indent + ("   " if last else "│  "))

    return lines(None, "")


def _line(span: Mapping[str, Any]) -> str:
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    names = _OF_TASKS if span["operationName"].startswith(a.Kind.TASK) else _OF_STEPS
    told = [f"{name.rpartition('.')[2]}={_shown(tags[name])}" for name in names if name in tags]
    for log in span["logs"]:
        fields = {field["key"]: field["value"] for field in log["fields"]}
        if fields.get("event") == a.GEN_AI_EVALUATION_EVENT:
            passed = fields.get(a.GATE_PASSED)
            told.append(f"{fields.get(a.GEN_AI_EVALUATION_NAME)}{'' if passed is None else ' ✓' if passed else ' ✗'}")
    return f"{span['operationName']}  {span['duration'] / 1000:.1f} ms  {', '.join(told)}".rstrip()


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
