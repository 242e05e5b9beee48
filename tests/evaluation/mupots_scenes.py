"""Predictions and small sequences for the tests of MuPoTS-3D's evaluation."""

import numpy as np

from tests.data.writers_mupots import write_mupots_sequence

# A standing person whose bones lie along the axes, so that their lengths are exact; mm from pelvis.
STANDING = np.array(
    [
        (0, -800, 0), (0, -500, 0), (-200, -500, 0), (-200, -200, 0), (-200, 50, 0),
        (200, -500, 0), (200, -200, 0), (200, 50, 0), (-100, 0, 0), (-100, 400, 0),
        (-100, 800, 0), (100, 0, 0), (100, 400, 0), (100, 800, 0), (0, 0, 0), (0, -200, 0),
        (0, -600, 0),
    ],
    dtype=np.float64,
)  # fmt: skip


def standing_people(roots):
    """Arrays of a sequence of people who stand at ``roots`` (F, P, 3) mm; nobody is occluded."""
    roots = np.asarray(roots, dtype=np.float64)
    poses = roots[:, :, None] + STANDING
    return {
        "annot2": poses[..., :2] / 4 + 1000,
        "annot3": poses,
        "univ_annot3": poses.copy(),
        "valid": np.ones(roots.shape[:2], dtype=bool),
        "occluded": np.zeros((*roots.shape[:2], 17), dtype=bool),
    }


def write_sequences(folder, sequences):
    """Write arrays by name of sequence; returns the folder."""
    for name, arrays in sequences.items():
        write_mupots_sequence(folder / name, arrays)
    return str(folder)


def person(keypoints, keypoints_cam, score=1.0):
    return {"keypoints": keypoints, "keypoints_cam": keypoints_cam, "score": score}


def perfect_predictions(name, annot2, annot3, valid):
    """The annotated people themselves, by image."""
    return {
        f"{name}/img_{i:06d}.jpg": [
            person(annot2[i, p], annot3[i, p]) for p in np.flatnonzero(valid[i])
        ]
        for i in range(len(valid))
    }


def perturbed(predictions, seed):
    """What detectors do, and worse.

    Noise in pixels and mm, people scaled, shifted in depth, missed, doubled and made up, in
    another order, with joints left out in 2D, with bones of no length; images without an entry;
    scores that tie.
    """
    rng = np.random.default_rng(seed)
    result = {}
    for image in sorted(predictions):
        if rng.random() < 0.02:
            continue
        people = []
        for source in predictions[image]:
            if rng.random() < 0.12:
                continue
            people += [_perturbed_person(source, rng) for _ in range(1 + (rng.random() < 0.3))]
            if rng.random() < 0.1:  # twice the same: a tie
                people.append(people[-1])
        for _ in range(rng.poisson(0.5)):
            made_up = person(rng.uniform(0, 1500, (17, 2)), rng.normal((0, 0, 4000), 300, (17, 3)))
            people.append(made_up)
        result[image] = [people[i] for i in rng.permutation(len(people))]
    return result


def _perturbed_person(source, rng):
    pixels = source["keypoints"] + rng.normal(0, rng.uniform(2, 40), (17, 2))
    pixels += rng.normal(0, 20, 2)
    pixels[rng.random(17) < 0.05] = 0
    poses = source["keypoints_cam"]
    root = poses[14]
    poses = root + rng.uniform(0.7, 1.3) * (poses - root)
    poses = poses + rng.normal(0, rng.uniform(5, 90), (17, 3)) + rng.normal(0, (30, 30, 200))
    if rng.random() < 0.05:
        poses[3] = poses[2]  # an elbow in the shoulder
    return person(pixels, poses, float(rng.integers(1, 40)) / 40)
