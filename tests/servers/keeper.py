"""Runs a program until its own standard input ends, which happens too when the one who started it is killed.

Usage: python keeper.py SIGNAL ACCOUNT PROGRAM [ARGUMENT ...]

SIGNAL is the number of what asks the program to end; what hasn't ended ten seconds later is killed. ACCOUNT is
`UID:GID` of whom it runs as, or empty: PostgreSQL doesn't run as root, and its account can't reach every place that
we can. Ends with the program's exit status, or 128 and the number of the signal that ended it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

_PATIENCE_SECONDS = 10


def main(number: int, account: str, command: list[str]) -> int:
    """Run `command`; see the module."""
    options: dict[str, Any] = {}
    if account:
        user, group = map(int, account.split(":"))
        options = {"user": user, "group": group, "extra_groups": []}
    program = subprocess.Popen(command, **options)
    threading.Thread(target=_end_with_input, args=(program, number), daemon=True).start()
    status = program.wait()
    return status if status >= 0 else 128 - status


def _end_with_input(program: subprocess.Popen[bytes], number: int) -> None:
    # Unlike sys.stdin this holds no lock that the end of the interpreter would wait for.
    while os.read(0, 4096):
        pass
    program.send_signal(number)
    try:
        program.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
