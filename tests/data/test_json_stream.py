"""The streaming JSON reader against json.load: the same values, and the same files refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmor_d2.data.annotations import DatasetError
from hmor_d2.data.json_stream import stream_json_arrays

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
CONTENTS = st.dictionaries(st.text(max_size=4), st.lists(VALUES, max_size=5) | VALUES, max_size=5)
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
    chunk_size=st.integers(1, 80),
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
    content=st.fixed_dictionaries(
        {"skip": VALUES, "a": st.lists(VALUES, max_size=4), "b": st.lists(st.floats(), max_size=4)}
    ),
    place=st.floats(0, 1),
    change=st.sampled_from(["cut", "drop", *'x"[]{},:\\-.e1 ']),
    chunk_size=st.integers(1, 40),
)
def test_refuses_what_json_load_refuses(path, content, place, change, chunk_size):
    """Whole files with one character changed, and cut ones."""
    text = json.dumps(content)
    at = int(place * (len(text) - 1))
    rest = "" if change == "cut" else text[at + 1 :]
    text = text[:at] + ("" if change in ("cut", "drop") else change) + rest
    write(path, text)
    try:
        expected = json.loads(text)
        keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    except json.JSONDecodeError:
        with pytest.raises(DatasetError, match=r"file\.json: found"):
            stream(path, ("a", "b"), chunk_size=chunk_size)
        return
    if keys.count("a") == keys.count("b") == 1:
        found = stream(path, ("a", "b"), chunk_size=chunk_size)
        assert as_text(found) == as_text({"a": expected["a"], "b": expected["b"]})
    else:
        with pytest.raises(DatasetError, match=r"'[ab]'"):
            stream(path, ("a", "b"), chunk_size=chunk_size)


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
        ("", "broken JSON"),
        ('{"a": ' + "[" * 100_000, "broken JSON"),
    ],
)
def test_refuses(path, text, message):
    write(path, text)
    with pytest.raises(DatasetError, match=message):
        stream(path, ("a",))


def test_an_error_far_into_the_file_has_its_place(path):
    """And is found without the rest of the file being read."""
    good = '{"a": [' + "[0.123456789, 5], " * 1000
    write(path, good + "[0.1 2], " + "[0.123456789, 5], " * 1000 + "1]}")
    with pytest.raises(DatasetError, match=f"char {len(good) + 5}"):
        stream(path, ("a",), chunk_size=64)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nothing\.json.*DETECTRON2_DATASETS"):
        stream(tmp_path / "nothing.json", ("a",))
