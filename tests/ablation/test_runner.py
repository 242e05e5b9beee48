"""Which commands a job runs, whatever of it is there already; nothing is trained."""

import json
from pathlib import Path

import pytest
from ablation.jobs import Study
from ablation.runner import OtherRunError, RunFailedError, Runner

TOY = Path(__file__).parents[2] / "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"


class Recording(Runner):
    """Keeps commands, and leaves what they would."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.commands = []

    def _run(self, command, folder, log, progress=lambda iterations: None):
        self.commands.append(command)
        if "--test-sets" in command:
            figures(folder / "inference_given_boxes", 2.0)
            return
        if "--eval-only" not in command:
            (folder / "model_0000001.pth").touch()
            finish(folder)
        figures(folder / "inference", 1.0)


def finish(folder):
    (folder / "model_final.pth").touch()
    (folder / "last_checkpoint").write_text("model_final.pth")


def figures(folder, value):
    (folder / "toy_test").mkdir(parents=True, exist_ok=True)
    content = json.dumps({"pose3d": {"MPJPE": value}})
    (folder / "toy_test/pose_results.json").write_text(content)


@pytest.fixture
def study():
    return Study(TOY, ("SOLVER.MAX_ITER", "7"), warm_start_iterations=5)


@pytest.fixture
def runner(study, tmp_path):
    return Recording(study, tmp_path / "runs", num_gpus=2)


def value_of(command, key):
    return command[len(command) - 1 - command[::-1].index(key) + 1]


def test_a_job_from_the_beginning(study, runner):
    job, done = study.job("a8_all", 3), []
    result = runner(job, done.append)
    train, boxes = runner.commands
    assert train[1:5] == ["train_net.py", "--config-file", str(TOY.relative_to(TOY.parents[2])),
                          "--num-gpus"]  # fmt: skip
    assert "--resume" not in train and value_of(train, "SEED") == "3"
    assert value_of(train, "--num-gpus") == "2" and value_of(train, "--dist-url") == "auto"
    assert value_of(train, "MODEL.HMOR.LEVELS") == "['instance', 'part', 'joint']"
    start = runner.output / "warm_start_seed0/model_final.pth"
    assert value_of(train, "MODEL.WEIGHTS") == str(start.resolve())
    assert boxes[boxes.index("--test-sets") + 1 :] == ["toy_test"]
    assert result["figures"] == {
        "given_boxes": {"toy_test": {"MPJPE": 2.0}},
        "detections": {"toy_test": {"MPJPE": 1.0}},
    }
    assert done[-1] == 7 and str(runner.output) not in result["command"]
    folder = runner.output / job.name
    assert [path.name for path in folder.glob("*.pth")] == ["model_final.pth"]


def test_an_interrupted_training_is_resumed(study, runner):
    job = study.job("a8_all", 3)
    folder = runner.output / job.name
    folder.mkdir(parents=True)
    (folder / "digest.txt").write_text(job.training)
    (folder / "last_checkpoint").write_text("model_0000001.pth")
    runner(job, lambda iterations: None)
    assert "--resume" in runner.commands[0] and len(runner.commands) == 2


def test_only_what_lacks_is_done(study, runner):
    job = study.job("a8_all", 3)
    folder = runner.output / job.name
    runner(job, lambda iterations: None)
    runner.commands.clear()
    runner(job, lambda iterations: None)
    assert runner.commands == []
    (folder / "inference/toy_test/pose_results.json").unlink()
    runner(job, lambda iterations: None)
    ((command),) = runner.commands
    assert "--eval-only" in command
    assert value_of(command, "MODEL.WEIGHTS") == str((folder / "model_final.pth").resolve())


def test_a_training_of_another_config_is_left_alone(study, runner):
    runner(study.job("a8_all", 3), lambda iterations: None)
    runner.commands.clear()
    other = Study(TOY, ("SOLVER.MAX_ITER", "8"), warm_start_iterations=5)
    with pytest.raises(OtherRunError, match="a8_all_seed3"):
        Recording(other, runner.output)(other.job("a8_all", 3), lambda iterations: None)


def test_a_process_that_fails_shows_its_last_words(study, tmp_path):
    runner = Runner(study, tmp_path)
    command = ["python3", "-c", "import sys; print('what went wrong'); sys.exit(3)"]
    with pytest.raises(RunFailedError, match=r"train\.log:\n.*what went wrong"):
        runner._run(command, tmp_path, "train.log")
