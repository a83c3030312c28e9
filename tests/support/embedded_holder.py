"""A process that holds an embedded server: prints its URL, and leaves when standard input ends.

Usage: python embedded_holder.py DATA_DIR [ACCOUNT], the second to give up root for that account.
"""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

from collector_processor.errors import EmbeddedServerError
from support.postgres import throwaway_hold


def main(data_dir: str, account: str | None = None) -> None:
    if account is not None:
        entry = pwd.getpwnam(account)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    try:
        with throwaway_hold(Path(data_dir)) as server:
            print(server.url, flush=True)
            sys.stdin.read()
    except EmbeddedServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
