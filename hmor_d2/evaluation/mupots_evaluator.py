"""Evaluate a model on MuPoTS-3D by the official protocol, as Detectron2 runs evaluators."""

import json
import os
import re
from collections import Counter
from typing import Any

import numpy as np

from ..data.dataset_error import field_error
from ..data.datasets.mupots_annotations import MUPOTS_JOINT_SET, MUPOTS_SEQUENCES
from ..skeleton import Skeleton, get_skeleton
from .mupots import evaluate_mupots
from .mupots_report import flat_mupots_figures, mupots_json, mupots_tables
from .people import place
from .pose_json import write_json
from .prediction_collector import PredictionCollector
from .prediction_file import PosePredictions, write_predictions_json

__all__ = ["MuPoTSEvaluator", "mupots_image_name"]

_TARGET = get_skeleton(MUPOTS_JOINT_SET)
_FILE_NAME = re.compile(r"(?:.*[/\\])?([^/\\]+)[/\\]img_(\d{6})\.\w+")
# The model's pixels are continuous, the dataset's are counted by index.
_PIXEL_CENTRE = 0.5


class MuPoTSEvaluator(PredictionCollector):
    """:func:`~.mupots.evaluate_mupots` of a model's predictions.

    Gives ``{"mupots": {name: figure}}``: the figures over all sequences, those of visible and of
    occluded joints with ``_visible`` and ``_occluded``.  The log has the tables of the joint
    groups and of the sequences as well.

    Beside the files of :class:`PredictionCollector`, ``output_dir`` gets ``mupots_results.json``,
    every figure, and ``mupots_predictions.json``, which ``tools/evaluate.py`` reads.
    """

    task = "mupots"

    def __init__(
        self,
        dataset_name: str,
        annotation_dir: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
    ):
        """
        Args:
            dataset_name: registered dataset; its dicts have ``sequence`` and ``frame``, or a
                ``file_name`` that ends as ``TS1/img_000000.jpg`` does.
            annotation_dir: folder of the sequences' ``annot.mat`` and ``occlusion.mat``.
                The sequences that the dataset has are evaluated, whole.
            skeleton: the model's joints; they must contain those of muco17, by name.
            distributed: gather the predictions of all processes in the main one.
            output_dir: where files are written; None writes nothing.

        Raises:
            ValueError: if the skeleton lacks joints or has no root; names them.
        """
        super().__init__(dataset_name, skeleton, distributed=distributed, output_dir=output_dir)
        self._annotation_dir = annotation_dir
        self._mapping = skeleton.mapping_to(_TARGET)
        missing = [
            n for n, k in zip(_TARGET.joint_names, self._mapping.known, strict=True) if not k
        ]
        if missing:
            raise ValueError(
                f"skeleton '{skeleton.name}' lacks joints that MuPoTS-3D is evaluated on: {missing}"
            )

    def reset(self) -> None:
        super().reset()
        self._results: dict[str, Any] = {}
        self._stacked: PosePredictions | None = None

    def evaluate(self) -> dict[str, dict[str, float]]:
        figures = super().evaluate()
        if figures and self._output_dir:
            header = {
                "dataset": self._dataset_name,
                "units": {"keypoints": "px, pixel i centred at i", "keypoints_cam": "mm"},
            }
            path = os.path.join(self._output_dir, "mupots_predictions.json")
            write_predictions_json(path, self._stacked, _TARGET, header)
            path = os.path.join(self._output_dir, "mupots_results.json")
            results = json.dumps(mupots_json(self._results), allow_nan=False)
            write_json(path, {"dataset": self._dataset_name}, "mupots", [results])
        return figures

    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> dict[str, float]:
        names = {
            image_id: mupots_image_name(record, place(self._dataset_name, record))
            for image_id, record in records.items()
        }
        if len(set(names.values())) < len(names):
            repeated = sorted(n for n, number in Counter(names.values()).items() if number > 1)
            raise ValueError(f"dataset '{self._dataset_name}' has images twice: {repeated[:5]}")
        sequences = list(dict.fromkeys(name.partition("/")[0] for name in names.values()))
        if set(sequences) != set(MUPOTS_SEQUENCES):
            self._logger.warning(
                "'%s' has sequences %s: figures are not those of the whole test set.",
                self._dataset_name,
                ", ".join(sequences),
            )
        # In the dataset's order, whichever process predicted an image.
        predicted = {i: predictions[i] for i in records if i in predictions}
        self._stacked = self._stack(predicted, names)
        self._results = evaluate_mupots(self._annotation_dir, self._stacked, sequences)
        return flat_mupots_figures(self._results)

    def _stack(self, predicted: dict[Any, dict[str, Any]], names: dict[Any, str]):
        """Predictions in the dataset's joints and pixels; units need no check, they are mm."""
        people = [len(prediction["scores"]) for prediction in predicted.values()]
        joints = (self._skeleton.num_joints, 3)
        pixels = _concatenate(predicted, "pred_keypoints", joints)[..., :2] - _PIXEL_CENTRE
        poses = _concatenate(predicted, "pred_keypoints_cam", joints)
        known = np.ones(poses.shape[:2], dtype=np.bool_)
        return PosePredictions(
            tuple(names[image_id] for image_id in predicted),
            np.repeat(np.arange(len(people)), people),
            self._mapping.apply(pixels, known)[0],
            self._mapping.apply(poses, known)[0],
            _concatenate(predicted, "scores", ()),
            f"predictions of '{self._dataset_name}'",
        )

    def _report(self, figures: dict[str, float]) -> str:
        return mupots_tables(self._results)


def _concatenate(predicted: dict[Any, dict], field: str, shape: tuple[int, ...]) -> np.ndarray:
    arrays = [prediction[field] for prediction in predicted.values()]
    return np.concatenate([np.zeros((0, *shape)), *arrays]).astype(np.float64)


def mupots_image_name(record: dict, where: str) -> str:
    """The name of an image in files of predictions, ``TS1/img_000000.jpg``.

    Args:
        record: dataset dict with ``sequence`` and ``frame``, or with a ``file_name`` that ends
            so.
        where: its place, for the message.

    Raises:
        DatasetError: if it has neither.
    """
    if "sequence" in record and "frame" in record:
        return f"{record['sequence']}/img_{int(record['frame']):06d}.jpg"
    found = _FILE_NAME.fullmatch(str(record.get("file_name")))
    if not found:
        expected = "'.../TS1/img_000000.jpg' and the like, or fields 'sequence' and 'frame'"
        raise field_error(where, "file_name", record.get("file_name"), expected)
    return f"{found[1]}/img_{found[2]}.jpg"
