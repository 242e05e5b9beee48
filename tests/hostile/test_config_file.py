"""Config files run nothing, multiply nothing, and are otherwise read as Detectron2 reads them."""

import os
from pathlib import Path

import pytest
from detectron2.config import get_cfg

from hmor_d2 import add_hmor_config
from hmor_d2.config_file import ConfigError, merge_config_file, read_config
from tests.hostile.config_readers import multiplying_yaml

ROOT = Path(__file__).parents[2]


def config():
    cfg = get_cfg()
    add_hmor_config(cfg)
    return cfg


@pytest.mark.parametrize(
    "name",
    ["muco_coco", "synthetic", "ablations", "toy"],
)
def test_the_projects_configs_are_read_as_by_detectron2(name):
    paths = sorted((ROOT / "configs" / name).glob("*.yaml"))
    for path in paths[:1]:
        mine, theirs = config(), config()
        merge_config_file(mine, path)
        theirs.merge_from_file(str(path))
        assert mine == theirs != config()


@pytest.mark.parametrize("tag", ["object/apply:os.mkdir", "object/new:os.mkdir"])
def test_python_in_tags_is_not_run(tmp_path, tag):
    evidence, path, base = tmp_path / "evidence", tmp_path / "a.yaml", tmp_path / "base.yaml"
    base.write_text(f"VERSION: 2\nOUTPUT_DIR: !!python/{tag} ['{evidence}']\n")
    path.write_text("_BASE_: base.yaml\n")
    for file in (base, path):
        with pytest.raises(ConfigError, match=rf"{file.name}: .*python/object") as error:
            merge_config_file(config(), file)
        assert "base.yaml" in str(error.value)
        assert not evidence.exists()
    config().merge_from_file(str(base))  # Detectron2's own way
    assert evidence.exists()


BROKEN = {
    "VERSION: 2\nMODEL: {NO_SUCH_KEY: 3}\n": "NO_SUCH_KEY",
    "VERSION: 2\nSOLVER: {BASE_LR: [1]}\n": "BASE_LR",
    "VERSION: 7\n": "v7",
    "SOLVER: 3\n": "a.yaml",
    "- a\n": "found list, expected keys",
    "": "found NoneType, expected keys",
    "A: [\n": "expected YAML of plain values",
    "A: *b\n": "undefined alias",
    "A: " + "[" * 5000: "recursion",
    "A: &a [*a]\n": "aliases written out",
    "_BASE_: a.yaml\n": "in a circle",
    "_BASE_: ./../x/a.yaml\n": "a.yaml",
    "_BASE_: gone.yaml\n": "gone.yaml",
    "_BASE_: [gone.yaml]\n": "gone.yaml",
    "_BASE_: 3\n": "expected a path",
    "A: " + "x" * 1_000_001: "more than 1000000 characters",
    multiplying_yaml(): "aliases written out",
    "A: \x00\n": "expected YAML of plain values",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_files_are_named(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml: ") as error:
        merge_config_file(config(), path)
    assert BROKEN[text] in str(error.value)


def test_files_that_are_no_text_or_not_there(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"A: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        merge_config_file(config(), path)
    with pytest.raises(OSError, match=r"b\.yaml"):
        merge_config_file(config(), tmp_path / "b.yaml")


def test_a_base_in_another_folder(tmp_path):
    os.mkdir(tmp_path / "x")
    (tmp_path / "base.yaml").write_text("VERSION: 2\nSOLVER: {BASE_LR: 0.5, MAX_ITER: 9}\n")
    (tmp_path / "x" / "a.yaml").write_text("_BASE_: ../base.yaml\nSOLVER: {MAX_ITER: 7}\n")
    cfg = config()
    merge_config_file(cfg, tmp_path / "x" / "a.yaml")
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_ITER) == (0.5, 7)


def test_options_go_over_the_file_and_the_file_over_defaults(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("VERSION: 2\nOUTPUT_DIR: a\nMODEL: {EMA_DECAY: 0.5}\n")
    cfg = read_config(file, ["OUTPUT_DIR", "b", "SOLVER.MAX_ITER", "7"])
    assert (cfg.OUTPUT_DIR, cfg.MODEL.EMA_DECAY, cfg.SOLVER.MAX_ITER) == ("b", 0.5, 7)
    with pytest.raises(AssertionError, match="NO_SUCH_KEY"):
        read_config(file, ["NO_SUCH_KEY", 1])
