"""Frames between the two processes: what goes in comes out, and nothing else gets in."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlcourse.grading import wire
from rlcourse.grading.compare import difference
from rlcourse.grading.wire import LENGTHS, Garbled, clean, pack, unpack

DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32,
          torch.float64]
TEXT = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" \n"), max_size=20)


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    values = draw(st.lists(st.integers(0, 100), min_size=math.prod(shape), max_size=math.prod(shape)))
    return torch.tensor(values).reshape(shape).to(draw(st.sampled_from(DTYPES)))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | tensors(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.sampled_from(sorted(wire._DTYPES)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["tensor", "dict", "function", "x"]), inner, max_size=2), max_leaves=12)


def parts(frame: bytes) -> tuple[bytes, bytes]:
    text, blobs = LENGTHS.unpack(frame[:LENGTHS.size])
    rest = frame[LENGTHS.size:]
    assert len(rest) == text + blobs
    return rest[:text], rest[text:]


def same(got: object, sent: object) -> bool:
    if isinstance(sent, torch.Tensor):
        return got.dtype == sent.dtype and got.shape == sent.shape and bool((got == sent).all())
    if isinstance(sent, dict):
        return list(got) == list(sent) and all(same(got[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return len(got) == len(sent) and all(map(same, got, sent))
    return got == sent or got != got and sent != sent


@given(PLAIN)
def test_plain_data_travel_unchanged(value):
    number, kind, body = unpack(*parts(pack(7, "value", value)), tidy=str)
    assert (number, kind) == (7, "value") and same(body, value)


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_are_a_message_or_refused(text, blobs):
    try:
        number, kind, _ = unpack(text, blobs)
    except Garbled:
        return
    assert type(number) is int and type(kind) is str


@given(JSON, st.binary(max_size=40))
def test_any_json_is_plain_data_or_refused(body, blobs):
    try:
        _, _, decoded = unpack(json.dumps([1, "value", body]).encode(), blobs)
    except Garbled:
        return
    assert same(unpack(*parts(pack(1, "value", decoded)))[2], decoded)  # what got in is plain: it can be sent


@given(tensors(), st.data())
def test_a_tensor_needs_exactly_its_bytes(tensor, data):
    text, blobs = parts(pack(1, "value", tensor))
    cut = data.draw(st.integers(0, len(blobs)))
    wrong = data.draw(st.sampled_from([blobs[:cut], blobs + b"x" * (cut + 1)]))
    if len(wrong) != len(blobs):
        with pytest.raises(Garbled):
            unpack(text, wrong)


@pytest.mark.parametrize("body", [
    {"tensor": ["float64", [-1]]}, {"tensor": ["float64", [2**40]]}, {"tensor": ["float64", [2**31 - 1, 2**31 - 1]]},
    {"tensor": ["float64", [2**20, 0]]}, {"tensor": ["float64", [True]]}, {"tensor": ["float64", "12"]}, {"tensor": ["object", [1]]},
    {"tensor": [["float64"], [1]]}, {"tensor": ["complex128", [1]]}, {"tensor": ["float64", [1] * 60]},
    {"function": 0}, {"dict": []}, {"tensor": 3}, {}, {"dict": {}, "tensor": []}, {"pickle": "gASVAAAA"},
], ids=str)
def test_lies_about_the_content_are_refused(body):
    with pytest.raises(Garbled):
        unpack(json.dumps([1, "value", body]).encode(), bytes(8))


def test_bombs_are_refused():
    deep = b'[1, "value", ' + b"[" * 100_000 + b"]" * 100_000 + b"]"
    many = json.dumps([1, "value", [0] * (wire.MAX_ITEMS + 1)]).encode()
    long_number = b'[1, "value", ' + b"9" * 100_000 + b"]"
    for text in (deep, many, long_number, b"[1, 2]", b'[true, "value", 1]', b'["1", "value", 1]', b"{}", b"\xff\xfe"):
        with pytest.raises(Garbled):
            unpack(text, b"")
    assert len(unpack(json.dumps([1, "value", [0] * (wire.MAX_ITEMS - 3)]).encode(), b"")[2]) == wire.MAX_ITEMS - 3


def test_a_byte_of_two_is_no_third_truth_value():
    got = unpack(b'[1, "value", {"tensor": ["bool", [2]]}]', b"\x02\x00")[2]
    assert got.tolist() == [True, False] and got.sum() == 1


def test_what_is_no_plain_data_is_not_sent():
    for value in (object(), {1, 2}, b"bytes", 1j, torch.ones(2, dtype=torch.complex64), lambda: 0):
        with pytest.raises(Garbled):
            pack(1, "value", value)
    assert difference(unpack(*parts(pack(1, "value", torch.ones(2, dtype=torch.bfloat16))))[2], torch.ones(2)) is None


def test_functions_travel_as_their_index():
    functions = []
    frame = pack(1, "call", ["f", [len, 3, max]], functions)
    assert functions == [len, max]
    assert unpack(*parts(frame), function=lambda index: f"stand-in {index}")[2] == ["f", ["stand-in 0", 3, "stand-in 1"]]


@given(st.text(max_size=30))
def test_text_from_outside_disturbs_no_page_and_no_terminal(text):
    tidy = clean(text)
    tidy.encode()  # no lone surrogate is left
    assert all(letter.isprintable() or letter == "\n" for letter in tidy)


def test_text_from_outside_is_cut_and_names_no_address():
    assert clean("x" * 5000, 100) == "x" * 100 + "…"
    assert clean("<f at 0x7f3a9c1d2e50>") == "<f at 0x…>"
    assert clean("\x1b[31mred\u202e\ud800") == "�[31mred��"
