"""Synthetic datasets on disk: what loaders and evaluators read is what the scenes hold."""

import cv2
import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from pycocotools.coco import COCO
from synthetic import write_panoptic
from synthetic.rig import BONES, JOINT_NAMES
from synthetic.scene import generate_scene

from hmor_d2.data.checks import check_annotations, check_images_present, check_images_readable
from hmor_d2.data.datasets.mupots_annotations import read_mupots_sequence
from hmor_d2.evaluation.mupots import MUPOTS_FIGURES, evaluate_mupots
from hmor_d2.skeleton import get_skeleton
from tests.synthetic.prepared import BY_NAME, IMAGES, SIZE, load


@pytest.mark.parametrize("name", IMAGES)
def test_checks_of_datasets_pass(made, name):
    records = load(made, name)
    assert len(records) == IMAGES[name]
    checks = check_annotations(records, max_median_px=1e-3, max_worst_px=0.01).checks
    checks += [check_images_present(records), check_images_readable(records, sample=None)]
    assert [check for check in checks if check.status == "FAIL"] == []
    assert sum(check.status == "ok" for check in checks) >= 8


def keypoints(annotation):
    flat = np.array(annotation["keypoints"]).reshape(-1, 3)
    return flat[:, :2], flat[:, 2]


def assert_shows(record, image):
    """The record's file is the image, but for the finest detail, which JPEG loses."""
    found = cv2.imread(record["file_name"])
    assert found.shape == (record["height"], record["width"], 3)
    size = image.shape[1::-1]
    if found.shape != image.shape:
        found = cv2.resize(found, size, interpolation=cv2.INTER_AREA)
    difference = [cv2.blur(picture.astype(np.float32), (9, 9)) for picture in (found, image)]
    assert np.abs(difference[0] - difference[1]).mean() < 1.0


def test_muco_holds_the_scenes(made):
    everyone = 0
    for index, record in enumerate(load(made, "muco")):
        scene = generate_scene("train", index, size=SIZE)
        assert_shows(record, scene.image)
        np.testing.assert_allclose(record["intrinsics"], scene.camera.intrinsics, atol=1e-9)
        people = [person for person in scene.people if person.visible_pixels]
        assert len(people) == len(record["annotations"])
        for person, annotation in zip(people, record["annotations"], strict=True):
            pixels, flags = keypoints(annotation)
            joints = annotation["keypoints_cam"]
            np.testing.assert_allclose(pixels[:17], person.joints_px, atol=1e-3)
            np.testing.assert_allclose(joints[:17], person.joints_cam, atol=1e-2)
            np.testing.assert_array_equal(flags[:17] == 2, person.visible)
            np.testing.assert_allclose(joints[17:], person.extremities_cam, atol=1e-2)
            assert set(flags) <= {1, 2} and annotation["keypoints_cam_valid"].all()
            x, y, width, height = annotation["bbox"]
            np.testing.assert_allclose([x, y, x + width, y + height], person.box_amodal, atol=0.02)
            everyone += 1
    assert everyone > 20
    assert any(not record["annotations"] for record in load(made, "muco")), "nobody in it"


def test_hands_and_toes_lie_beyond_wrists_and_ankles(made):
    skeleton = get_skeleton("muco21")
    ratios = []
    for annotation in (a for r in load(made, "muco") for a in r["annotations"]):
        joints = {n: annotation["keypoints_cam"][i] for i, n in enumerate(skeleton.joint_names)}
        for side in ("right", "left"):
            limbs = ("elbow", "wrist", "hand"), ("knee", "ankle", "toe")
            for upper, joint, tip in limbs:
                bone = joints[f"{side}_{joint}"] - joints[f"{side}_{upper}"]
                beyond = joints[f"{side}_{tip}"] - joints[f"{side}_{joint}"]
                other = {"right": "left", "left": "right"}[side]
                own, across = (
                    joints[f"{s}_{tip}"] - joints[f"{side}_{joint}"] for s in (side, other)
                )
                assert np.linalg.norm(own) < np.linalg.norm(across) or np.linalg.norm(across) < 250
                ratios.append(np.linalg.norm(beyond) / np.linalg.norm(bone))
    ratios = np.array(ratios).reshape(-1, 2)
    assert 0.3 < ratios[:, 0].min() <= ratios[:, 0].max() < 0.5, "knuckles, of the forearm"
    assert 0.35 < ratios[:, 1].min() <= ratios[:, 1].max() < 0.65, "toes, of the shin"


def test_coco_holds_the_scenes(made):
    coco = COCO(str(made / "coco/annotations/person_keypoints_train.json"))
    kinds = np.zeros(3, int)
    for index, record in enumerate(load(made, "coco")):
        scene = generate_scene("train/coco", index, size=SIZE)
        assert_shows(record, scene.image)
        assert "intrinsics" not in record
        people = [person for person in scene.people if person.visible_pixels]
        rows = coco.loadAnns(coco.getAnnIds(imgIds=record["image_id"]))
        for person, annotation, row in zip(people, record["annotations"], rows, strict=True):
            assert "keypoints_cam" not in annotation and "keypoints_cam" not in row
            pixels, flags = keypoints(annotation)
            np.testing.assert_allclose(
                pixels[flags > 0], person.coco_px[flags > 0], atol=1e-3, rtol=0
            )
            np.testing.assert_array_equal(flags == 2, person.coco_visible)
            outside = ((person.coco_px < 0) | (person.coco_px >= SIZE)).any(axis=1)
            np.testing.assert_array_equal(flags == 0, outside)
            np.testing.assert_array_equal(coco.annToMask(row), scene.mask(person))
            assert row["area"] == scene.mask(person).sum()
            assert row["num_keypoints"] == np.count_nonzero(flags)
            x, y, width, height = annotation["bbox"]
            assert [x, y, x + width, y + height] == person.box_visible.tolist()
            kinds += np.bincount(flags.astype(int), minlength=3)
    assert (kinds > 3).all()


def test_panoptic_holds_the_recordings(made):
    """Also through the lens: where the undistorted picture shows a person, the joints are."""
    plan = BY_NAME["panoptic"]
    records = {r["image_id"]: r for r in load(made, "panoptic")}
    inside = total = 0
    for number, name in enumerate(plan.sequences):
        take = plan.take(number, 0)
        for moment in range(len(take)):
            for camera, scene in zip(write_panoptic.CAMERAS, take.scenes(moment), strict=True):
                record = records[f"{name}/{camera}/{10 * moment:08d}"]
                assert_shows(record, scene.image)
                people = {person.person: person for person in scene.people}
                matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]) @ [
                    [record["intrinsics"][0], 0, record["intrinsics"][2]],
                    [0, record["intrinsics"][1], record["intrinsics"][3]],
                    [0, 0, 1],
                ]
                shown = (scene.owner > 0).astype(np.uint8)
                shown = cv2.undistort(shown, matrix, np.array(record["distortion"]))
                for annotation in record["annotations"]:
                    person = people[annotation["person_id"]]
                    pixels, flags = keypoints(annotation)
                    known = dict(
                        zip(
                            (*JOINT_NAMES, "nose", "right_ear"),
                            zip(
                                [*person.joints_px, *person.coco_px[[0, 4]]],
                                [*person.joints_cam, *person.coco_cam[[0, 4]]],
                                strict=True,
                            ),
                            strict=True,
                        )
                    )
                    for i, joint in enumerate(write_panoptic.PANOPTIC19):
                        if joint in known:
                            px, cam = known[joint]
                            np.testing.assert_allclose(pixels[i], px, atol=1e-3)
                            found = annotation["keypoints_cam"][i]
                            np.testing.assert_allclose(found, cam, atol=1e-2)
                    columns, rows = pixels[flags == 2].astype(int).T
                    inside += shown[rows, columns].sum()
                    total += len(rows)
    assert total > 300 and inside / total > 0.95
    assert write_panoptic.PANOPTIC19 == get_skeleton("panoptic19").joint_names


def test_mupots_holds_the_videos(made):
    plan = BY_NAME["mupots"]
    records = load(made, "mupots")
    for number, name in enumerate(plan.sequences):
        take = plan.take(number, 0)
        arrays = read_mupots_sequence(str(made / "mupots" / name))
        for moment, (scene,) in enumerate(map(take.scenes, range(len(take)))):
            record = records[3 * number + moment]
            assert (record["width"], record["height"]) == (1920, 1080)
            assert_shows(record, scene.image)
            intrinsics = 2 * scene.camera.intrinsics
            np.testing.assert_allclose(record["intrinsics"], intrinsics, atol=1e-3)
            people = {p.person: p for p in scene.people if p.visible_pixels}
            assert set(people) == {a["person_id"] for a in record["annotations"]}
            assert set(people) == set(np.flatnonzero(arrays.valid[moment]))
            for annotation in record["annotations"]:
                person = people[annotation["person_id"]]
                pixels, flags = keypoints(annotation)
                np.testing.assert_allclose(pixels, 2 * person.joints_px, atol=1e-3)
                np.testing.assert_allclose(
                    annotation["keypoints_cam"], person.joints_cam, atol=1e-2
                )
                np.testing.assert_array_equal(flags == 2, person.visible)
        # The universal body: 92 cm from knee to neck, about the pelvis, one factor a person.
        for person in np.flatnonzero(arrays.valid.any(axis=0)):
            valid = arrays.valid[:, person]
            own, universal = arrays.annot3[valid, person], arrays.univ_annot3[valid, person]
            np.testing.assert_allclose(own[:, 14], universal[:, 14], atol=1e-9)
            lengths = [
                np.linalg.norm(np.diff(pose[:, list(zip(*BONES, strict=True))], axis=1), axis=-1)
                for pose in (own, universal)
            ]
            assert np.ptp(lengths[1] / lengths[0]) < 1e-6
            chain = universal[:, [12, 11]], universal[:, [14, 15]], universal[:, [15, 1]]
            height = sum(np.linalg.norm(np.diff(bone, axis=1), axis=-1) for bone in chain)
            np.testing.assert_allclose(height, 920, atol=1e-2)


def test_annotations_as_predictions_are_perfect(made):
    sequences = BY_NAME["mupots"].sequences
    predictions = {}
    for name in sequences:
        arrays = read_mupots_sequence(str(made / "mupots" / name))
        for frame, valid in enumerate(arrays.valid):
            predictions[f"{name}/img_{frame:06d}.jpg"] = [
                {"keypoints": arrays.annot2[frame, p], "keypoints_cam": arrays.annot3[frame, p],
                 "score": 1.0}
                for p in np.flatnonzero(valid)
            ]  # fmt: skip
    found = evaluate_mupots(str(made / "mupots"), predictions, sequences)
    for name in MUPOTS_FIGURES:
        best = 100 if "PCK" in name else 100 * 30 / 31
        assert found[name] == pytest.approx(best, abs=1e-6), name
    assert found["people"] >= 10 and found["unmatched"] == 0
    assert found["visible"]["joints"] > 50 and found["occluded"]["joints"] > 10
