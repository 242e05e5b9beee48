"""The streaming JSON reader against json.load: the same values, and the same files refused."""

import json
import math
from unittest import mock

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.json_stream import _Reader, stream_json_arrays

# What the two parsers treat differently, and texts that look like the end of an element.
NEAR_64_BITS = st.sampled_from([2**63, -(2**63), 2**64, 10**18, 10**19, -(10**19), 10**40])
INTEGERS = st.integers() | st.builds(int.__add__, NEAR_64_BITS, st.integers(-2, 2))
TEXTS = st.text(max_size=8) | st.sampled_from(["},", "}]}, {", '"},', "\\", "\ud800", "9" * 25])
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4)
ARRAYS = st.lists(VALUES, max_size=5) | st.lists(OBJECTS, max_size=8)
CONTENTS = st.dictionaries(st.text(max_size=4), ARRAYS | VALUES, max_size=5)
LAYOUTS = st.sampled_from([{}, {"indent": 1}, {"indent": "\t"}, {"separators": (",", ":")}])


def stream(path, fields, **options) -> dict[str, list]:
    """What the reader yields, put together."""
    found = {field: [] for field in fields}
    for field, batch in stream_json_arrays(str(path), fields, **options):
        found[field] += batch
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("stream") / "file.json"


def write(path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def as_text(value: object) -> str:
    return json.dumps(value)  # compares NaN too


@given(
    content=CONTENTS,
    layout=LAYOUTS,
    ascii_only=st.booleans(),
    space=st.text(" \t\r\n", max_size=3),
    chunk_size=st.integers(1, 400),
    batch_size=st.integers(1, 4),
    data=st.data(),
)
def test_equals_json_load(path, content, layout, ascii_only, space, chunk_size, batch_size, data):
    text = json.dumps(content, ensure_ascii=ascii_only, **layout)
    text = space + text.replace("[", "[" + space) + space if '"' not in text else text
    try:
        write(path, text)
    except UnicodeEncodeError:  # half a surrogate pair
        write(path, json.dumps(content, **layout))
    arrays = [key for key, value in content.items() if isinstance(value, list)]
    fields = data.draw(st.lists(st.sampled_from(arrays), unique=True)) if arrays else []
    found = stream(path, fields, chunk_size=chunk_size, batch_size=batch_size)
    assert as_text(found) == as_text({field: content[field] for field in fields})


@given(
    content=st.fixed_dictionaries({"skip": VALUES, "a": ARRAYS, "b": ARRAYS}),
    place=st.floats(0, 1),
    change=st.sampled_from(["cut", "", *'x"[]{},:\\-.e1 \ufeff', "},", "], ", ",{", "NaN"]),
    inserted=st.booleans(),
    chunk_size=st.integers(1, 400),
)
def test_refuses_what_json_load_refuses(path, content, place, change, inserted, chunk_size):
    """Whole files with a change in one place, and cut ones."""
    text = json.dumps(content)
    at = int(place * (len(text) - 1))
    rest = text[at if inserted else at + 1 :]
    text = text[:at] + ("" if change == "cut" else change + rest)
    write(path, text)
    try:
        expected = json.loads(text)
        keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    except json.JSONDecodeError:
        with pytest.raises(
            DatasetError, match=r"file\.json: (found (broken|JSON that)|field)"
        ) as error:
            stream(path, ("a", "b"), chunk_size=chunk_size)
        with pytest.raises(DatasetError) as one_by_one, value_by_value():
            stream(path, ("a", "b"), chunk_size=chunk_size)
        assert str(error.value) == str(one_by_one.value)
        return
    if keys.count("a") == keys.count("b") == 1:
        found = stream(path, ("a", "b"), chunk_size=chunk_size)
        assert as_text(found) == as_text({"a": expected["a"], "b": expected["b"]})
    else:
        with pytest.raises(DatasetError, match=r"'[ab]'"):
            stream(path, ("a", "b"), chunk_size=chunk_size)


def value_by_value():
    """Makes the reader use the standard library's parser alone."""
    return mock.patch.object(_Reader, "_window", lambda self: [])


def count_single_values(path, **options) -> int:
    """Of a file with an array "a" alone, how many elements were not read in windows."""
    with mock.patch.object(_Reader, "value", autospec=True, side_effect=_Reader.value) as value:
        stream(path, ("a",), **options)
    return value.call_count - 1  # the key


@given(
    numbers=st.lists(
        st.from_regex(
            r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][-+]?[0-9]{1,3})?", fullmatch=True
        ),
        min_size=1,
    ),
    layout=st.sampled_from(["{}", " {} ", "[{}]", '"{}"', '"-{}", -1']),
)
@example(numbers=["-0"], layout="{}")
@example(numbers=["1e999"], layout="{}")
@example(numbers=["-9223372036854775809"], layout="{}")
@example(numbers=["18446744073709551616"], layout="[{}]")
@example(numbers=["0.00012345678901234567"], layout="{}")
def test_numbers_of_any_length(path, numbers, layout):
    values = ", ".join(f'{{"x": [{layout.format(number)}]}}' for number in numbers)
    text = f'{{"a": [{values}, {{}}]}}'  # windows end before a ","
    write(path, text)
    assert as_text(stream(path, ("a",))) == as_text(json.loads(text))


@pytest.mark.parametrize(
    ("element", "singles"),
    [
        ('{"x": [0.00012345678901234567, -1.5e-300]}', 1),  # 1: the last has no "," behind it
        ('{"x": "\u00e9"}', 1),
        ('{"x": [1], "y": {"z": {}}}', 1),
        ('{"x": {}, "y": 1}', 1),  # the last "}," is within the last element
        ('{"x": {}, "y": {}, "z": 1}', 50),  # the last two are
        ('{"x": 9223372036854775807}', 50),  # it looks like an integer beyond 64 bits
        ('{"x": NaN}', 50),
        ('{"x": "\\ud800"}', 50),
        ("[1]", 50),
    ],
)
def test_windows_hold_all_that_can_be_read_in_them(path, element, singles):
    write(path, f'{{"a": [{", ".join([element] * 50)}]}}')
    assert count_single_values(path) == singles


@pytest.mark.parametrize("odd", ['{"x": NaN}, ', '{"x": 1e999}, ', '{"x": "\\ud800"}, ', "1, "])
def test_one_odd_element_slows_its_surroundings_alone(path, odd):
    write(path, '{"a": [' + '{"x": 1.5}, ' * 500 + odd + '{"x": 1.5}, ' * 500 + "{}]}")
    assert 1 <= count_single_values(path, chunk_size=2400) < 30


def test_the_next_array_is_in_the_window_of_the_last(path):
    write(path, '{"a": [' + '{"x": 1.5}, ' * 500 + '{}], "b": [' + '{"x": 1.5}, ' * 500 + "{}]}")
    assert count_single_values(path, chunk_size=2400) < 30


def test_many_odd_elements_take_little_longer(path):
    """Windows that fail again and again: their length is bounded by what is read without them."""
    write(path, '{"a": [' + '{"x": NaN}, ' * 5000 + "{}]}")
    with mock.patch.object(orjson, "loads", wraps=orjson.loads) as loads:
        stream(path, ("a",), chunk_size=2400)
    tried = sum(len(call.args[0]) for call in loads.call_args_list)
    assert 0 < tried < 20 * path.stat().st_size


def test_batches(path):
    write(path, '{"a": [1, 2, 3, 4, 5], "skipped": [{}, [7]], "b": [], "c": [6, 7]}')
    batches = list(stream_json_arrays(str(path), ("c", "b", "a"), batch_size=2))
    assert batches == [("a", [1, 2]), ("a", [3, 4]), ("a", [5]), ("c", [6, 7])]


@pytest.mark.parametrize("chunk_size", [1, 7, 1 << 20])
def test_long_values(path, chunk_size):
    """Longer than a chunk: a string, a number of many digits, a nested object."""
    content = {"a": ['é\\"' * 300, 10**400, {"x": [[math.inf, -math.inf, 1.5e-300]] * 40}]}
    write(path, json.dumps(content, ensure_ascii=False))
    assert stream(path, ("a",), chunk_size=chunk_size) == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}', "'a': found 1, expected an array"),
        ('{"b": [1]}', r"'a': found fields \['b'\]"),
        ('{"a": [1], "a": [2]}', "'a': found it twice"),
        ("[1]", "no object"),
        ('{"a": [1]} x', "broken JSON .*char 11"),
        ("{} ", r"'a': found fields \[\]"),
        ('\ufeff{"a": []}', "no object"),
        ('{"a": [ , {}, {}]}', "broken JSON .*char 8"),
        ('{"a": [{}, {},]}', "broken JSON .*char 14"),
        ('{"a": [{}, {}}, {}]}', "broken JSON .*char 13"),
        ('{"a": [{}], [{}, {}]}', "broken JSON .*char 12"),
        ("", "broken JSON"),
        ('{"a": ' + "[" * 100_000, "broken JSON"),
    ],
)
def test_refuses(path, text, message):
    write(path, text)
    with pytest.raises(DatasetError, match=message):
        stream(path, ("a",))


@pytest.mark.parametrize("element", ["[0.123456789, 5], ", '{"\u00e9": [0.123456789, 5]}, '])
def test_an_error_far_into_the_file_has_its_place(path, element):
    """And is found without the rest of the file being read."""
    good = '{"a": [' + element * 1000
    write(path, good + "[0.1 2], " + element * 1000 + "1]}")
    with pytest.raises(DatasetError, match=f"char {len(good) + 5}"):
        stream(path, ("a",), chunk_size=64)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nothing\.json.*DETECTRON2_DATASETS"):
        stream(tmp_path / "nothing.json", ("a",))


def test_a_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match=rf"{tmp_path.name}: found a folder.*JSON file"):
        stream(tmp_path, ("a",))


def test_what_is_no_utf8_is_refused(path):
    whole = ('{"a": [' + '{"x": "\u00e9"}, ' * 50 + "{}]}").encode()
    for broken in (
        whole.replace(b"\xc3\xa9", b"\xe9"),
        whole.replace(b"\xc3\xa9", b"\xed\xa0\x80"),
    ):
        path.write_bytes(broken)
        with pytest.raises(DatasetError, match=r"file\.json: found broken JSON .*utf-8"):
            stream(path, ("a",))
