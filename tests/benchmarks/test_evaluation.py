"""tools/benchmark.py evaluation, on few frames and images."""

import json

import numpy as np
import pytest

from hmor_d2.evaluation import evaluate_mupots


def test_both_parts_are_timed(run_benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HMOR_REAL_DATA", raising=False)
    output = tmp_path / "figures.json"
    sizes = ["--frames", "23", "--images", "6", "--predictions", "4", "--repeats", "2"]
    run_benchmark("evaluation", *sizes, "--json", str(output))
    printed = capsys.readouterr().out
    assert "made-up annotations: 23 frames of 20 sequences" in printed
    figures = json.loads(output.read_text())
    mupots, coco = figures["mupots"], figures["coco"]
    assert mupots["frames"] == 23 and 40 < mupots["predicted_people"] < 100
    times = (mupots["reading"], mupots["protocol"], coco["times_ours"], *coco["seconds"].values())
    for values in times:
        low, high = values["quartiles"]
        assert 0 < low <= values["median"] <= high
    # Noisy copies of the annotated people are found; both evaluators were compared by run().
    assert all(0 < ap < 100 for ap in coco["AP"].values())


def test_made_up_people_are_mostly_right(benchmark, tmp_path):
    data = benchmark("evaluation_data")
    data.write_mupots(tmp_path, 60)
    predictions = data.mupots_predictions(tmp_path)
    assert len(predictions.names) == 60
    assert (np.diff(predictions.image) >= 0).all()
    figures = evaluate_mupots(tmp_path, predictions)
    assert figures["people"] == 180
    assert 3 < figures["unmatched"] < 50
    assert 30 < figures["3DPCK_abs"] < figures["3DPCK_rel"] < 95


def test_annotations_that_are_not_whole_are_not_taken(benchmark, tmp_path, monkeypatch):
    data = benchmark("evaluation_data")
    folder = tmp_path / "mupots" / "MultiPersonTestSet"
    data.write_mupots(folder, 20)
    monkeypatch.setenv("HMOR_REAL_DATA", str(tmp_path))
    assert data.find_mupots() == folder
    (folder / "TS20" / "annot.mat").unlink()
    assert data.find_mupots() is None
    monkeypatch.delenv("HMOR_REAL_DATA")
    assert data.find_mupots() is None


def test_evaluators_that_disagree_are_an_error(benchmark, monkeypatch):
    evaluation = benchmark("evaluation")
    evaluate = evaluation.COCOEvaluator.evaluate

    def shifted(self, *arguments):
        results = evaluate(self, *arguments)
        if type(self) is evaluation.COCOEvaluator:
            results["keypoints"]["AP"] += 1.0
        return results

    monkeypatch.setattr(evaluation.COCOEvaluator, "evaluate", shifted)
    with pytest.raises(AssertionError, match="keypoints: AP"):
        evaluation.measure_coco(4, 3, 1)
