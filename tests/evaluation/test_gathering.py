"""Evaluators of the datasets' protocols: two processes give the figures of one."""

import json

import pytest
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog

from hmor_d2 import add_hmor_config
from hmor_d2.data import register_coco_keypoints
from hmor_d2.engine import launch
from hmor_d2.evaluation import build_evaluator
from tests.evaluation import panoptic_scenes, test_3dpw, test_coco, test_human36m
from tests.launching import needs_launch_on_cpu

MUCO17 = test_3dpw.MUCO17
FILES = {
    "gathering_panoptic": ("panoptic", "pose_results.json"),
    "gathering_3dpw": ("3dpw", "pose_results.json"),
    "gathering_human36m": ("human36m", "pose_results.json"),
    "gathering_coco": ("results", "coco_results.json"),
}


def register_scenes(folder):
    scenes = {
        "gathering_panoptic": panoptic_scenes.make_scene(0),
        "gathering_3dpw": test_3dpw.make_scene(0, MUCO17),
        "gathering_human36m": test_human36m.make_scene(0),
    }
    for name, (records, _) in scenes.items():
        DatasetCatalog.register(name, lambda records=records: records)
        MetadataCatalog.get(name).evaluator_type = FILES[name][0]
    MetadataCatalog.get("gathering_panoptic").evaluator_options = {"matching": "smap"}
    MetadataCatalog.get("gathering_3dpw").evaluator_options = {"iou_threshold": 0.4}
    content = test_coco.make_content(0)
    register_coco_keypoints("gathering_coco", f"{folder}/coco.json", folder)
    predictions = {name: predicted for name, (_, predicted) in scenes.items()}
    return predictions | {"gathering_coco": test_coco.make_predictions(content, MUCO17, 0)}


def evaluate_share(folder, output_dir):
    """A process's work: its share of the images."""
    from detectron2.utils import comm

    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.OUTPUT_DIR = output_dir
    for name, predictions in register_scenes(folder).items():
        evaluator = build_evaluator(cfg, name)
        evaluator.reset()
        for image_id in list(predictions)[comm.get_rank() :: comm.get_world_size()]:
            source = {"image_id": image_id, "file_name": f"{image_id}.jpg"}
            evaluator.process([source], [{"instances": predictions[image_id]}])
        assert bool(evaluator.evaluate()) == comm.is_main_process()


@pytest.fixture
def clean():
    yield
    for name in FILES:
        if name in DatasetCatalog:
            DatasetCatalog.remove(name)
        if name in MetadataCatalog:
            MetadataCatalog.remove(name)


@needs_launch_on_cpu
def test_two_processes_give_the_same_figures(tmp_path, monkeypatch, clean):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "coco.json").write_text(json.dumps(test_coco.make_content(0)))
    launch(evaluate_share, 2, dist_url="auto", args=(str(tmp_path), str(tmp_path / "two")))
    evaluate_share(str(tmp_path), str(tmp_path / "one"))
    for name, (task, file_name) in FILES.items():
        one, two = (
            json.loads((tmp_path / n / "inference" / name / file_name).read_text())
            for n in ("one", "two")
        )
        assert one == two
        figures = one[task] if name != "gathering_coco" else one[task]["keypoints"]
        assert figures.get("matched", figures.get("AP")) > 3
    assert two["keypoint_ap_joints"] and "matching" not in two


def make_cfg():
    cfg = get_cfg()
    add_hmor_config(cfg)
    return cfg


def test_unknown_types_and_options(clean):
    metadata = MetadataCatalog.get("gathering_panoptic")
    with pytest.raises(ValueError, match=r"'gathering_panoptic': found evaluator_type None.*3dpw"):
        build_evaluator(make_cfg(), "gathering_panoptic")
    metadata.evaluator_type = "human36m"
    metadata.evaluator_options = {"matching": "smap"}
    message = r"'gathering_panoptic': evaluator_options .*do not fit Human36MEvaluator.*'matching'"
    with pytest.raises(ValueError, match=message):
        build_evaluator(make_cfg(), "gathering_panoptic")


OPTIONS = [
    {"dataset": "coco_2017_val", "matching": "no option of this dataset's"},
    {"dataset": "gathering_panoptic", "matching": "crmh"},
    {"dataset": "gathering_panoptic", "activities": ["pizza"]},
]


@pytest.mark.parametrize("source", ["yaml", "command line"])
def test_options_of_the_config(clean, tmp_path, source):
    metadata = MetadataCatalog.get("gathering_panoptic")
    metadata.evaluator_type = "panoptic"
    metadata.evaluator_options = {"matching": "smap", "activities": ["mafia", "pizza"]}

    def settings(options):
        cfg = make_cfg()
        if source == "yaml":
            path = tmp_path / "options.yaml"
            path.write_text(yaml.safe_dump({"TEST": {"EVALUATOR_OPTIONS": options}, "VERSION": 2}))
            cfg.merge_from_file(str(path))
        else:
            cfg.merge_from_list(["TEST.EVALUATOR_OPTIONS", str(options)])
        cfg.freeze()
        CfgNode.load_cfg(cfg.dump())  # as default_setup writes it
        return build_evaluator(cfg, "gathering_panoptic")._settings()

    assert settings([]) == {"matching": "smap", "activities": ("mafia", "pizza")}
    # The metadata's go on where the config says nothing, and stay as they were.
    assert settings(OPTIONS[:2]) == {"matching": "crmh", "activities": ("mafia", "pizza")}
    assert settings(OPTIONS) == {"matching": "crmh", "activities": ("pizza",)}
    assert metadata.evaluator_options["matching"] == "smap"
    message = "'gathering_panoptic': evaluator_options .*do not fit PanopticEvaluator.*'radius'"
    with pytest.raises(ValueError, match=message):
        settings([{"dataset": "gathering_panoptic", "radius": 3}])


@pytest.mark.parametrize(
    "entry", [{"dataset": "panoptic_tset", "matching": "smap"}, {"matching": "smap"}, "smap"]
)
def test_options_of_no_dataset(clean, entry):
    MetadataCatalog.get("gathering_panoptic").evaluator_type = "panoptic"
    cfg = make_cfg()
    cfg.TEST.EVALUATOR_OPTIONS = [entry]
    with pytest.raises(ValueError, match=r"TEST.EVALUATOR_OPTIONS: found .*name of a registered"):
        build_evaluator(cfg, "gathering_panoptic")
