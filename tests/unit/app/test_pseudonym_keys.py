"""Keys of pseudonyms: made once, read as they are, and refused where they can't be kept secret."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector_processor.app.privacy import FILE_NAME, keyring_of, privacy_keys
from collector_processor.config import Settings
from collector_processor.config.values import KEYS
from collector_processor.errors import ConfigError

SECRET = "0123456789abcdef"


def test_a_key_is_made_once_also_by_many_at_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: privacy_keys(settings), range(16)))
    ((keys),) = made
    assert keys is not None
    assert [key_id for key_id, _ in keys] == ["k1"]
    assert len(keys[0][1]) == 64
    assert [path.name for path in settings.data_dir.iterdir()] == [FILE_NAME]
    assert (settings.data_dir / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_the_first_line_is_the_current_key(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(f"k2={SECRET}2\n\nk1={SECRET}1\n")
    path.chmod(0o600)
    keys = privacy_keys(Settings(data_dir=tmp_path))
    assert keys == (("k2", b"0123456789abcdef2"), ("k1", b"0123456789abcdef1"))
    ring = keyring_of(keys)
    assert ring is not None
    assert ring.current == "k2"


def test_given_keys_make_no_file(tmp_path: Path) -> None:
    keys = (("k7", SECRET.encode()),)
    assert privacy_keys(Settings(data_dir=tmp_path, privacy_keys=keys)) == keys
    assert privacy_keys(Settings(data_dir=tmp_path, privacy="off")) is None
    assert keyring_of(None) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "k1", f"K1={SECRET}", "k1=short", f"k1={SECRET}\nk1={SECRET}", f"={SECRET}"])
def test_a_file_that_holds_something_else_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"privacy\.keys: its content \(not shown\) is not keys such as") as refused:
        privacy_keys(Settings(data_dir=tmp_path))
    assert SECRET not in str(refused.value)
    with pytest.raises(ValueError):
        KEYS.read(content)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(f"k1={SECRET}\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="must be yours alone: `chown"):
        privacy_keys(Settings(data_dir=tmp_path))


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigError, match="can't be read or made: Is a directory"):
        privacy_keys(Settings(data_dir=tmp_path))
