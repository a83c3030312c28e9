"""The command `otel-benchmark`: one module for each group of commands, nothing heavy imported before it is needed.

Exit codes: 0 done, 1 the answer is "no" or the work failed, 2 usage. Results go to stdout, words about them to
stderr. An error is one or two lines; `--debug` shows its traceback.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from collector_processor.cli.arguments import build_parser
from collector_processor.errors import BenchmarkError, ConfigError

__all__ = ["main"]

_OURS = ("collector_processor", "otel_benchmark")
_INTERRUPTED = 130
"""128 + SIGINT, as shells expect it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Raises SystemExit for `--help` and wrong usage only."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered must not raise at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the one place where errors become words and an exit code
        if options.debug:
            traceback.print_exc()
        print(f"otel-benchmark: {_words(error)}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    return code


def _words(error: Exception) -> str:
    if isinstance(error, BenchmarkError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] not in _OURS:
        return f"this command needs the processor ({error.name} is missing): pip install 'otel-benchmark[processor]'"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"unexpected {type(error).__name__}: {error} (--debug shows where)"
