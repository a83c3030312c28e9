"""structlog without `rich`, which it loads where it is installed, for tracebacks that we write ourselves.

That costs each process 5 MiB: `rich` itself, every lexer's name of pygments, and attrs.
"""

from __future__ import annotations

import sys

_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]  # how the import system is told that there is none
import structlog  # noqa: E402  # this is what the module is for

if _hidden:
    del sys.modules["rich"]

__all__ = ["structlog"]
