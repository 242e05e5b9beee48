"""The pose evaluator in runs: as Detectron2 calls it, in one process and in two."""

import json

from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_on_dataset

from hmor_d2.engine import launch
from hmor_d2.evaluation.pose_evaluator import Pose3DEvaluator
from tests.evaluation.pose_scenes import MUCO17, make_records, noisy_predictions, run
from tests.launching import needs_launch_on_cpu


def test_reset_forgets(register):
    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    evaluator = Pose3DEvaluator(name, MUCO17)
    evaluator.process([{"image_id": 0}], [{"instances": predictions[0]}])
    evaluator.reset()
    assert evaluator.evaluate()["pose3d"]["matched"] == 0


def test_as_detectron2_calls_it(register):
    records = make_records(7)
    predictions = noisy_predictions(records, 7)

    def model(inputs):
        return [{"instances": predictions[x["image_id"]]} for x in inputs]

    loader = [records[:3], records[3:]]
    name = register(records)
    results = inference_on_dataset(model, loader, [Pose3DEvaluator(name, MUCO17)])
    assert results["pose3d"] == run(name, predictions)


def evaluate_share(output_dir):
    """A process's work: its share of the images, padded as DistributedSampler pads."""
    from detectron2.utils import comm

    records = make_records(8, num_images=7)
    DatasetCatalog.register("shared_by_processes", lambda: records)
    predictions = noisy_predictions(records, 8)
    evaluator = Pose3DEvaluator("shared_by_processes", MUCO17, output_dir=output_dir)
    for image_id in [0, 1, 2, 3, 4, 5, 6, 0][comm.get_rank() :: comm.get_world_size()]:
        evaluator.process([records[image_id]], [{"instances": predictions[image_id]}])
    results = evaluator.evaluate()
    assert bool(results) == comm.is_main_process()


@needs_launch_on_cpu
def test_two_processes_give_the_same_figures(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    launch(evaluate_share, 2, dist_url="auto", args=(str(tmp_path / "two"),))
    try:
        evaluate_share(str(tmp_path / "one"))
    finally:
        DatasetCatalog.remove("shared_by_processes")
    one, two = (
        json.loads((tmp_path / n / "pose_results.json").read_text()) for n in ("one", "two")
    )
    assert one == two and one["pose3d"]["matched"] > 3
    one, two = (
        json.loads((tmp_path / n / "pose_predictions.json").read_text()) for n in ("one", "two")
    )
    by_id = {image["image_id"]: image for image in two.pop("predictions")}
    assert {image["image_id"]: image for image in one.pop("predictions")} == by_id
    assert sorted(by_id) == list(range(7)) and one == two


def test_not_distributed_asks_no_other_process(register, monkeypatch):
    from detectron2.utils import comm

    records = make_records(2)
    name, predictions = register(records), noisy_predictions(records, 2)
    expected = run(name, predictions)
    monkeypatch.setattr(comm, "gather", None)
    monkeypatch.setattr(comm, "synchronize", None)
    assert run(name, predictions, distributed=False) == expected
