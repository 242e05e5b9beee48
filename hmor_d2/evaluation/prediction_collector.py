"""What every evaluator of 3D poses does alike: collect, check, gather and write predictions."""

import itertools
import json
import logging
import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import detectron2.utils.comm as comm
import numpy as np
from detectron2.data import DatasetCatalog
from detectron2.evaluation import DatasetEvaluator

from ..data.annotations import check_image_size
from ..data.dataset_error import field_error, require
from ..skeleton import Skeleton
from .people import place, predicted_people
from .pose_json import json_array, people_to_json, pose_header, write_json

__all__ = ["PredictionCollector"]


class PredictionCollector(DatasetEvaluator):
    """Base of evaluators of 3D poses; a subclass computes the figures of its protocol.

    A subclass sets ``task`` and defines ``_figures(records, predictions)`` and
    ``_report(figures)``; ``_settings()`` names what else the written files should say.

    Attributes:
        task: key of the figures in the results.
    """

    task: str

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str | None = None,
    ):
        """
        Args:
            dataset_name: registered dataset.
            skeleton: the model's joints.
            distributed: gather the predictions of all processes in the main one.
            output_dir: where ``pose_predictions.json`` (all predictions, whatever their
                score) and ``pose_results.json`` are written; None writes nothing.

        Raises:
            ValueError: if the skeleton has no root.
        """
        if skeleton.root_index is None:
            raise ValueError(f"skeleton '{skeleton.name}' has no root joint to evaluate poses by")
        self._dataset_name = dataset_name
        self._skeleton = skeleton
        self._distributed = distributed
        self._output_dir = output_dir
        self._logger = logging.getLogger(type(self).__module__)
        self.reset()

    @abstractmethod
    def _figures(
        self, records: dict[Any, dict], predictions: dict[Any, dict[str, Any]]
    ) -> dict[str, float]:
        """Every figure of the protocol.

        Args:
            records: the dataset's dicts by image id, in its order.
            predictions: what ``predicted_people`` returns, by image id; images may be missing.
        """

    @abstractmethod
    def _report(self, figures: dict[str, float]) -> str:
        """The table for the log, with what a reader needs to know to use its figures."""

    def _settings(self) -> dict[str, Any]:
        """Options that the figures depend on, for the files' header."""
        return {}

    def reset(self) -> None:
        """Forget the predictions of an earlier round."""
        self._predictions: list[dict[str, Any]] = []

    def process(self, inputs: list[dict], outputs: list[dict]) -> None:
        """Take the predictions of some images.

        Args:
            inputs: dicts with ``image_id`` and ``file_name``.
            outputs: dicts with ``instances``, of N people with ``pred_boxes`` (XYXY px of the
                original image), ``scores``, ``pred_keypoints`` (N, J, 3: x, y, score),
                ``pred_keypoints_cam`` (N, J, 3 mm) and ``pred_root_depth`` (N, mm).

        Raises:
            ValueError: for a missing field, another shape, or a value that is not finite; the
                message names dataset, image and field.
        """
        for source, output in zip(inputs, outputs, strict=True):
            where = place(self._dataset_name, source)
            if "instances" not in output:
                raise ValueError(f"{where}: expected output 'instances', found {sorted(output)}")
            prediction = predicted_people(output["instances"], self._skeleton, where)
            prediction["image_id"] = source["image_id"]
            prediction["file_name"] = source.get("file_name")
            self._predictions.append(prediction)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Compare with the dataset's annotations, log a table and write the files.

        Images processed twice, by samplers that pad, count once.  Images never processed count
        with all their people missed, and are logged.

        Returns:
            ``{task: {name: figure}}`` in the main process, ``{}`` in the others.

        Raises:
            ValueError: for annotations that are malformed (a DatasetError) or that the protocol
                cannot use, and for predictions of an image that the dataset lacks or has in
                another size.
        """
        predictions = self._predictions
        if self._distributed:
            comm.synchronize()
            predictions = list(itertools.chain(*comm.gather(predictions, dst=0)))
            if not comm.is_main_process():
                return {}
        by_id: dict[Any, dict] = {}
        for prediction in predictions:
            by_id.setdefault(prediction["image_id"], prediction)
        if len(by_id) < len(predictions):
            self._logger.info(
                f"{len(predictions) - len(by_id)} images were predicted more than once; the "
                "first prediction counts."
            )
        records = self._checked_records(by_id)
        if self._output_dir:
            # First of all: what took hours must not depend on the annotations being right.
            os.makedirs(self._output_dir, exist_ok=True)
            images = json_array(people_to_json(prediction) for prediction in by_id.values())
            self._write("pose_predictions.json", "predictions", images)
        computed = self._figures(records, by_id)
        figures = OrderedDict((name, float(value)) for name, value in computed.items())
        self._logger.info(self._report(figures))
        if self._output_dir:
            finite = {k: v if np.isfinite(v) else None for k, v in figures.items()}
            self._write("pose_results.json", self.task, [json.dumps(finite)])
        return OrderedDict({self.task: figures})

    def _checked_records(self, by_id: dict[Any, dict]) -> dict[Any, dict]:
        """The dataset's records by image id, checked against the predictions."""
        records: dict[Any, dict] = {}
        for record in DatasetCatalog.get(self._dataset_name):
            where = place(self._dataset_name, record)
            size = (require(record, "height", where), require(record, "width", where))
            check_image_size(*size, where)
            if require(record, "image_id", where) in records:
                raise field_error(where, "image_id", "it a second time", "one record an image")
            records[record["image_id"]] = record
        unknown = [i for i in by_id if i not in records]
        if unknown:
            raise ValueError(
                f"dataset '{self._dataset_name}' has no image of image_id {unknown[:5]}, for "
                f"which there are predictions ({len(unknown)} such images)"
            )
        missing = [i for i in records if i not in by_id]
        if missing:
            self._logger.warning(
                f"{len(missing)} of {len(records)} images of '{self._dataset_name}' have no "
                f"prediction, first {missing[:5]}: all their people count as missed."
            )
        for image_id, prediction in by_id.items():
            record = records[image_id]
            size = (record["height"], record["width"])
            if prediction["image_size"] != size:
                raise ValueError(
                    f"{place(self._dataset_name, record)}: the prediction is for an image of "
                    f"(height, width) {prediction['image_size']}, the dataset says {size}"
                )
        return records

    def _write(self, file_name: str, key: str, value: Iterable[str]) -> None:
        path = os.path.join(self._output_dir, file_name)
        header = {"dataset": self._dataset_name} | self._settings()
        write_json(path, header | pose_header(self._skeleton), key, value)
        self._logger.info(f"Wrote {path}")
