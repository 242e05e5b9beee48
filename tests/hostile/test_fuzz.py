"""Hostile files of every kind that a user may give: read, or refused by name, and nothing else.

HMOR_FUZZ_FACTOR multiplies the number of files; HMOR_FUZZ_KEEP is a folder for those that fail.
"""

import logging
import os
import warnings

import pytest

from tests.hostile.binary_dataset_readers import BINARY_DATASET_READERS
from tests.hostile.config_readers import CONFIG_READERS
from tests.hostile.json_dataset_readers import JSON_DATASET_READERS
from tests.hostile.output_readers import OUTPUT_READERS
from tests.hostile.picture_readers import PICTURE_READERS
from tests.hostile.sandbox import assert_survives

READERS = {
    **JSON_DATASET_READERS,
    **BINARY_DATASET_READERS,
    **PICTURE_READERS,
    **CONFIG_READERS,
    **OUTPUT_READERS,
}
# What is broken there is built anew.
NEVER_REFUSED = {"record cache"}
# There is no checkpoint to name; of three poses every number is needed.
RARELY_HARMLESS = {"last_checkpoint", "human36m joints"}
FACTOR = float(os.environ.get("HMOR_FUZZ_FACTOR", "1"))
SEED = os.environ.get("HMOR_FUZZ_SEED", "0")


@pytest.mark.parametrize("name", READERS)
def test_hostile_files(name, tmp_path):
    reader = READERS[name]()
    rounds = round(reader.rounds * FACTOR)
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refused = assert_survives(
                reader.read,
                reader.write,
                tmp_path,
                rounds,
                seed=f"{SEED} {name}",
                errors=reader.errors,
                mention=reader.mention,
            )
    finally:
        logging.disable(logging.NOTSET)
    if name in NEVER_REFUSED:
        assert refused == 0
    else:  # the files are hostile, indeed, but some are harmless
        assert 0.2 * rounds < refused < rounds + (name in RARELY_HARMLESS)
