"""Folders are replaced only when they are ours, and never left half-written."""

import os
import resource
from pathlib import Path

import pytest

from flow.atomic import whole_directory, write_atomic
from flow.errors import InputError

MARK = "manifest.json"


def fill(path, text, *, fail=False):
    with whole_directory(path, mark=MARK) as work:
        (work / "data").write_text(text)
        if fail:
            raise RuntimeError("stopped")
        (work / MARK).write_text("{}")


def test_a_folder_made_before_is_replaced(tmp_path):
    fill(tmp_path / "out", "old")
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "data").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "data").read_text() == "new"


def test_a_folder_of_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match=r"mine: holds other files and no manifest\.json; choose"):
        fill(tmp_path / "mine", "new")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_not_taken_for_a_folder(tmp_path):
    (tmp_path / "out").write_text("text")
    with pytest.raises(InputError, match="a file where a folder is wanted"):
        fill(tmp_path / "out", "new")


def test_a_failure_leaves_what_was_there(tmp_path):
    fill(tmp_path / "out", "old")
    with pytest.raises(RuntimeError):
        fill(tmp_path / "out", "new", fail=True)
    assert (tmp_path / "out" / "data").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_clear_line_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_atomic(path, "old")

    def full(handle, mode):
        os.close(handle)
        return Path("/dev/full").open(mode)  # the kernel answers ENOSPC to every write

    monkeypatch.setattr("flow.atomic.os.fdopen", full)
    with pytest.raises(InputError, match=r"record\.json: cannot be written \(No space left on"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_larger_than_is_allowed_is_not_left_half_written(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(InputError, match="cannot be written \\(File too large\\)"):
            write_atomic(tmp_path / "shard", b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"a\.json: cannot be written \("):
        write_atomic(tmp_path / "file" / "a.json", "x")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe: a device or a pipe, which no file replaces"):
        write_atomic(pipe, "x")
    assert pipe.is_fifo()
