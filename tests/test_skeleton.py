import numpy as np
import pytest

from hmor_d2.skeleton import available_skeletons, get_skeleton

CHAINS = "neck shoulder", "shoulder elbow", "elbow wrist", "pelvis hip", "hip knee", "knee ankle"


def sided(chain: str, side: str) -> tuple[str, str]:
    start, end = (n if n in ("neck", "pelvis") else f"{side}_{n}" for n in chain.split())
    return start, end


MUCO17_PARTS = {("neck", "head_top"), ("pelvis", "neck")} | {
    sided(chain, side) for chain in CHAINS for side in ("left", "right")
}


def test_muco17_is_the_papers_skeleton():
    skeleton = get_skeleton("muco17")
    names = skeleton.joint_names
    assert skeleton.num_joints == 17 and skeleton.root_index == 14 and names[14] == "pelvis"
    assert {(names[a], names[b]) for a, b in skeleton.parts} == MUCO17_PARTS
    assert skeleton.num_parts == 14
    assert set(skeleton.flip_pairs) == {(2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13)}


@pytest.mark.parametrize("name", available_skeletons())
def test_skeletons_are_consistent(name):
    skeleton = get_skeleton(name)
    assert len(set(skeleton.joint_names)) == skeleton.num_joints
    flip = skeleton.flip_indices
    assert np.array_equal(flip[flip], np.arange(skeleton.num_joints))
    for joint, mirrored in enumerate(flip):
        swap = {"left": "right", "right": "left"}
        side, _, rest = skeleton.joint_names[joint].partition("_")
        expected = f"{swap[side]}_{rest}" if side in swap else skeleton.joint_names[joint]
        assert skeleton.joint_names[mirrored] == expected
    parts = {frozenset(part) for part in skeleton.parts}
    assert parts == {frozenset(flip[list(part)].tolist()) for part in skeleton.parts}


# FORMATS: MuCo index of every joint in the other conventions; -1 where there is none.
TO_MUCO17 = {
    "panoptic19": [-1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 2, -1, -1],
    "panoptic15": [1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 2, -1, -1],
    "muco21": list(range(17)),
    "h36m17": [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9],
    "smpl24": [-1, -1, 17, 19, 21, 16, 18, 20, 2, 5, 8, 1, 4, 7, 0, -1, -1],
    "coco17": [-1, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, -1, -1, -1],
}


@pytest.mark.parametrize("name", TO_MUCO17)
def test_mapping_by_name(name):
    source = get_skeleton(name)
    coordinates = np.arange(source.num_joints * 2.0).reshape(-1, 2)
    flags = np.full(source.num_joints, 2)
    mapped, mapped_flags = source.mapping_to(get_skeleton("muco17")).apply(coordinates, flags)
    for joint, index in enumerate(TO_MUCO17[name]):
        if index >= 0:
            assert mapped_flags[joint] == 2
            np.testing.assert_array_equal(mapped[joint], coordinates[index])
    if name != "coco17":
        assert all((f > 0) == (i >= 0) for f, i in zip(mapped_flags, TO_MUCO17[name], strict=True))


def test_coco_midpoints_need_both_sides():
    source, target = get_skeleton("coco17"), get_skeleton("muco17")
    coordinates = np.random.default_rng(0).normal(size=(2, 17, 2))
    flags = np.full((2, 17), 2)
    flags[0, source.index("left_hip")] = 0
    flags[1, source.index("right_shoulder")] = 1
    mapped, mapped_flags = source.mapping_to(target).apply(coordinates, flags)
    pelvis, neck = target.index("pelvis"), target.index("neck")
    assert mapped_flags[0, pelvis] == 0 and np.all(mapped[0, pelvis] == 0)
    assert mapped_flags[1, neck] == 1
    np.testing.assert_allclose(mapped[1, pelvis], coordinates[1, [11, 12]].mean(axis=0))
    assert np.all(mapped_flags[:, [target.index(n) for n in ("head_top", "spine", "head")]] == 0)


def test_errors_name_what_is_wrong():
    with pytest.raises(KeyError, match=r"no_such.*muco17"):
        get_skeleton("no_such")
    with pytest.raises(KeyError, match=r"muco17.*nose"):
        get_skeleton("muco17").index("nose")
    mapping = get_skeleton("coco17").mapping_to(get_skeleton("muco17"))
    with pytest.raises(ValueError, match="expected 17 joints"):
        mapping.apply(np.zeros((16, 2)), np.zeros(16))
