"""Trainings and evaluations shared by several processes end as one process's do."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from tests.engine.process_runs import ROOT, run_processes
from tests.launching import needs_launch_on_cpu
from tests.toy_data import draw_toy_data

pytestmark = needs_launch_on_cpu

# Images of the training set without people.  In steps of 4 images in this order, two processes
# (even and odd places) get: one of them nobody; both somebody; neither anybody; and again.
EMPTY = {1, 3, 5, 8, 9, 10, 11}
NUM_IMAGES = 12

CONFIG = {
    "_BASE_": str(ROOT / "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"),
    "MODEL": {
        "FPN": {"OUT_CHANNELS": 32},
        # Nothing is sampled: what a process draws at random is its own.
        "RPN": {"BATCH_SIZE_PER_IMAGE": 10000, "LOSS_WEIGHT": 20.0, "POST_NMS_TOPK_TRAIN": 40},
        "ROI_HEADS": {"BATCH_SIZE_PER_IMAGE": 1000, "SCORE_THRESH_TEST": 0.0},
        "ROI_BOX_HEAD": {"FC_DIM": 32},
        "ROI_POSE_HEAD": {
            "BATCH_SIZE_PER_IMAGE": 0, "BLOCK_DIM": 16, "NUM_BLOCKS": 1, "DECONV_DIM": 32,
            "NORM": "FrozenBN",
        },
        "ROI_DEPTH_HEAD": {"BLOCK_DIM": 16, "NUM_BLOCKS": 1, "FC_DIM": 32, "NORM": "FrozenBN"},
        "DEPTH_MAP_HEAD": {"CONV_DIM": 32},
        "HMOR": {"ABS_POSE_LOSS_WEIGHT": 0.1},
    },
    "DATASETS": {
        "CUSTOM": [
            {"name": f"processes_{split}", "format": "muco", "json_file": f"toy/{split}.json",
             "image_root": "toy", "evaluator_type": ["pose3d", "boxes"]}
            for split in ("train", "test")
        ],
        "TRAIN": ["processes_train"],
        "TEST": [],
    },
    "DATALOADER": {"NUM_WORKERS": 0, "FILTER_EMPTY_ANNOTATIONS": False},
    "INPUT": {"MIN_SIZE_TRAIN": [64], "MIN_SIZE_TEST": 64},
    "TEST": {"DETECTIONS_PER_IMAGE": 5, "AUG": {"MIN_SIZES": [64]}},
    "SOLVER": {
        "IMS_PER_BATCH": 4, "OPTIMIZER": "SGD", "BASE_LR": 0.02, "WARMUP_ITERS": 2, "MAX_ITER": 20,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A folder for DETECTRON2_DATASETS with the config that describes it."""
    root = draw_toy_data(tmp_path_factory.mktemp("datasets"), NUM_IMAGES, 5)
    file = root / "toy/train.json"
    content = json.loads(file.read_text())
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] not in EMPTY]
    file.write_text(json.dumps(content))
    (root / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return root


def arguments(datasets: Path, output: Path, *options: str, first: tuple[str, ...] = ()):
    """Arguments of train_net.py."""
    config = ["--config-file", str(datasets / "config.yaml"), *first]
    return [*config, "OUTPUT_DIR", str(output), *options]


def heads(norm: str) -> list[str]:
    return ["MODEL.ROI_POSE_HEAD.NORM", norm, "MODEL.ROI_DEPTH_HEAD.NORM", norm]


def train(datasets: Path, folder: Path, numbers: tuple[int, ...], norm: str) -> list[list[dict]]:
    """Records of every process of trainings on so many processes each."""
    runs = [
        {
            "processes": n,
            "exact": True,
            "record": str(folder / f"of{n}"),
            "arguments": arguments(datasets, folder / f"output{n}", *heads(norm)),
        }
        for n in numbers
    ]
    codes, logs = run_processes(folder, datasets, runs)
    assert codes == [0] * len(runs), logs[codes.index(1)][-3000:]
    return [records(folder / f"of{n}", n) for n in numbers]


def records(path: Path, processes: int) -> list[dict]:
    return [torch.load(f"{path}.rank{rank}.pt") for rank in range(processes)]


def assert_close(found: dict, expected: dict, of: dict | None = None, leave_out: str = "\0"):
    """Tensors are equal to 1e-9, relative to the norm of each, or of its change since ``of``."""
    checked = 0
    for name, value in expected.items():
        if not value.is_floating_point() or leave_out in str(name):
            continue
        scale = (value if of is None else value - of[name]).norm()
        assert (found[name] - value).norm() <= 1e-9 * scale, name
        checked += bool(scale > 0)
    assert checked > 80


def assert_equal_to_one_process(several: list[dict], one: list[dict]):
    (one,) = one
    for record in several:
        for found, expected in zip(record["gradients"], one["gradients"], strict=True):
            assert_close(found, expected)
        # NaiveSyncBatchNorm's running variance is the biased one.
        assert_close(record["end"], one["end"], one["start"], "running_var")
        for name, value in several[0]["end"].items():
            assert torch.equal(record["end"][name], value), name
    # It learnt: weights have moved by percents in these steps.
    changes = [
        (one["end"][name] - start).norm() / start.norm()
        for name, start in one["start"].items()
        if name in one["gradients"][0] and start.norm() > 0
    ]
    assert torch.stack(changes).median() > 0.01


# The norms of the heads; the backbone's are fixed in any case.
@pytest.mark.parametrize(
    "norm", ["naiveSyncBN_N", pytest.param("FrozenBN", marks=pytest.mark.slow)]
)
def test_two_processes_train_as_one(datasets, tmp_path, norm):
    one, two = train(datasets, tmp_path, (1, 2), norm)
    assert_equal_to_one_process(two, one)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["FrozenBN", "naiveSyncBN_N"])
def test_four_processes_train_as_one(datasets, tmp_path, norm):
    one, four = train(datasets, tmp_path, (1, 4), norm)
    assert_equal_to_one_process(four, one)


def test_a_fault_of_one_process(datasets, tmp_path):
    """A loss that is not finite and a broken image, both of the second process."""
    root = tmp_path / "datasets"
    (root / "toy").mkdir(parents=True)
    (root / "config.yaml").write_text((datasets / "config.yaml").read_text())
    (root / "toy/train.json").write_text((datasets / "toy/train.json").read_text())
    (root / "toy/images").mkdir()
    for file in (datasets / "toy/images").iterdir():
        (root / "toy/images" / file.name).write_bytes(file.read_bytes())
    broken = root / "toy/images/train_000007.jpg"  # place 3 of the second step
    broken.write_bytes(broken.read_bytes()[:300])
    common = {"processes": 2, "exact": True}
    options = ["SOLVER.MAX_ITER", "4", "MODEL.EMA_DECAY", "0.9"]
    skip = [*options, "DATALOADER.ON_BAD_SAMPLE", "skip"]
    runs = [
        {
            **common,
            "record": str(tmp_path / "skips"),
            "spoil": [1, 2],
            "arguments": arguments(root, tmp_path / "skips", *skip),
        },
        {**common, "arguments": arguments(root, tmp_path / "stops", *options)},
    ]
    codes, logs = run_processes(tmp_path, root, runs)
    # Where a process stops, the other, which waits for it, is stopped with it.
    assert codes == [0, 1], logs
    assert "train_000007.jpg" in logs[1]

    one, other = records(tmp_path / "skips", 2)
    assert one["skipped"] == other["skipped"] == 1
    for part in ("end", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, other[part][name]), (part, name)
            assert value.isfinite().all(), (part, name)
    moved = (one["average"][n] - one["end"][n] for n in one["gradients"][0])
    assert any(difference.norm() > 0 for difference in moved)
    main, second = ((tmp_path / "skips" / f).read_text() for f in ("log.txt", "log.txt.rank1"))
    assert "Iteration 2: step skipped" in main and "process 1: losses" in main
    assert "'loss_pose': 'inf'" in main
    assert "train_000007.jpg" in second and "Left out bad sample 1 of" in second
    assert "Left out bad sample" not in main


def test_killed_and_resumed_on_two_processes(datasets, tmp_path):
    options = ["SOLVER.MAX_ITER", "5", "SOLVER.CHECKPOINT_PERIOD", "2", "MODEL.EMA_DECAY", "0.9"]
    options += [*heads("naiveSyncBN_N"), "MODEL.RPN.BATCH_SIZE_PER_IMAGE", "32"]  # samples
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    common = {"processes": 2, "record": str(tmp_path / "record")}
    resumed = arguments(datasets, killed, *options, first=("--resume",))
    runs = [
        {**common, "arguments": arguments(datasets, whole, *options)},
        {**common, "arguments": arguments(datasets, killed, *options), "die": [1, 3]},
        {**common, "arguments": resumed},
    ]
    codes, logs = run_processes(tmp_path, datasets, runs)
    assert codes == [0, 1, 0], logs[-1][-3000:]
    assert "SIGKILL" in logs[1] and "Starting training from iteration 2" in logs[2]
    found, expected = (
        torch.load(folder / "model_final.pth", weights_only=True) for folder in (killed, whole)
    )
    for part in (trained_weights, averaged_weights, momenta):
        expected_part = part(expected)
        assert len(expected_part) > 80 and part(found).keys() == expected_part.keys()
        for name, value in part(found).items():
            assert torch.equal(value, expected_part[name]), (part.__name__, name)


def trained_weights(checkpoint: dict) -> dict:
    return checkpoint["model"]


def averaged_weights(checkpoint: dict) -> dict:
    return checkpoint["trainer"]["hooks"]["EMAHook"]["model"]


def momenta(checkpoint: dict) -> dict:
    states = checkpoint["trainer"]["_trainer"]["optimizer"]["state"]
    return {key: state["momentum_buffer"] for key, state in states.items()}


def results(folder: Path) -> dict[str, list | dict]:
    """What the evaluators wrote, in the order of the images."""
    found = {}
    for inference in ("inference", "inference_TTA"):
        written = folder / inference / "processes_test"
        pose = json.loads((written / "pose3d/pose_predictions.json").read_text())
        pose["predictions"].sort(key=lambda image: image["image_id"])
        boxes = json.loads((written / "boxes/coco_instances_results.json").read_text())
        boxes.sort(key=lambda box: (box["image_id"], -box["score"]))
        figures = json.loads((written / "pose3d/pose_results.json").read_text())
        found[inference] = [figures, pose, boxes]
    return found


def test_two_processes_evaluate_as_one(datasets, tmp_path):
    """During a training on two processes, in shares of 3 and 2 images, and afterwards on one."""
    test = ["DATASETS.TEST", "('processes_test',)", "TEST.AUG.ENABLED", "True"]
    two, one = tmp_path / "two", tmp_path / "one"
    training = [*test, "SOLVER.MAX_ITER", "2", *heads("naiveSyncBN_N")]
    weights = [*test, *heads("naiveSyncBN_N"), "MODEL.WEIGHTS", str(two / "model_final.pth")]
    runs = [
        {"processes": 2, "arguments": arguments(datasets, two, *training)},
        {"processes": 1, "arguments": arguments(datasets, one, *weights, first=("--eval-only",))},
    ]
    codes, logs = run_processes(tmp_path, datasets, runs)
    assert codes == [0, 0], logs[codes.index(1)][-3000:]
    found, expected = results(two), results(one)
    assert found == expected
    for figures, pose, boxes in expected.values():
        assert figures["pose3d"]["people"] > 5 and len(pose["predictions"]) == 5
        assert len(boxes) == 25
    tables = [
        [line.partition("copypaste: ")[2] for line in log.splitlines() if "copypaste" in line]
        for log in logs
    ]
    assert tables[0] and tables[0] == tables[1]
