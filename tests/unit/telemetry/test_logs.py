"""One form for our own logs and those of libraries."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import structlog

from collector_processor.config import Settings
from collector_processor.errors import StoreError
from collector_processor.telemetry import configure, get_logger


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


class Form(NamedTuple):
    log_level: str = "info"
    log_format: str = "auto"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_one_json_object_where_nobody_watches() -> None:
    stream = io.StringIO()
    configure(Settings(), stream)
    get_logger("collector_processor.journal").info("sealed %s", "a batch", tasks=3)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "sealed a batch", "tasks": 3, "level": "info", "logger": "collector_processor.journal"}


def test_a_terminal_gets_words_and_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    configure(Form(), stream)
    get_logger("a").warning("the database is down", tries=3)
    assert "the database is down" in stream.getvalue()
    assert "tries=3" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_the_form_can_be_forced() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    configure(Form(log_format="json"), terminal)
    get_logger("a").info("one")
    configure(Form(log_format="console"), pipe)
    get_logger("a").info("two")
    assert json.loads(terminal.getvalue())["event"] == "one"
    assert pipe.getvalue().rstrip().endswith("[a]")


def test_libraries_come_out_in_the_same_form() -> None:
    stream = io.StringIO()
    configure(Settings(), stream)
    logging.getLogger("uvicorn.access").info("not worth a line")
    logging.getLogger("uvicorn.error").warning("port %d in use", 4318, extra={"port": 4318})
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["port"]) == ("port 4318 in use", "warning", 4318)


def test_less_than_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure(Form(log_level="error"), stream)
    get_logger("a").warning("no")
    get_logger("a").error("yes")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_logged_without_its_locals_and_what_others_say_of_it(form: str) -> None:
    stream = io.StringIO()
    configure(Form(log_format=form), stream)
    password = "hunter2" * 2
    try:
        try:
            int(password)
        except ValueError as error:
            raise StoreError("the database is away") from error
    except StoreError:
        get_logger("a").exception("it failed")
    told = stream.getvalue()
    assert "StoreError: the database is away" in told
    assert "ValueError" in told
    assert "int(password)" in told
    assert "hunter2" not in told
