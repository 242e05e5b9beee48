from collections import Counter
from itertools import islice

import pytest
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, DatasetFromList, MetadataCatalog

from hmor_d2 import add_hmor_config
from hmor_d2.data import build_hmor_train_loader
from hmor_d2.data.build import SerializedRecords


@pytest.fixture
def cfg():
    names = {"ratio_many": 30, "ratio_few": 3}
    for name, count in names.items():
        person = {"bbox": [0, 0, 9, 9], "bbox_mode": 0, "category_id": 0}
        records = [
            {"file_name": f"{name}_{i}", "width": 10, "height": 10, "annotations": [person]}
            for i in range(count)
        ]
        DatasetCatalog.register(name, lambda records=records: records)
        MetadataCatalog.get(name).thing_classes = ["person"]
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.DATASETS.TRAIN = tuple(names)
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SOLVER.IMS_PER_BATCH = 4
    yield cfg
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def shares(cfg, batches=300):
    loader = build_hmor_train_loader(cfg, mapper=lambda record: record)
    names = [r["file_name"] for batch in islice(iter(loader), batches) for r in batch]
    count = Counter(name.rsplit("_", 1)[0] for name in names)
    return {name: n / len(names) for name, n in count.items()}, set(names)


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_each_dataset_has_its_share(cfg, share):
    cfg.DATASETS.TRAIN_RATIO = (1 - share, share)
    found, names = shares(cfg)
    assert found["ratio_few"] == pytest.approx(share, abs=0.04)
    assert len(names) == 33  # every image is seen


def test_without_a_ratio_images_count_alike(cfg):
    found, _ = shares(cfg)
    assert found["ratio_few"] == pytest.approx(3 / 33, abs=0.02)


@pytest.mark.parametrize("ratio", [(0.5,), (0.5, 0.0), (0.5, 0.2, 0.3)])
def test_wrong_ratios_are_refused(cfg, ratio):
    cfg.DATASETS.TRAIN_RATIO = ratio
    with pytest.raises(ValueError, match=r"TRAIN_RATIO.*ratio_many"):
        build_hmor_train_loader(cfg, mapper=lambda record: record)


@pytest.mark.parametrize("ratio", [(), (0.5, 0.5)])
def test_records_are_serialised_once_without_a_second_copy(cfg, ratio, monkeypatch):
    made = []

    class Counted(SerializedRecords):
        def __init__(self, records):
            super().__init__(records)
            made.append(len(self))

    monkeypatch.setattr("hmor_d2.data.build.SerializedRecords", Counted)
    cfg.DATASETS.TRAIN_RATIO = ratio
    build_hmor_train_loader(cfg, mapper=lambda record: record)
    assert made == [33]
    detectron2s_own = DatasetFromList([{"a": 1}])
    assert made == [33] and detectron2s_own[0] == {"a": 1}  # only the loader's are
