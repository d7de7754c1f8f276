"""Files that are replaced whole, on the file system that is here."""

import os
import stat

import pytest

from flatnet.apply import files


def names(directory):
    return sorted(each.name for each in directory.iterdir())


def test_a_file_is_made_with_its_text_and_permissions(tmp_path):
    path = tmp_path / "file"
    files.replace(str(path), "text", mode=0o640)
    assert path.read_text() == "text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["file"]


def test_another_takes_its_place_and_who_reads_it_reads_on(tmp_path):
    path = tmp_path / "file"
    files.replace(str(path), "before", mode=0o600)
    with open(path, encoding="ascii") as reader:
        files.replace(str(path), "after")
        assert reader.read() == "before"
    assert files.holds(str(path), "after")
    assert names(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_text("other")
    path.symlink_to(other)
    files.replace(str(path), "text")
    assert not path.is_symlink()
    assert (path.read_text(), other.read_text()) == ("text", "other")


def test_a_directory_stays_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace(str(path), "text")
    assert names(tmp_path) == ["file"]
    assert path.is_dir()


def test_a_mark_stands_however_often_it_is_made(tmp_path):
    path = tmp_path / "mark"
    for _ in range(2):
        files.mark(str(path))
        assert os.path.exists(path)
    assert names(tmp_path) == ["mark"]
