"""Loads a file of MuCo's format in this process, and prints what it took as JSON (Linux).

python index_load.py FILE hmor_d2|detectron2: who serialises the records
"""

import json
import re
import sys
import time

from detectron2.data import DatasetCatalog, get_detection_dataset_dicts
from detectron2.data.common import DatasetFromList
from torch.utils.data import DataLoader, Dataset

from hmor_d2.data import register_muco
from hmor_d2.data.build import SerializedRecords

_NAME = "benchmark_index"


class ReadTenth(Dataset):
    """Item w: worker w's private memory in MB after reading every tenth record of ``records``."""

    def __init__(self, records):
        self.records = records

    def __len__(self) -> int:
        return 2

    def __getitem__(self, worker: int) -> float:
        for i in range(worker, len(self.records), 10):
            self.records[i]["annotations"]
        with open("/proc/self/smaps_rollup") as file:
            return sum(map(int, re.findall(r"Private_\w+: +(\d+) kB", file.read()))) / 1e3


def main(path: str, serialisation: str) -> None:
    figures = {"base_gb": peak_gb()}
    register_muco(_NAME, path, "images", compact=True)  # as "muco_train" is
    load = DatasetCatalog.pop(_NAME)

    def timed_load() -> list[dict]:
        start, cpu_start = time.perf_counter(), time.process_time()
        records = load()
        figures["load_s"] = time.perf_counter() - start
        figures["load_cpu_s"] = time.process_time() - cpu_start
        return records

    DatasetCatalog.register(_NAME, timed_load)
    start = time.perf_counter()
    records = get_detection_dataset_dicts(_NAME)
    figures["filter_s"] = time.perf_counter() - start - figures["load_s"]
    figures["images"] = len(records)
    start = time.perf_counter()
    if serialisation == "detectron2":
        shared = DatasetFromList(records, copy=False)
    else:
        shared = SerializedRecords(records)
        figures["serialised_gb"] = shared.nbytes / 1e9
    figures["serialise_s"] = time.perf_counter() - start
    figures["peak_gb"] = peak_gb()
    del records  # as the function that builds the loader does when it returns
    figures["worker_private_mb"] = worker_private_mb(shared) - worker_private_mb([])
    print(json.dumps(figures))


def peak_gb() -> float:
    """The most resident memory so far, in 10^9 bytes (getrusage begins with the parent's)."""
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024 / 1e9


def worker_private_mb(records) -> float:
    return max(float(item) for item in DataLoader(ReadTenth(records), num_workers=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
