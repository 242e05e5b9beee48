"""A model's predictions on MuPoTS-3D: joints by name, pixels, processes, files, and the tool."""

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.evaluation import print_csv_format

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.engine import launch
from hmor_d2.evaluation.mupots import MUPOTS_FIGURES, evaluate_mupots
from hmor_d2.evaluation.mupots_evaluator import MuPoTSEvaluator, mupots_image_name
from hmor_d2.evaluation.mupots_report import flat_mupots_figures, mupots_json
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.mupots_scenes import (
    perfect_predictions,
    person,
    perturbed,
    standing_people,
    write_sequences,
)
from tests.evaluation.protocol_scenes import HEIGHT, WIDTH, by_names, make_instances, run
from tests.launching import needs_launch_on_cpu
from tests.scripts import load_script

SEQUENCES = {"TS3": (5, 2), "TS7": (4, 3)}


def make_scene(folder):
    """Two sequences, their records, and predictions by image in the dataset's conventions."""
    rng = np.random.default_rng(4)
    sequences, records, predictions = {}, [], {}
    for name, (frames, people) in SEQUENCES.items():
        arrays = standing_people(
            rng.uniform((-900, -100, 3000), (900, 100, 5000), (frames, people, 3))
        )
        arrays["occluded"] = rng.random(arrays["occluded"].shape) < 0.3
        sequences[name] = arrays
        records += [
            {
                "file_name": f"images/{name}/img_{i:06d}.jpg",
                "image_id": f"{name}/img_{i:06d}",
                "height": HEIGHT,
                "width": WIDTH,
                "sequence": name,
                "frame": i,
            }
            for i in range(frames)
        ]
        predictions |= perfect_predictions(
            name, arrays["annot2"], arrays["annot3"], arrays["valid"]
        )
    predictions = perturbed(predictions, 6)
    for people in predictions.values():
        for p in people:
            # As the model's float32 has them, so that nothing is rounded on the way.
            p["keypoints"] = (p["keypoints"] * 8).round() / 8
            p["keypoints_cam"] = p["keypoints_cam"].astype(np.float32).astype(np.float64)
    return write_sequences(folder, sequences), records, predictions


def as_instances(people, skeleton_name):
    """What a model of that skeleton gives out: its own joints, continuous pixels."""
    pixels = np.array([p["keypoints"] for p in people]).reshape(-1, 17, 2) + 0.5
    poses = np.array([p["keypoints_cam"] for p in people]).reshape(-1, 17, 3)
    pixels, poses = (by_names("muco17", skeleton_name, part) for part in (pixels, poses))
    return make_instances(poses, np.array([p["score"] for p in people]), pixels)


def instances_by_id(records, predictions, skeleton_name="muco21"):
    return {
        r["image_id"]: as_instances(predictions[r["image_id"] + ".jpg"], skeleton_name)
        for r in records
        if r["image_id"] + ".jpg" in predictions
    }


@pytest.fixture
def scene(tmp_path, register):
    folder, records, predictions = make_scene(tmp_path / "annotations")
    return register(records), folder, records, predictions


@pytest.mark.parametrize("skeleton_name", ["muco17", "muco21", "h36m17"])
def test_a_models_joints_and_pixels_become_the_datasets(scene, skeleton_name):
    name, folder, records, predictions = scene
    expected = flat_mupots_figures(evaluate_mupots(folder, predictions, list(SEQUENCES)))
    assert 0 < expected["3DPCK_abs"] < expected["3DPCK_rel_matched"] < 100
    assert 0 < expected["unmatched"] < expected["people"] == 22
    evaluator = MuPoTSEvaluator(name, folder, get_skeleton(skeleton_name))
    found = run(evaluator, instances_by_id(records, predictions, skeleton_name))
    assert found == pytest.approx(expected, rel=1e-5)
    assert {*MUPOTS_FIGURES, "AP_root_25", "MRPE", "PCOD", "unmatched"} < found.keys()
    assert all(type(value) is float and "-" not in key for key, value in found.items())


def test_half_a_pixel_matters(scene):
    """40 px off is no match, in either direction: the shift to the dataset's pixels is exact."""
    name, folder, records, _ = scene
    arrays = standing_people([[(0, 0, 4000), (900, 0, 4000)]] * 5)
    write_sequences(Path(folder), {"TS3": arrays})
    for offset, unmatched in ((-40, 10), (-39.5, 0), (39.5, 0), (40, 10)):
        predictions = {
            f"TS3/img_{i:06d}.jpg": [
                person(np.add(pixels, (offset, 0)), pose)
                for pixels, pose in zip(arrays["annot2"][i], arrays["annot3"][i], strict=True)
            ]
            for i in range(5)
        }
        evaluator = MuPoTSEvaluator(name, folder, get_skeleton("muco17"))
        found = run(evaluator, instances_by_id(records, predictions, "muco17"))
        assert found["unmatched"] == unmatched + 12


def test_images_of_records_by_file_name(scene, register):
    name, folder, records, predictions = scene
    evaluator = MuPoTSEvaluator(name, folder, get_skeleton("muco21"))
    instances = instances_by_id(records, predictions)
    expected = run(evaluator, instances)
    for record in records:
        del record["sequence"], record["frame"]
    evaluator = MuPoTSEvaluator(register(records), folder, get_skeleton("muco21"))
    assert run(evaluator, instances) == expected


def test_names_of_images():
    assert mupots_image_name({"sequence": "TS1", "frame": 7}, "") == "TS1/img_000007.jpg"
    for file_name in ("TS20/img_000123.jpg", "/a/TS20/img_000123.png", "C:\\TS20\\img_000123.jpg"):
        assert mupots_image_name({"file_name": file_name}, "") == "TS20/img_000123.jpg"
    for record in ({"file_name": "img_000123.jpg"}, {"file_name": "TS1/frame_1.jpg"}, {}):
        with pytest.raises(DatasetError, match=r"here: field 'file_name': found .*, expected"):
            mupots_image_name(record, "here")


def test_an_image_twice(scene, register):
    _, folder, records, predictions = scene
    records.append(records[0] | {"image_id": "again"})
    evaluator = MuPoTSEvaluator(register(records), folder, get_skeleton("muco21"))
    with pytest.raises(ValueError, match=r"images twice: \['TS3/img_000000.jpg'\]"):
        run(evaluator, instances_by_id(records[:-1], predictions))


def test_report(scene, caplog):
    name, folder, records, predictions = scene
    evaluator = MuPoTSEvaluator(name, folder, get_skeleton("muco21"))
    instances = instances_by_id(records, predictions)
    with caplog.at_level(logging.INFO):
        del instances["TS7/img_000002"]
        run(evaluator, instances)
    for part in ("TS3, TS7: figures are not those", "3DPCK_rel", "occluded", "Ankle", "1 of 9"):
        assert part in caplog.text
    results = evaluator.evaluate()
    with caplog.at_level(logging.INFO):
        caplog.clear()
        print_csv_format(results)
    assert "Task: mupots" in caplog.text and "3DPCK_abs_matched" in caplog.text


def load_tool():
    return load_script("tools/evaluate.py")


def test_written_predictions_give_the_tool_the_same_figures(scene, tmp_path, capsys):
    name, folder, records, predictions = scene
    output = tmp_path / "new" / "output"
    evaluator = MuPoTSEvaluator(name, folder, get_skeleton("muco21"), output_dir=str(output))
    figures = run(evaluator, instances_by_id(records, predictions))
    expected = mupots_json(evaluate_mupots(folder, predictions, list(SEQUENCES)))
    written = json.loads((output / "mupots_results.json").read_text())["mupots"]
    assert written["per_sequence"]["names"] == ["TS3", "TS7"]
    assert {k: written[k] for k in MUPOTS_FIGURES} == {k: figures[k] for k in MUPOTS_FIGURES}
    assert written["per_joint_group"] == expected["per_joint_group"]

    again = tmp_path / "results" / "again.json"
    arguments = ["--dataset", "mupots", "--annotations", folder, "--sequences", *SEQUENCES]
    file = str(output / "mupots_predictions.json")
    load_tool().main([*arguments, "--predictions", file, "--output", str(again)])
    found = json.loads(again.read_text())["mupots"]
    for key in MUPOTS_FIGURES:
        assert found[key] == pytest.approx(expected[key], abs=1e-6)
    for key in ("AP_root_25", "PCOD", "people", "unmatched"):
        assert found[key] == pytest.approx(expected[key])
    assert (
        found["per_sequence"]["occluded"]["joints"]
        == (expected["per_sequence"]["occluded"]["joints"])
    )
    printed = capsys.readouterr().out
    for key in ("3DPCK_rel", "3DPCK_abs", "AUC_rel_matched", "AP_root_25", "TS7", "Ankle"):
        assert key in printed
    assert f"{expected['3DPCK_rel']:.2f}" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --predictions, or"),
        (["--predictions", "a.json", "--predictions-2d", "a.mat"], "give either"),
        (["--predictions-2d", "a.mat"], "give either"),
        (["--predictions", "missing.json"], "missing.json: found no such file"),
        (["--predictions-2d", "a.mat", "--predictions-3d", "b.mat"], "a.mat: found no such file"),
    ],
)
def test_bad_arguments_of_the_tool(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        load_tool().main(["--dataset", "mupots", "--annotations", str(tmp_path), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_output_that_cannot_be_written(scene, tmp_path, capsys):
    _, folder, _, _ = scene
    predictions = tmp_path / "predictions.json"
    predictions.write_text('{"predictions": {}}')
    arguments = ["--dataset", "mupots", "--annotations", folder, "--sequences", "TS3"]
    for output in (tmp_path, predictions / "results.json"):
        with pytest.raises(SystemExit) as stopped:
            load_tool().main([*arguments, "--predictions", str(predictions), f"--output={output}"])
        printed = capsys.readouterr()
        assert stopped.value.code == 2 and not printed.out
        assert "error: [Errno" in printed.err.splitlines()[-1]
    assert not list(tmp_path.glob("*.partial"))


def test_the_tool_reads_what_a_collapsed_model_wrote(scene, tmp_path, capsys):
    """Bones of 30 mm, which look like centimetres: the evaluator's file says that they are mm."""
    name, folder, records, predictions = scene
    for people in predictions.values():
        for p in people:
            root = p["keypoints_cam"][14]
            p["keypoints_cam"] = root + 0.1 * (p["keypoints_cam"] - root)
    evaluator = MuPoTSEvaluator(name, folder, get_skeleton("muco21"), output_dir=str(tmp_path))
    figures = run(evaluator, instances_by_id(records, predictions))
    arguments = ["--dataset", "mupots", "--annotations", folder, "--sequences", *SEQUENCES]
    load_tool().main([*arguments, "--predictions", str(tmp_path / "mupots_predictions.json")])
    assert f"{figures['3DPCK_rel_matched']:.2f}" in capsys.readouterr().out


def evaluate_share(folder):
    """A process's work: its share of the images, padded as DistributedSampler pads."""
    from detectron2.utils import comm

    annotations, records, predictions = make_scene(
        Path(folder) / f"annotations{comm.get_world_size()}{comm.get_rank()}"
    )
    name = "mupots_of_processes"
    DatasetCatalog.register(name, lambda: records)
    output = str(Path(folder) / f"output{comm.get_world_size()}")
    evaluator = MuPoTSEvaluator(name, annotations, get_skeleton("muco21"), output_dir=output)
    instances = instances_by_id(records, predictions)
    for record in [*records, records[0]][comm.get_rank() :: comm.get_world_size()]:
        if record["image_id"] in instances:
            evaluator.process([record], [{"instances": instances[record["image_id"]]}])
    assert bool(evaluator.evaluate()) == comm.is_main_process()


@needs_launch_on_cpu
def test_two_processes_give_the_same_figures(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    launch(evaluate_share, 2, dist_url="auto", args=(str(tmp_path),))
    try:
        evaluate_share(str(tmp_path))
    finally:
        DatasetCatalog.remove("mupots_of_processes")
    for file in ("mupots_results.json", "mupots_predictions.json", "pose_results.json"):
        one, two = ((tmp_path / f"output{n}" / file).read_text() for n in (1, 2))
        assert one == two
    figures = json.loads((tmp_path / "output2/mupots_results.json").read_text())["mupots"]
    assert 0 < figures["3DPCK_abs"] < 100 and figures["unmatched"] < 20


def test_skeletons_without_the_datasets_joints(scene):
    name, folder, _, _ = scene
    with pytest.raises(ValueError, match=r"'panoptic15' lacks joints .*\['spine', 'head'\]"):
        MuPoTSEvaluator(name, folder, get_skeleton("panoptic15"))
    with pytest.raises(ValueError, match="skeleton 'coco17'"):
        MuPoTSEvaluator(name, folder, get_skeleton("coco17"))


def test_an_untrained_model_gets_figures_and_no_error(scene):
    """Poses in a point near the camera are no other unit; NaN is an error that names the image."""
    name, folder, records, predictions = scene
    instances = instances_by_id(records, predictions)
    for prediction in instances.values():
        prediction.pred_keypoints_cam = torch.full_like(prediction.pred_keypoints_cam, 0.1)
    evaluator = MuPoTSEvaluator(name, folder, get_skeleton("muco21"))
    found = run(evaluator, instances)
    assert found["3DPCK_rel"] == found["3DPCK_abs_matched"] == found["AP_root_25"] == 0
    nobody = {image_id: prediction[:0] for image_id, prediction in instances.items()}
    found = run(evaluator, nobody)
    assert found["unmatched"] == 22 and math.isnan(found["3DPCK_rel_matched"])
    instances["TS3/img_000001"].pred_keypoints_cam[0, 3, 2] = math.nan
    with pytest.raises(ValueError, match=r"'TS3/img_000001'.*'pred_keypoints_cam' must be finite"):
        run(evaluator, instances)
