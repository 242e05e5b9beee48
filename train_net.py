#!/usr/bin/env python
"""Train and evaluate HMOR models: Detectron2's training script with the project's parts."""

import logging
import weakref
from collections import OrderedDict

import detectron2.utils.comm as comm
from detectron2.config import CfgNode
from detectron2.data import build_detection_test_loader
from detectron2.engine import (
    AMPTrainer,
    DefaultTrainer,
    SimpleTrainer,
    TrainerBase,
    create_ddp_model,
    default_argument_parser,
    default_setup,
    hooks,
)
from detectron2.evaluation import verify_results
from detectron2.utils.logger import setup_logger

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.config_file import read_config
from hmor_d2.data import HMORDatasetMapper, build_hmor_train_loader, register_custom_datasets
from hmor_d2.engine import EMAHook, ExactResumeHook, NonFiniteGuard, launch
from hmor_d2.evaluation import build_evaluator
from hmor_d2.modeling import HMORRCNNWithTTA
from hmor_d2.random_state import preserved_random_state
from hmor_d2.solver import build_hmor_optimizer

logger = logging.getLogger("detectron2")

# Later versions of Detectron2 than v0.6 do.
_SAVES_OPTIMIZER = "state_dict" in vars(DefaultTrainer)


class Trainer(DefaultTrainer):
    """DefaultTrainer with HMOR's loaders, evaluators, averaged weights and flip test.

    It skips steps that are not finite, and resumes exactly where it was.
    """

    step_was_skipped = False

    def __init__(self, cfg):
        # DefaultTrainer's, but for the checkpointer, and on a CPU too: there it gives
        # DistributedDataParallel the index of a GPU, which is refused.
        TrainerBase.__init__(self)
        cfg = self.auto_scale_workers(cfg, comm.get_world_size())
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        data_loader = self.build_train_loader(cfg)
        where = {"device_ids": None} if cfg.MODEL.DEVICE == "cpu" else {}
        model = create_ddp_model(model, broadcast_buffers=False, **where)
        kind = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self._trainer = kind(model, data_loader, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = HMORCheckpointer(model, cfg.OUTPUT_DIR, trainer=weakref.proxy(self))
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.cfg = cfg
        self.register_hooks(self.build_hooks())

    @classmethod
    def build_train_loader(cls, cfg):
        return build_hmor_train_loader(cfg, HMORDatasetMapper(cfg, is_train=True))

    @classmethod
    def build_test_loader(cls, cfg, dataset_name):
        mapper = HMORDatasetMapper(cfg, is_train=False)
        return build_detection_test_loader(cfg, dataset_name, mapper=mapper)

    @classmethod
    def build_optimizer(cls, cfg, model):
        return build_hmor_optimizer(cfg, model)

    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        return build_evaluator(cfg, dataset_name)

    def build_hooks(self):
        decay = self.cfg.MODEL.EMA_DECAY
        self.ema = EMAHook(self.model, decay) if decay else None
        self.guard = NonFiniteGuard(self._trainer, self.cfg.SOLVER.MAX_NONFINITE_STEPS)
        evaluation = hooks.EvalHook(self.cfg.TEST.EVAL_PERIOD, self._evaluate)
        return [ExactResumeHook(self.data_loader), self.ema] + [
            evaluation if isinstance(hook, hooks.EvalHook) else hook
            for hook in super().build_hooks()
        ]

    def state_dict(self):
        state = super().state_dict()
        if not _SAVES_OPTIMIZER:
            state["_trainer"] = self._trainer.state_dict()
        return state

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        if not _SAVES_OPTIMIZER:
            self._trainer.load_state_dict(state_dict["_trainer"])

    def run_step(self):
        self.step_was_skipped = not self.guard.run(super().run_step)

    def model_to_evaluate(self):
        """The model with averaged weights, where there is one, else the trained model."""
        if self.ema is None:
            return self.model
        logger.info(f"Evaluating the averaged weights (EMA) of {self.ema.num_steps} steps")
        return self.ema.model

    def _evaluate(self):
        with preserved_random_state():  # the training goes on as if there had been no evaluation
            self._last_eval_results = self.test(self.cfg, self.model_to_evaluate())
        return self._last_eval_results

    @classmethod
    def test_with_tta(cls, cfg, model) -> OrderedDict:
        """Evaluate with the flip test; results get the suffix ``_TTA``."""
        logger.info("Evaluating with test-time augmentation ...")
        evaluators = [build_evaluator(cfg, name, "inference_TTA") for name in cfg.DATASETS.TEST]
        results = cls.test(cfg, HMORRCNNWithTTA(cfg, model), evaluators)
        return OrderedDict((f"{name}_TTA", value) for name, value in results.items())


def setup(args) -> CfgNode:
    """Read the config, register its own datasets, and set logging and seeds up."""
    cfg = read_config(args.config_file, args.opts)
    cfg.freeze()
    register_custom_datasets(cfg.DATASETS.CUSTOM)
    default_setup(cfg, args)
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="hmor_d2")
    return cfg


def main(args) -> OrderedDict:
    cfg = setup(args)
    if args.eval_only:
        model = Trainer.build_model(cfg)
        HMORCheckpointer(model, save_dir=cfg.OUTPUT_DIR).resume_or_load(
            cfg.MODEL.WEIGHTS, resume=args.resume
        )
        results = Trainer.test(cfg, model)
        if cfg.TEST.AUG.ENABLED:
            results.update(Trainer.test_with_tta(cfg, model))
        if comm.is_main_process():
            verify_results(cfg, results)
        return results

    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    if cfg.TEST.AUG.ENABLED:
        trainer.register_hooks(
            [hooks.EvalHook(0, lambda: trainer.test_with_tta(cfg, trainer.model_to_evaluate()))]
        )
    return trainer.train()


if __name__ == "__main__":
    arguments = default_argument_parser().parse_args()
    launch(
        main,
        arguments.num_gpus,
        num_machines=arguments.num_machines,
        machine_rank=arguments.machine_rank,
        dist_url=arguments.dist_url,
        args=(arguments,),
    )
