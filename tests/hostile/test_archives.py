"""Zip files that unpack to more than they are, and checkpoints that would end the process."""

import logging
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hmor_d2.checkpoint import CheckpointError, HMORCheckpointer
from hmor_d2.checkpoint_files import read_checkpoint
from hmor_d2.data import DatasetError
from hmor_d2.data.datasets.panoptic_index import index_path, read_index, write_index
from hmor_d2.data.record_cache import cache_path, load_or_build
from hmor_d2.stored_zip import require_unpacked
from tests.hostile.panoptic_sequence import panoptic_root
from tests.hostile.sandbox import assert_survives, growth_mb

MEBIBYTE = 1 << 20


def repack(path: Path, bomb: str | None = None, compressed: bool = True) -> None:
    """Write an archive anew, compressed; ``bomb`` becomes 100 MiB of zeros."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in parts.items():
            if name != bomb:
                file.writestr(name, content)
                continue
            with file.open(name, "w") as part:
                header = content[:128]
                part.write(header)
                for _ in range(100):
                    part.write(bytes(MEBIBYTE))


def test_whole_archives_pass(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(5), empty=np.zeros(0))
    torch.save({"a": torch.arange(5)}, tmp_path / "a.pth")
    for name in ("a.npz", "a.pth"):
        require_unpacked(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for length in (0, 10, len(whole) // 2, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(ValueError, match="no whole zip file"):
                require_unpacked(tmp_path / name)


def test_parts_that_lie_one_in_the_other(tmp_path):
    """Two entries of the directory with the same content: a file can have a million."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", bytes(3000))
        file.writestr("b.npy", b"")
        first, second = file.infolist()
        for field in ("header_offset", "file_size", "compress_size", "CRC"):
            setattr(second, field, getattr(first, field))
    with pytest.raises(ValueError, match=r"parts of 6000 bytes in a file of 3"):
        require_unpacked(path)


def test_a_compressed_index_is_refused(tmp_path):
    sequence = str(panoptic_root(tmp_path))
    write_index(sequence, "panoptic19", ["00_16"])
    path = Path(index_path(sequence, "panoptic19"))
    repack(path, bomb="joints.npy")
    assert path.stat().st_size < MEBIBYTE

    def read() -> None:
        with pytest.raises(DatasetError, match=r"hmor_index_panoptic19\.npz.*compressed"):
            read_index(sequence, "panoptic19", ["00_16"])

    assert growth_mb(read) < 50


def test_a_compressed_cache_is_built_anew(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HMOR_D2_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "a.json"
    source.write_text("{}")

    def load() -> None:
        found = load_or_build(str(source), "test 1", lambda: {"a": np.arange(3)})
        assert found["a"].tolist() == [0, 1, 2]

    load()
    repack(Path(cache_path(str(source))), bomb="a.npy")
    with caplog.at_level(logging.WARNING):
        assert growth_mb(load) < 50
    assert "compressed" in caplog.text


def test_a_compressed_checkpoint_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"model": {"weight": torch.ones(2, 6)}}, path)
    repack(path, bomb="model/data/0")

    def read() -> None:
        with pytest.raises(CheckpointError, match=r"model\.pth: .*compressed"):
            HMORCheckpointer(nn.Linear(6, 2)).load(str(path))

    assert growth_mb(read) < 50


def nested_key(depth: int = 300_000) -> bytes:
    """A pickle of {"model": {(((...))): 1}}; hashing the key overflows the stack."""
    return b"\x80\x02}X\x05\x00\x00\x00model})" + b"\x85" * depth + b"K\x01ss."


def test_a_checkpoint_with_keys_that_end_the_process(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({}, path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in parts if name.endswith("data.pkl"))
    with zipfile.ZipFile(path, "w") as file:
        for part, content in (parts | {name: nested_key()}).items():
            file.writestr(part, content)
    refused = assert_survives(
        lambda path: read_checkpoint(str(path)),
        lambda rng, folder: path,
        tmp_path,
        1,
        seed="nested key",
        errors=(CheckpointError,),
    )
    assert refused == 1


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 5),
    reason="PyTorch 2.1 reads what lies behind them in memory",
)
def test_pytorch_notices_storages_longer_than_their_bytes(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"a": torch.arange(10.0)}, path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in parts if name.endswith("data.pkl"))
    longer = parts[name].replace(b"K\nt", b"J\xff\xff\xff\x0ft", 1)
    assert longer != parts[name]
    with zipfile.ZipFile(path, "w") as file:
        for part, content in (parts | {name: longer}).items():
            file.writestr(part, content)
    with pytest.raises(CheckpointError, match=r"model\.pth"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        {"model": None},
        {"model": [1]},
        {"model": {"weight": "text"}},
        {"model": {"weight": 3, "bias": None}},
        {"model": {}, "optimizer": None},
        {"model": {}, "optimizer": {"state": 3, "param_groups": []}},
        {"model": {}, "optimizer": {"state": {}, "param_groups": [{"params": [[]]}]}},
    ],
)
def test_checkpoints_of_other_types(tmp_path, content):
    path = tmp_path / "model.pth"
    torch.save(content, path)
    model = nn.Linear(6, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match=r"model\.pth"):
        HMORCheckpointer(model, optimizer=optimizer).load(str(path))


def test_a_last_checkpoint_that_is_no_text(tmp_path):
    model = nn.Linear(6, 2)
    checkpointer = HMORCheckpointer(model, str(tmp_path))
    checkpointer.save("model_0000001", iteration=1)
    for name in (b"\xff\xfe", b"model\0.pth"):
        (tmp_path / "last_checkpoint").write_bytes(name)
        assert checkpointer.resume_or_load("")["iteration"] == 1


@pytest.mark.parametrize("damage", ["disks", "compressed"])
def test_a_last_checkpoint_whose_directory_is_broken(tmp_path, damage, caplog):
    """zipfile.is_zipfile raises for a directory that names several disks."""
    model = nn.Linear(6, 2)
    checkpointer = HMORCheckpointer(model, str(tmp_path))
    for i in range(2):
        checkpointer.save(f"model_000000{i}", iteration=i)
    path = tmp_path / "model_0000001.pth"
    if damage == "disks":
        data = bytearray(path.read_bytes())
        at = data.rindex(b"PK\x06\x07")  # locator of the 64-bit directory
        data[at + 16 : at + 20] = b"\x07\0\0\0"
        path.write_bytes(data)
    else:
        repack(path)
    with caplog.at_level(logging.WARNING):
        assert checkpointer.resume_or_load("")["iteration"] == 0
    assert f"{path}: " in caplog.text and "resumed from" in caplog.text


def test_pickled_weights_with_keys_that_end_the_process(tmp_path):
    path = tmp_path / "weights.pkl"
    path.write_bytes(nested_key())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused = assert_survives(
            lambda path: HMORCheckpointer(nn.Linear(6, 2)).load(str(path)),
            lambda rng, folder: path,
            tmp_path,
            1,
            seed="nested key",
            errors=(CheckpointError,),
        )
    assert refused == 1
    assert pickle.loads(nested_key(3)) == {"model": {((((),),),): 1}}  # a whole pickle
