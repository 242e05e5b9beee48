"""The cache of parsed annotation files: when it serves, and when it steps aside."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hmor_d2.data import record_cache
from hmor_d2.data.record_cache import cache_folder, cache_path, load_or_build


class Builder:
    """Counts its calls; what it builds depends on the file."""

    def __init__(self, source):
        self.source, self.calls = source, 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        number = float(self.source.read_text())
        return {"a": np.full((3, 2), number, np.float32), "none": np.zeros((0, 4))}


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("HMOR_D2_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "index.json"
    path.write_text("5")
    return path


def load(source, build, layout="test 1"):
    arrays = load_or_build(str(source), layout, build)
    expected = Builder(source)()
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def cached_file(source):
    return source.parent / "cache" / os.path.basename(cache_path(str(source)))


def files_in_cache(source) -> list[str]:
    """All but those that are locked, which are empty."""
    folder = source.parent / "cache"
    assert all(path.stat().st_size == 0 for path in folder.glob("*.lock"))
    return [name for name in os.listdir(folder) if not name.endswith(".lock")]


# Waits until all processes are here, then loads; prints BUILD when it builds.
RACER = """
import sys, time
from pathlib import Path
import numpy as np
from hmor_d2.data.record_cache import load_or_build

def build():
    print("BUILD")
    time.sleep(1)
    return {"a": np.arange(5.0)}

source, number = Path(sys.argv[1]), sys.argv[2]
(source.parent / f"here{number}").touch()
while len(list(source.parent.glob("here*"))) < 3:
    time.sleep(0.01)
assert load_or_build(str(source), "test 1", build)["a"].tolist() == [0, 1, 2, 3, 4]
"""


def test_one_of_several_processes_builds(source):
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", RACER, str(source), str(number)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(outputs) == ["", "", "BUILD\n"]


@pytest.mark.parametrize("obstacle", ["no flock", "no fcntl"])
def test_without_locks_it_goes_on(source, obstacle, monkeypatch, caplog):
    def fail(*_):
        raise OSError(37, "No locks available")

    if obstacle == "no flock":
        monkeypatch.setattr(record_cache.fcntl, "flock", fail)
    else:
        monkeypatch.setattr(record_cache, "fcntl", None)
    build = Builder(source)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            load(source, build)
    assert build.calls == 1 and "without a lock" in caplog.text


def test_others_may_read_it_and_leftovers_are_removed(source):
    leftover = cached_file(source).with_name(f"{cached_file(source).name}.0123.tmp")
    other = leftover.with_name("other.npz.0123.tmp")
    leftover.parent.mkdir()
    for path in (leftover, other):
        path.touch()
    before = os.umask(0o027)
    try:
        load(source, Builder(source))
    finally:
        os.umask(before)
    assert cached_file(source).stat().st_mode & 0o777 == 0o640
    assert sorted(files_in_cache(source)) == sorted([cached_file(source).name, other.name])


def test_is_built_once(source):
    build = Builder(source)
    load(source, build)
    assert files_in_cache(source) == [cached_file(source).name]
    load(source, build)
    assert build.calls == 1


def test_another_path_to_the_file_is_the_same_file(source, monkeypatch):
    build = Builder(source)
    load(source, build)
    (source.parent / "link.json").symlink_to(source)
    load(source.parent / "link.json", build)
    monkeypatch.chdir(source.parent)
    load_or_build("index.json", "test 1", build)
    assert build.calls == 1


@pytest.mark.parametrize("change", ["size", "time", "layout"])
def test_a_changed_file_or_layout_is_read_anew(source, change):
    build = Builder(source)
    load(source, build)
    status = os.stat(source)
    if change == "size":
        source.write_text("77")
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    if change == "time":
        source.write_text("6")
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    for _ in range(2):
        load(source, build, "test 2" if change == "layout" else "test 1")
    assert build.calls == 2
    assert len(files_in_cache(source)) == 1  # in the place of the old one


def test_files_of_one_name_are_kept_apart(source):
    other = source.parent / "other" / "index.json"
    other.parent.mkdir()
    other.write_text("8")
    for path in (source, other, source, other):
        load(path, Builder(path))
    assert len(files_in_cache(source)) == 2


def with_byte(whole: bytes, at: int, value: int) -> bytes:
    return whole[:at] + bytes([value]) + whole[at + 1 :]


BREAK = {
    "empty": lambda whole: b"",
    "no zip": lambda whole: b"hello" * 100,
    "cut": lambda whole: whole[:-30],
    "one byte of a number": lambda whole: with_byte(
        whole, whole.index(np.full(6, 5, np.float32).tobytes()), 1
    ),
    "header of an array": lambda whole: whole.replace(b"'descr'", b"'xxxxx'"),
    "unknown compression": lambda whole: with_byte(whole, whole.index(b"PK\x01\x02") + 10, 99),
    "no zip but an array": lambda whole: whole[whole.index(b"\x93NUMPY") :],
}


@pytest.mark.parametrize("form", BREAK)
def test_a_broken_cache_is_built_anew(source, form, caplog):
    build = Builder(source)
    load(source, build)
    path = cached_file(source)
    broken = BREAK[form](path.read_bytes())
    assert broken != path.read_bytes()
    path.write_bytes(broken)
    with caplog.at_level(logging.WARNING):
        load(source, build)
    assert build.calls == 2 and str(path) in caplog.text
    load(source, build)
    assert build.calls == 2


def test_pickles_are_not_read(source):
    """Objects in a cached file could run code."""
    build = Builder(source)
    load(source, build)
    path = cached_file(source)
    with np.load(path) as file:
        key = file["cache_key"]
    np.savez(path, cache_key=key, a=np.array([print], dtype=object))
    load(source, build)
    assert build.calls == 2


@pytest.mark.parametrize("obstacle", ["file in the way", "rename"])
def test_a_folder_that_takes_no_files_is_no_error(source, obstacle, caplog, monkeypatch):
    build = Builder(source)
    if obstacle == "file in the way":
        (source.parent / "cache").write_text("")
    else:

        def fail(*_):
            raise PermissionError("read-only file system")

        monkeypatch.setattr(os, "replace", fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            load(source, build)
    assert build.calls == 2 and "cannot write this cache" in caplog.text
    if obstacle == "rename":
        assert files_in_cache(source) == []  # nothing half done is left


def test_nothing_is_left_where_the_user_stops_it(source, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        load(source, Builder(source))
    assert files_in_cache(source) == []


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HMOR_D2_CACHE", raising=False)
    assert cache_folder() == str(tmp_path / ".cache" / "hmor_d2")
    monkeypatch.setenv("HMOR_D2_CACHE", "~/elsewhere")
    assert cache_folder() == str(tmp_path / "elsewhere")
