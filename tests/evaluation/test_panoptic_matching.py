"""CMU Panoptic: who is matched, by each published rule, against transcriptions and by hand."""

import numpy as np
import pytest

from hmor_d2.evaluation.panoptic import PANOPTIC_RULES
from hmor_d2.evaluation.pose_matching import (
    match_by_keypoints,
    match_by_pixel,
    match_by_position,
    match_by_shape,
)
from hmor_d2.evaluation.protocol import ImagePeople
from hmor_d2.skeleton import get_skeleton
from tests.evaluation.panoptic_reference import slow_crmh, slow_hmor, slow_romp, slow_smap
from tests.evaluation.panoptic_scenes import ROOT
from tests.evaluation.protocol_scenes import HEIGHT, WIDTH, project, random_poses


def as_dict(matches):
    return {p: int(n) for p, n in enumerate(matches) if n >= 0}


def random_image(seed):
    """People, some joints unknown; predictions near some of them and near nobody."""
    rng = np.random.default_rng(seed)
    people, joints = int(rng.integers(1, 6)), 15
    gt = random_poses(rng, people, joints)
    valid = rng.random((people, joints)) < 0.85
    valid[:, ROOT] = rng.random(people) < 0.9
    sources = rng.integers(0, people, int(rng.integers(1, 7)))
    pred = gt[sources] + rng.normal(scale=150, size=(len(sources), joints, 3))
    pred += rng.normal(scale=200, size=(len(sources), 1, 3))
    pred = np.concatenate((pred, random_poses(rng, 1, joints)))
    scores = rng.random(len(pred))
    return pred, scores, np.where(valid[..., None], gt, np.nan), valid


@pytest.mark.parametrize("seed", range(40))
def test_matching_equals_transcriptions(seed):
    pred, scores, gt, valid = random_image(seed)
    found = match_by_shape(pred, gt, valid, ROOT)
    assert as_dict(found) == slow_crmh(pred, gt, valid, ROOT)
    found = match_by_position(pred, scores, gt, valid, 500.0)
    assert as_dict(found) == slow_hmor(pred, scores, gt, valid, 500.0)
    pixels, gt_pixels = project(pred), project(gt)
    found = match_by_pixel(pixels[:, ROOT], gt_pixels[:, ROOT], valid[:, ROOT], 60.0)
    assert as_dict(found) == slow_smap(pixels[:, ROOT], gt_pixels[:, ROOT], valid[:, ROOT], 60.0)
    for threshold in (0.05, 0.4):
        found = match_by_keypoints(pixels, gt_pixels, valid, threshold)
        assert as_dict(found) == slow_romp(pixels, gt_pixels, valid, threshold)


def test_the_transcriptions_disagree_with_each_other():
    """Or the test above would say nothing: reuse, misses and the early end all occur."""
    reused = missed = early = 0
    for seed in range(40):
        pred, scores, gt, valid = random_image(seed)
        shape = slow_crmh(pred, gt, valid, ROOT)
        reused += len(set(shape.values())) < len(shape)
        missed += 0 < len(slow_hmor(pred, scores, gt, valid, 500.0)) < len(gt)
        pixels, gt_pixels = project(pred), project(gt)
        strict = slow_romp(pixels, gt_pixels, valid, 0.4)
        early += 0 < len(strict) < len(gt)
    assert min(reused, missed, early) > 5


def test_matching_with_nobody():
    none, one = np.zeros((0, 15, 3)), np.ones((1, 15, 3))
    valid, no_valid = np.ones((1, 15), dtype=bool), np.zeros((0, 15), dtype=bool)
    for pred, gt, known in ((none, one, valid), (one, none, no_valid), (none, none, no_valid)):
        expected = [-1] * len(gt)
        scores = np.zeros(len(pred))
        assert match_by_shape(pred, gt, known, ROOT).tolist() == expected
        assert match_by_position(pred, scores, gt, known, 500.0).tolist() == expected
        pixels = pred[:, ROOT, :2], gt[:, ROOT, :2]
        assert match_by_pixel(*pixels, known[:, ROOT], 30.0).tolist() == expected
        assert match_by_keypoints(pred[..., :2], gt[..., :2], known, 0.05).tolist() == expected


def test_position_by_hand():
    """The surest takes the person; one whose nearest is taken does not get the second nearest."""
    gt = np.zeros((2, 15, 3))
    gt[1, :, 0] = 400
    pred = np.zeros((3, 15, 3))
    pred[:, :, 0] = np.array([[100], [150], [900]])
    valid = np.ones((2, 15), dtype=bool)
    assert match_by_position(pred, np.array([0.5, 0.6, 0.9]), gt, valid, 500.0).tolist() == [1, -1]
    pred[2, :, 0] = 899
    assert match_by_position(pred, np.array([0.5, 0.6, 0.9]), gt, valid, 500.0).tolist() == [1, 2]


@pytest.mark.parametrize(("in_image", "found"), [(5, 1), (6, 0)])
def test_romp_leaves_people_out_before_it_matches(in_image, found):
    """A person nearer to the only prediction takes it from another with 6 joints in the image."""
    rng = np.random.default_rng(0)
    joints = len(get_skeleton("panoptic15").joint_names) + 1
    pred = rng.uniform(200, 600, (1, joints, 2))
    pixels = np.concatenate((pred + 15, pred + 1))
    visibility = np.full((2, joints), 2.0)
    visibility[1, in_image:] = 0
    people = ImagePeople(
        poses=np.zeros((2, joints, 3)),
        valid=np.ones((2, joints), dtype=bool),
        pixels=pixels,
        visibility=visibility,
        boxes=np.zeros((2, 4)),
        pred_poses=np.zeros((1, joints, 3)),
        pred_pixels=pred,
        pred_boxes=np.zeros((1, 4)),
        scores=np.ones(1),
        compared=np.arange(joints) < 15,
        image_size=(HEIGHT, WIDTH),
    )
    rule = PANOPTIC_RULES["romp"]
    assert rule.match(people).tolist() == ([0, -1] if found else [-1, 0])
    assert rule.counts(people).tolist() == [True, not found]
