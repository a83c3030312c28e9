"""What a data directory remembers of halted sources: read whole, or the start is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector_processor.app.journalling.halts import FILE_NAME, remember, remembered
from collector_processor.errors import ConfigError


@pytest.mark.parametrize("content", [b"", b"{", b'[["\xff"]]', b"[[1]]"])
def test_a_garbled_file_is_refused_with_the_way_to_mend_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigError, match=r"halted sources.*delete it"):
        remembered(tmp_path)


def test_without_a_file_nothing_is_halted(tmp_path: Path) -> None:
    assert remembered(tmp_path) == ()


def test_what_the_disk_refuses_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigError, match=r"halted sources.*can't be written.*disk of DATA_DIR"):
        remember(tmp_path, ())
