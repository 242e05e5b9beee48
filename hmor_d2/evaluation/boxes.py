"""Box AP on datasets that are not in COCO's format."""

from detectron2.evaluation import COCOEvaluator

from ..skeleton import Skeleton

__all__ = ["BoxEvaluator"]


class BoxEvaluator(COCOEvaluator):
    """Detectron2's COCOEvaluator, of boxes alone, on any dataset that it can convert.

    Gives ``{"bbox": {"AP", "AP50", ...}}`` in percent.  Joints do not count, so that the
    dataset's need not be COCO's.
    """

    def __init__(
        self,
        dataset_name: str,
        skeleton: Skeleton,
        *,
        distributed: bool = True,
        output_dir: str,
    ):
        """
        Args:
            dataset_name: registered dataset.
            skeleton: the model's joints, which do not matter.
            distributed: gather the predictions of all processes in the main one.
            output_dir: where the converted annotations and the predictions are written.
        """
        super().__init__(
            dataset_name, tasks=("bbox",), distributed=distributed, output_dir=output_dir
        )
