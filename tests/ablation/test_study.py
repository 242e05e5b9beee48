"""Which jobs a study has, and that done ones are skipped, with a runner that trains nothing."""

import json
from pathlib import Path

import pytest
from ablation.jobs import Study, plan_jobs
from ablation.results import MixedStudyError, is_done, read_results
from ablation.rows import ROWS
from ablation.runner import OtherRunError, finished_iterations, training_seconds
from ablation.study import run_jobs

from tests.ablation.made_up import FakeRunner, evaluated, write_made_up

TOY = Path(__file__).parents[2] / "configs/toy/hmor_rcnn_R_50_half_FPN_toy.yaml"
FOUR = ["a0_baseline", "a2_joint", "a8_all"]


@pytest.fixture
def study():
    return Study(TOY, ("SOLVER.MAX_ITER", "7"), warm_start_iterations=5)


def test_order_of_jobs(study):
    names = [job.name for job in plan_jobs(study, FOUR, None)]
    main = [f"{row}_seed{seed}" for seed in (1, 2, 3) for row in ("a0_baseline", "a8_all")]
    assert names == ["warm_start_seed0", *main, "a2_joint_seed1"]
    jobs = plan_jobs(study, FOUR, [4])
    assert [job.name for job in jobs[1:]] == ["a0_baseline_seed4", "a8_all_seed4", "a2_joint_seed4"]
    assert [job.iterations for job in jobs] == [5, 7, 7, 7]
    assert len(plan_jobs(study, [row.name for row in ROWS], None)) == 1 + 3 * 5 + 7


def test_digests_tell_what_decides_figures(study, tmp_path):
    job = study.job("a8_all", 1)
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"1")
    others = [
        study.job("a8_all", 2),
        study.job("a7_part_instance", 1),
        Study(TOY, ("SOLVER.MAX_ITER", "8"), warm_start_iterations=5).job("a8_all", 1),
        Study(TOY, study.opts, warm_start_iterations=6).job("a8_all", 1),
        Study(TOY, study.opts).job("a8_all", 1),
        Study(TOY, study.opts, weights).job("a8_all", 1),
    ]
    weights.write_bytes(b"2")
    others.append(Study(TOY, study.opts, weights).job("a8_all", 1))
    digests = [job.digest, *(other.digest for other in others)]
    assert len(set(digests)) == len(digests)
    # Row and seed are no part of the study; everything else is.
    assert [other.study_digest == job.study_digest for other in others] == [True] * 2 + [False] * 5
    assert study.warm_start().study_digest == job.study_digest
    assert len({job.training, *(other.training for other in others)}) == len(digests)
    workers = Study(TOY, (*study.opts, "DATALOADER.NUM_WORKERS", "3"), warm_start_iterations=5)
    assert workers.job("a8_all", 1).digest == job.digest


def test_another_test_set_needs_no_other_training(study):
    other = Study(TOY, (*study.opts, "DATASETS.TEST", "('toy_train',)"), warm_start_iterations=5)
    job, again = study.job("a8_all", 1), other.job("a8_all", 1)
    assert job.training == again.training
    assert job.digest != again.digest and job.study_digest != again.study_digest


def test_trials_of_weights_share_what_has_no_relations(study):
    opts = (*study.opts, "MODEL.HMOR.LOSS_WEIGHT", "3.0")
    other = Study(TOY, opts, warm_start_iterations=5)
    assert other.warm_start().training == study.warm_start().training
    for row, same in (("a0_baseline", True), ("a1_abs", True), ("a8_all", False)):
        assert (other.job(row, 1).training == study.job(row, 1).training) is same
    assert other.job("a0_baseline", 1).study_digest != study.job("a0_baseline", 1).study_digest


def test_interrupted_study_goes_on(study, tmp_path):
    jobs = plan_jobs(study, FOUR, [1])
    results = tmp_path / "results"
    first = FakeRunner(tmp_path / "runs", stop_at="a8_all_seed1")
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, first, results)
    assert first.done == ["warm_start_seed0", "a0_baseline_seed1"]
    second = FakeRunner(tmp_path / "runs")
    assert run_jobs(jobs, second, results) == jobs[2:]
    assert second.done == ["a8_all_seed1", "a2_joint_seed1"]
    assert run_jobs(jobs, second, results) == [] and len(second.done) == 2
    written = json.loads((results / "a8_all_seed1.json").read_text())
    assert written["digest"] == jobs[2].digest and written["note"] == "fake"
    assert [r["row"] for r in read_results(results)].count("a8_all") == 1


def test_a_warm_start_without_weights_is_trained_again(study, tmp_path):
    jobs = plan_jobs(study, FOUR, [1])
    run_jobs(jobs[:2], FakeRunner(tmp_path / "elsewhere"), tmp_path / "results")
    runner = FakeRunner(tmp_path / "here")
    run_jobs(jobs, runner, tmp_path / "results")
    assert runner.done == ["warm_start_seed0", "a8_all_seed1", "a2_joint_seed1"]
    runner.done.clear()
    (runner.output / "warm_start_seed0/model_final.pth").unlink()
    run_jobs(jobs, runner, tmp_path / "results")
    assert runner.done == []  # nobody needs it


def test_results_of_other_settings_stop_the_study(study, tmp_path):
    jobs = plan_jobs(study, FOUR, [1])
    write_made_up(tmp_path / "results", "a2_joint", 1, evaluated(1.0))
    runner = FakeRunner(tmp_path / "runs")
    with pytest.raises(MixedStudyError, match=r"a2_joint_seed1\.json.*--overwrite"):
        run_jobs(jobs, runner, tmp_path / "results")
    assert runner.done == []
    run_jobs(jobs, runner, tmp_path / "results", overwrite=True)
    assert len(runner.done) == 4 and all(is_done(tmp_path / "results", job) for job in jobs)


def test_trainings_of_other_settings_stop_the_study(study, tmp_path):
    jobs = plan_jobs(study, FOUR, [1])
    old = tmp_path / "runs/a8_all_seed1/last_checkpoint"
    old.parent.mkdir(parents=True)
    old.touch()
    runner = FakeRunner(tmp_path / "runs", others=("a8_all_seed1",))
    with pytest.raises(OtherRunError, match=r"a8_all_seed1.*--overwrite"):
        run_jobs(jobs, runner, tmp_path / "results")
    assert runner.done == [] and old.exists()
    run_jobs(jobs, runner, tmp_path / "results", overwrite=True)
    assert len(runner.done) == 4 and not old.exists()


def test_progress_of_a_file_that_is_being_written(tmp_path):
    metrics = tmp_path / "metrics.json"
    assert finished_iterations(metrics) == training_seconds(metrics) == 0
    lines = [{"iteration": i, "time": t} for i, t in ((19, 2.0), (39, 3.0), (39, 2.5))]
    evaluated = {"iteration": 40, "pose3d/MPJPE": 1.0}
    metrics.write_text("\n".join(map(json.dumps, [*lines, evaluated])) + '\n{"iteration": 5')
    assert finished_iterations(metrics) == 40
    # Iterations 20 to 39 were interrupted, and run again.
    assert training_seconds(metrics) == 20 * 2.0 + 20 * 2.5
