"""Where machines and files are: public network addresses, and file paths, which tell names of people and customers."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from collector_processor.guard.privacy.pattern import Pattern, Span
from collector_processor.guard.privacy.vocabulary import Category, words

# -- Networks --------------------------------------------------------------------------------------

_VERSION: Final = re.compile(
    r"(?i)(?:\bv|\bver\.?|version|release|build|rev|oid|chapter|section|§)[\"' :=]{0,4}$"
    r"|[=<>~^!]=\s?$|[A-Za-z)]/$|[A-Za-z_]-$"
)


def public_ip(text: str, start: int, end: int) -> Span | None:
    """Accept a public address: none that is private, loopback or documentation, and no version of something.

    Four numbers below ten are taken for a section or a version, which they nearly always are.
    """
    found = text[start:end]
    before = text[max(0, start - 12) : start]
    if (
        before[-1:].isalnum()
        or before[-1:] in ("_", ".")
        or text[end : end + 1] == "_"
        or text[end : end + 2].lstrip(".-")[:1].isalnum()
    ):
        return None
    if _VERSION.search(before) or all(len(part) == 1 for part in found.split(".")):
        return None
    return (start, end) if _is_public(found) else None


def public_ipv6(text: str, start: int, end: int) -> Span | None:
    """Accept a global unicast address."""
    found = text[start:end].rstrip(":") if not text[start:end].endswith("::") else text[start:end]
    if text[start - 1 : start] in (":", ".", "-") or text[start + len(found) : start + len(found) + 1].isalnum():
        return None
    return (start, start + len(found)) if _is_public(found) else None


def _is_public(address: str) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return known.is_global and not known.is_multicast and not known.is_reserved


# -- File paths ------------------------------------------------------------------------------------

_SYSTEM: Final = words("usr bin sbin dev proc sys lib lib64 etc boot")
_HOMES: Final = words("home users root")
_FOLDERS: Final = words(
    "var tmp private mnt srv opt app workspace workspaces work code repo repos data volumes github"
    " runner builds documents storage media export nfs scratch project projects"
)
_ESCAPED: Final = re.compile(r"\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})")
_FILE: Final = re.compile(r"[^/\\]*\.([A-Za-z][A-Za-z0-9]{0,7})$")


def unix_path(text: str, start: int, end: int) -> Span | None:
    """Accept an absolute path of files that are somebody's; system folders and the routes of a server are no such."""
    before = text[start - 1 : start]
    if before and (before.isalnum() or before in "/._~-@*)]}><$%\\"):
        return None
    found = text[start:end].rstrip(".")
    parts = found.lstrip("~").strip("/").split("/")
    if parts[0] in _SYSTEM or len(parts) < 2:
        return None
    personal = found.startswith("~") or parts[0].lower() in _HOMES or (parts[0].lower() in _FOLDERS and len(parts) > 2)
    if personal or _FILE.search(parts[-1]):
        return start, start + len(found)
    return None


def windows_path(text: str, start: int, end: int) -> Span | None:
    """Accept a path with a drive, or of a server: a drive and one letter, or an escape, are code."""
    found = text[start:end].rstrip(" .")
    parts = [part for part in re.split(r"[\\/]+", found) if part]
    if text[start - 1 : start].isalnum() or len(parts) + bool(_FILE.search(found)) < 3 or _ESCAPED.match(found):
        return None
    return start, start + len(found)


def generalised(path: str) -> str:
    """Return what is stored of a path: that it was one, and its kind of file."""
    kind = _FILE.search(path)
    return f"/[PATH]/[FILE].{kind[1]}" if kind else "/[PATH]/[FILE]"


LOCATIONS: Final = (
    Pattern(
        "ipv4", Category.IP, rb"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b", "RFC 791, RFC 6890", public_ip
    ),
    Pattern(
        "ipv6",
        Category.IP,
        rb"\b[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}",
        "RFC 4291",
        public_ipv6,
    ),
    Pattern(
        "unix-path",
        Category.PATH,
        rb"~?(?:/[A-Za-z0-9_.@+%$\x80-\xff-]+){1,64}/?",
        "data-point.md: file paths are generalised",
        unix_path,
    ),
    Pattern(
        "windows-path",
        Category.PATH,
        rb"\b[A-Z]:(?:\\{1,2}|/)(?:[A-Za-z0-9_.@+~$%\x80-\xff-]+(?: [A-Za-z0-9_.@+~$%\x80-\xff-]+)*(?:\\{1,2}|/))*"
        rb"[A-Za-z0-9_.@+~$%\x80-\xff-]+"
        rb"|\\\\[A-Za-z0-9_.$-]{3,}(?:\\{1,2}[A-Za-z0-9_.@+~$%\x80-\xff-]+){2,}",
        "data-point.md: file paths are generalised",
        windows_path,
    ),
)
