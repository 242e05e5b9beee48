"""The official evaluation of MuPoTS-3D against a literal transcription, on its own test set."""

import time

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hmor_d2.data.datasets.mupots_annotations import MUPOTS_SEQUENCES, read_mupots_sequence
from hmor_d2.evaluation.mupots import MUPOTS_FIGURES, evaluate_mupots
from hmor_d2.evaluation.mupots_protocol import JOINT_GROUPS
from tests.evaluation import mupots_reference as reference
from tests.evaluation.mupots_scenes import perfect_predictions, perturbed
from tests.real_data import real_data


def annotations_as_predictions(folder, sequences=MUPOTS_SEQUENCES):
    predictions = {}
    for name in sequences:
        a = read_mupots_sequence(f"{folder}/{name}")
        predictions |= perfect_predictions(name, a.annot2, a.annot3, a.valid)
    return predictions


@pytest.fixture(scope="module")
def thinned(tmp_path_factory):
    """Every 9th frame of every sequence of the real test set, as a test set of its own."""
    source = real_data("mupots", "MultiPersonTestSet")
    folder = tmp_path_factory.mktemp("MultiPersonTestSet")
    for name in MUPOTS_SEQUENCES:
        (folder / name).mkdir()
        for file, variable in (
            ("annot.mat", "annotations"),
            ("occlusion.mat", "occlusion_labels"),
        ):
            cells = loadmat(source / name / file)[variable][::9]
            savemat(folder / name / file, {variable: cells}, do_compression=True)
    return folder


def assert_equals_reference(folder, predictions, sequences=MUPOTS_SEQUENCES):
    """Every figure of ``evaluate_mupots`` to 1e-6; returns them."""
    found = evaluate_mupots(folder, predictions, sequences)
    offsets, images = [], []
    expected = {}
    for name in sequences:
        frames = reference.read_frames(f"{folder}/{name}")
        people = [predictions.get(f"{name}/img_{i:06d}.jpg", []) for i in range(len(frames))]
        predicted = [
            [(p["keypoints"].tolist(), p["keypoints_cam"].tolist()) for p in image]
            for image in people
        ]
        expected[name] = reference.evaluate_sequence(frames, predicted)
        offsets += reference.matched_root_offsets(frames, predicted)
        images += [
            ([(p["score"], p["keypoints_cam"][14].tolist()) for p in image], [f[1][14] for f in fs])
            for image, fs in zip(people, frames, strict=True)
        ]

    per_sequence = found["per_sequence"]
    assert per_sequence["names"] == list(sequences)
    for relative, mode in ((True, "rel"), (False, "abs")):
        for everyone, suffix in ((True, ""), (False, "_matched")):
            values = [expected[name][relative, everyone] for name in sequences]
            for figure, title in (("pck", "3DPCK"), ("auc", "AUC")):
                key = f"{title}_{mode}{suffix}"
                for group in (*JOINT_GROUPS, "Total"):
                    ours = (found, per_sequence)
                    if group != "Total":
                        ours = [part["per_joint_group"] for part in ours]
                    ours = [part[key] if group == "Total" else part[key][group] for part in ours]
                    theirs = [value[figure][group] for value in values]
                    np.testing.assert_allclose(ours[1], theirs, atol=1e-6, rtol=0)
                    assert ours[0] == pytest.approx(np.mean(theirs), abs=1e-6)
            for part in ("visible", "occluded"):
                key, ours = f"3DPCK_{mode}{suffix}", per_sequence[part]
                tables = [value[part] for value in values]
                by_joint, totals = [t[0] for t in tables], [t[1] for t in tables]
                np.testing.assert_allclose(ours["per_joint"][key], by_joint, atol=1e-6, rtol=0)
                np.testing.assert_allclose(ours[key], totals, atol=1e-6, rtol=0)
                assert ours[f"joints{suffix}"].tolist() == [t[2] for t in tables]
                assert found[part][key] == pytest.approx(np.mean(totals), abs=1e-6)
                assert found[part][f"joints{suffix}"] == sum(t[2] for t in tables)
            pcod = [value["pcod"] for value in values]
            np.testing.assert_allclose(per_sequence[f"PCOD{suffix}"], pcod, atol=1e-6)
            assert found[f"PCOD{suffix}"] == pytest.approx(np.mean(pcod), abs=1e-6)
            for key, name in (("people", "people"), ("unmatched", "undetected")):
                assert per_sequence[key].tolist() == [value[name] for value in values]
                assert found[key] == sum(value[name] for value in values)
    offsets = np.abs(offsets)
    assert found["MRPE"] == pytest.approx(np.sqrt((offsets**2).sum(axis=1)).mean(), abs=1e-6)
    axes = [found[f"MRPE_{axis}"] for axis in "xyz"]
    assert axes == pytest.approx(offsets.mean(axis=0).tolist(), abs=1e-6)
    assert found["AP_root_25"] == pytest.approx(reference.root_average_precision(images), abs=1e-6)
    return found


def assert_worth_comparing(found):
    """Figures that tell: nothing is all right or all wrong."""
    for name in MUPOTS_FIGURES:
        assert 3 < found["per_sequence"][name].min() < found["per_sequence"][name].max() < 97
    assert 0 < found["unmatched"] < found["people"] / 2
    assert found["3DPCK_rel"] < found["3DPCK_rel_matched"]
    assert 50 < found["PCOD"] < 99 and 50 < found["PCOD_matched"] < 99
    assert 5 < found["AP_root_25"] < 95


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_reference_on_every_sequence(thinned, seed):
    predictions = perturbed(annotations_as_predictions(thinned), seed)
    assert_worth_comparing(assert_equals_reference(thinned, predictions))


@pytest.mark.slow
def test_equals_reference_on_the_whole_test_set():
    folder = real_data("mupots", "MultiPersonTestSet")
    predictions = perturbed(annotations_as_predictions(folder), 2)
    found = assert_equals_reference(folder, predictions)
    assert_worth_comparing(found)
    assert found["people"] == 20760


def test_annotations_as_predictions_are_perfect():
    """Real data: annot3 has another size than univ_annot3, which the bone lengths make good."""
    folder = real_data("mupots", "MultiPersonTestSet")
    predictions = annotations_as_predictions(folder)
    started = time.process_time()
    found = evaluate_mupots(folder, predictions)
    assert time.process_time() - started < 10
    for name in MUPOTS_FIGURES:
        best = 100 if "PCK" in name else 100 * 30 / 31
        assert found[name] == pytest.approx(best, abs=1e-9)
        assert found["per_sequence"][name].tolist() == pytest.approx([best] * 20, abs=1e-9)
        groups = found["per_joint_group"][name]
        assert groups == pytest.approx(dict.fromkeys(JOINT_GROUPS, best), abs=1e-9)
    assert found["people"] == found["per_sequence"]["people"].sum() == 20760
    assert found["unmatched"] == found["MRPE"] == 0
    assert found["visible"]["joints"] + found["occluded"]["joints"] == 14 * 20760
    for part in ("visible", "occluded"):
        assert found[part]["3DPCK_abs"] == found[part]["3DPCK_rel_matched"] == 100
    # RootNet's area drops the step of recall of the first prediction.
    assert found["AP_root_25"] == pytest.approx(100 * (1 - 1 / 20760))
    assert found["PCOD"] == found["PCOD_matched"] == 100


def test_order_of_images_changes_nothing(thinned):
    sequences = ["TS12", "TS18"]
    predictions = perturbed(annotations_as_predictions(thinned, sequences), 3)
    found = evaluate_mupots(thinned, predictions, sequences)
    turned = dict(reversed(predictions.items()))
    assert str(evaluate_mupots(thinned, turned, sequences)) == str(found)
