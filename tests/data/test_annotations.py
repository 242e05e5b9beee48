"""Numbers of JSON that no float holds: the error names their place."""

import pytest

from hmor_d2.data.annotations import check_intrinsics, check_person, stack_field
from hmor_d2.data.dataset_error import DatasetError, Where
from hmor_d2.data.json_file import load_json
from hmor_d2.skeleton import get_skeleton

HUGE = 10**400


def place(i):
    return Where("file.json", i)


@pytest.mark.parametrize(
    ("values", "shape"), [([[1, 2], [HUGE, 2]], (2,)), ([0.5, HUGE], ()), ([[1], [-HUGE]], (1,))]
)
def test_stacking_integers_too_large(values, shape):
    records = [{"field": value} for value in values]
    with pytest.raises(DatasetError, match=r"file.json, image 1: field 'field': found .*expected"):
        stack_field(records, "field", shape, place)


def test_checking_integers_too_large():
    skeleton = get_skeleton("coco17")
    person = {"bbox": [0, 0, 9, 9], "bbox_mode": 1, "keypoints": [1.0, 1.0, 2] * 17}
    check_person(person, skeleton, place(3))
    for field in ("bbox", "keypoints"):
        broken = person | {field: [HUGE, *person[field][1:]]}
        with pytest.raises(DatasetError, match=f"file.json, image 3: field '{field}': .*finite"):
            check_person(broken, skeleton, place(3))
    with pytest.raises(DatasetError, match=r"image 3: field 'intrinsics': .*finite"):
        check_intrinsics([HUGE, 1, 1, 1], place(3))


def test_a_file_with_a_number_of_thousands_of_digits(tmp_path):
    path = tmp_path / "digits.json"
    path.write_text(f'{{"score": {"9" * 5000}}}')
    with pytest.raises(DatasetError, match=r"digits.json: found broken JSON"):
        load_json(str(path))
