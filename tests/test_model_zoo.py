"""The model zoo: names, configs, and that only whole files of weights are loaded."""

import hashlib
from pathlib import Path

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model

from hmor_d2 import add_hmor_config, model_zoo
from hmor_d2.checkpoint import CheckpointError, HMORCheckpointer
from hmor_d2.model_zoo import packaged_weights
from hmor_d2.model_zoo.packaged_weights import BACKBONES, TRAINED_MODELS, PackagedWeights

ROOT = Path(__file__).parents[1]
NAME = "mine/tiny"
TINY = f"""
_BASE_: "{ROOT}/configs/Base-HMOR-RCNN-R50-half-FPN.yaml"
MODEL:
  RESNETS: {{WIDTH_PER_GROUP: 8, STEM_OUT_CHANNELS: 8, RES2_OUT_CHANNELS: 16}}
  FPN: {{OUT_CHANNELS: 8}}
  ROI_BOX_HEAD: {{FC_DIM: 16}}
  ROI_POSE_HEAD: {{BLOCK_DIM: 8, DECONV_DIM: 8}}
  ROI_DEPTH_HEAD: {{BLOCK_DIM: 8, FC_DIM: 8}}
  DEPTH_MAP_HEAD: {{CONV_DIM: 32}}
  DEVICE: "cuda"
"""


def read_config(file: Path):
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(file))
    return cfg


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """A tiny model in the zoo: (its weights' file, its state dict)."""
    config = tmp_path / "configs" / f"{NAME}.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(TINY)
    cfg = read_config(config)
    cfg.MODEL.DEVICE = "cpu"
    torch.manual_seed(3)
    state = build_model(cfg).state_dict()
    file = tmp_path / "tiny.pth"
    torch.save({"model": state}, file)
    weights = PackagedWeights(file.name, hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(TRAINED_MODELS, NAME, weights)
    monkeypatch.setattr(packaged_weights, "FOLDER", tmp_path)
    monkeypatch.setattr(model_zoo.model_zoo, "CONFIGS", tmp_path / "configs")
    return file, state


@pytest.mark.parametrize("name", [NAME, f"{NAME}.yaml"])
def test_a_trained_model(entry, name):
    assert NAME in model_zoo.available()
    model = model_zoo.get(name, device="cpu")
    assert not any(module.training for module in model.modules())
    for key, value in model.state_dict().items():
        assert torch.equal(value, entry[1][key]), key
    image = torch.zeros(3, 64, 96, dtype=torch.uint8)
    (output,) = model([{"image": image, "height": 64, "width": 96}])
    assert output["instances"].image_size == (64, 96)


def test_a_model_that_is_not_trained(entry):
    entry[0].unlink()
    model = model_zoo.get(NAME, pretrained=False, device=torch.device("cpu"))
    assert not model.training
    found = model.state_dict()
    assert found.keys() == entry[1].keys()
    assert not torch.equal(
        found["backbone.fpn_output2.weight"], entry[1]["backbone.fpn_output2.weight"]
    )


def test_without_a_device_it_is_where_it_can_be(entry, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert model_zoo.get(NAME).device == torch.device("cpu")


def test_the_config(entry):
    cfg = model_zoo.get_config(NAME)
    assert cfg.MODEL.WEIGHTS == "hmor_d2://tiny.pth"
    assert cfg.MODEL.ROI_POSE_HEAD.DECONV_DIM == 8 and cfg.MODEL.HMOR.SKELETON == "muco17"
    cfg.MODEL.DEVICE = "cpu"  # it is not frozen
    untrained = model_zoo.get_config(NAME, pretrained=False)
    assert untrained.MODEL.WEIGHTS == "hmor_d2://resnet50_half_width.pth"
    cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE = untrained.MODEL.WEIGHTS, "cuda"
    assert cfg == untrained


@pytest.mark.parametrize("name", ["mine/tinny", "tiny", "", "../mine/tiny"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_unknown_names_list_the_known(entry, name, pretrained):
    with pytest.raises(KeyError) as error:
        model_zoo.get(name, pretrained=pretrained, device="cpu")
    assert isinstance(error.value, model_zoo.UnknownModelError)
    what = "trained model" if pretrained else "config"
    known = ", ".join(model_zoo.available()) if pretrained else NAME
    assert str(error.value) == f"no {what} '{name}' in the package; it has {known}"


def test_configs_without_a_trained_model(monkeypatch):
    name = "muco_coco/hmor_rcnn_R_50_FPN"
    with pytest.raises(KeyError, match="no trained model 'muco_coco/hmor_rcnn_R_50_FPN'"):
        model_zoo.get_config(name)
    monkeypatch.setattr(packaged_weights, "TRAINED_MODELS", {})
    monkeypatch.setattr(model_zoo.model_zoo, "TRAINED_MODELS", {})
    with pytest.raises(KeyError, match="it has none"):
        model_zoo.get_config(name)
    assert model_zoo.available() == []


def test_every_config_of_the_repository_is_found():
    files = sorted((ROOT / "configs").rglob("*.yaml"))
    assert len(files) > 10
    for file in files:
        name = str(file.relative_to(ROOT / "configs").with_suffix(""))
        found = model_zoo.get_config_file(name)
        assert Path(found).read_text() == file.read_text()
        assert model_zoo.get_config_file(f"{name}.yaml") == found
        assert model_zoo.get_config(name, pretrained=False) == read_config(file)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 23098135\n"


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda content: content[:1000], "truncated or of another version: found 1000 bytes"),
        (lambda content: b"", "truncated or of another version: found 0 bytes"),
        (lambda content: content[:-1] + b"x", "truncated or of another version"),
        (lambda content: LFS_POINTER, "Git LFS pointer.*run 'git lfs pull'"),
    ],
)
def test_files_that_are_not_whole_are_refused(entry, damage, message):
    file, _ = entry
    file.write_bytes(damage(file.read_bytes()))
    cfg = model_zoo.get_config(NAME)  # needs no weights
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg)
    before = model.backbone.fpn_output2.weight.clone()
    with pytest.raises(CheckpointError, match=message) as error:
        HMORCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    assert str(file) in str(error.value)
    assert torch.equal(model.backbone.fpn_output2.weight, before)
    with pytest.raises(CheckpointError, match=message):
        model_zoo.get(NAME, device="cpu")


def test_missing_files_and_files_that_are_not_listed(entry, tmp_path):
    handler = packaged_weights.PackagedWeightsHandler()
    (tmp_path / "stray.pth").write_bytes(b"x")
    for name in ("stray.pth", "../tiny.pth", "no.pth"):
        with pytest.raises(FileNotFoundError, match=r"no weights.*in the package.*tiny\.pth"):
            handler._get_local_path(f"hmor_d2://{name}")
    entry[0].unlink()
    with pytest.raises(FileNotFoundError, match=r"tiny\.pth is missing"):
        model_zoo.get(NAME, device="cpu")


def test_the_file_can_be_opened_through_detectron2(entry):
    with packaged_weights.PathManager.open("hmor_d2://tiny.pth", "rb") as file:
        assert file.read() == entry[0].read_bytes()
    assert packaged_weights.PathManager.isfile("hmor_d2://tiny.pth")


def test_what_the_package_lists_is_there():
    """Files, their SHA-256, configs, and that the weights are those of the configs' models."""
    handler = packaged_weights.PackagedWeightsHandler()
    for weights in (*BACKBONES, *TRAINED_MODELS.values()):
        path = Path(handler._get_local_path(f"hmor_d2://{weights.file}"))
        assert path.stat().st_size < 25e6
    for name in model_zoo.available():
        cfg = model_zoo.get_config(name)
        cfg.MODEL.DEVICE = "cpu"
        expected = {key: value.shape for key, value in build_model(cfg).state_dict().items()}
        path = handler._get_local_path(cfg.MODEL.WEIGHTS)
        saved = torch.load(path, weights_only=True)["model"]
        assert {key: value.shape for key, value in saved.items()} == expected, name
