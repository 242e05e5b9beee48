import json

import cv2
import pytest

from tests.scripts import load_script

plot_training = load_script("tools/plot_training.py")


def write(folder, values):
    folder.mkdir()
    lines = (json.dumps({"iteration": i, "lr": 0.1, "loss_pose": v}) for i, v in values)
    (folder / "metrics.json").write_text("\n".join(lines) + "\n")
    return folder


def test_what_was_logged_again_counts_once(tmp_path):
    folder = write(tmp_path / "a", [(19, 3.0), (39, 2.0), (19, 2.5)])
    assert plot_training.read_losses(folder) == {"loss_pose": {19: 2.5, 39: 2.0}}
    assert plot_training.read_losses(folder / "metrics.json")["loss_pose"][39] == 2.0


def test_lines_without_losses_are_passed_over(tmp_path):
    folder = write(tmp_path / "a", [(19, 3.0)])
    with (folder / "metrics.json").open("a") as file:
        file.write('{"iteration": 19, "bbox/AP": 50.0}\n')
    assert plot_training.read_losses(folder) == {"loss_pose": {19: 3.0}}


def test_a_picture_of_two_stages(tmp_path):
    first = write(tmp_path / "a", [(i, 3.0) for i in range(19, 400, 20)])
    second = write(tmp_path / "b", [(i, 1.0) for i in range(19, 200, 20)])
    output = tmp_path / "new" / "curves.png"
    plot_training.main([str(first), str(second), "--output", str(output)])
    picture = cv2.imread(str(output)).astype(int)
    dark_blue = (abs(picture - [122, 66, 20]).sum(axis=2) < 30).any(axis=0)
    red = (abs(picture - [77, 80, 192]).sum(axis=2) < 60).any(axis=0).nonzero()[0]
    # The first stage's line is before the mark, the second's after it, and half as long.
    before, after = dark_blue[: red.min()].sum(), dark_blue[red.max() + 1 :].sum()
    assert before > 1.6 * after > 50


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "no losses"),
        ("[1]", "line 1: no metrics"),
        ('{"iteration": 1, "loss_pose": 1}\n{"iter', "line 2: no metrics"),
        ('{"loss_pose": 1}', "line 1: no metrics"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    file = tmp_path / "metrics.json"
    file.write_text(content)
    with pytest.raises(SystemExit, match=f"error: .*metrics.json.*{message}"):
        plot_training.main([str(file), "--output", str(tmp_path / "x.png")])
    with pytest.raises(SystemExit, match=r"error: .*missing"):
        plot_training.main([str(tmp_path / "missing"), "--output", str(tmp_path / "x.png")])
