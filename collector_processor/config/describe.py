"""Settings as people see them: rows for `config show` and the table in `deploy/README.md`, with every secret masked."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from collector_processor.config.settings import Setting, declared
from collector_processor.config.sources import DEFAULT, PREFIX, Loaded

MASK: Final = "***"

_USER_INFO: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^:@/?#]*):.*@", re.DOTALL)
_PARAMETER: Final = re.compile(r"(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]*)")


class Row(NamedTuple):
    """One setting with its value as text. `origin` says where the value comes from."""

    name: str
    variable: str
    value: str
    origin: str
    default: str
    meaning: str


def mask_url(url: str) -> str:
    """The URL (or libpq connection string) without its passwords; the rest stays readable."""
    parameters = _PARAMETER.sub(rf"\g<1>{MASK}", url)
    return _USER_INFO.sub(rf"\g<1>:{MASK}@", parameters)


def describe(loaded: Loaded) -> list[Row]:
    """A row for every setting, in the order of `Settings`."""
    return [
        Row(
            setting.name,
            PREFIX + setting.name.upper(),
            _shown(setting, loaded),
            loaded.origins[setting.name],
            setting.default,
            setting.meaning,
        )
        for setting in declared()
    ]


def reference() -> str:
    """All settings as a Markdown table: variable, default, meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for setting in declared():
        name = setting.name.upper()
        variable = f"`{name}`, `{name}_FILE`" if setting.secret else f"`{name}`"
        default = f"`{setting.default}`" if setting.default else "-"
        lines.append(f"| {variable} | {default} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


def _shown(setting: Setting, loaded: Loaded) -> str:
    value = getattr(loaded.settings, setting.name)
    if loaded.origins[setting.name] == DEFAULT and setting.default:
        return setting.default
    if not setting.secret or value is None:
        return setting.form.show(value)
    # Of the database everything but the password is worth seeing; any other secret is one from end to end.
    return mask_url(value) if setting.name == "database_url" else MASK
