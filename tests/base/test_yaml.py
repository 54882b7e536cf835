"""What is written is read as the same value, and what YAML does not keep as written is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import apply_override, dump_yaml, parse_yaml

TEXTS = (
    "12e4",
    "5e910274",
    "1e3",
    "-1E-3",
    "1.e5",
    ".5",
    ".inf",
    "no",
    "on",
    "null",
    "~",
    "010",
    "08",
    "0b1",
    "0o17",
    "0x10",
    "1_000",
    "12:30",
    "12:30.5",
    "2026-03-01",
    "2026-03-01 12:30:00",
    "",
    " a ",
    "=",
    "<<",
    "*a",
    "# a",
    "a: b",
    "a\n b\n\n",
    "\x85\u2028",
)
text = st.sampled_from(TEXTS) | st.text() | st.from_regex(r"\A[-+0-9._:eExXobTZ]{1,12}\Z")
plain = text | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
value = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(text, inner))


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(value)
@example({text: [text, {"inner": text}] for text in TEXTS})
def test_what_is_written_is_read_as_the_same_value(value: Any) -> None:
    assert repr(parse_yaml(dump_yaml(value), "c.yaml")) == repr(value)  # 1, 1.0 and True are not the same


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "a second one is 1": ("files: {01: a, 1: b}", "c.yaml: YAML reads the key '01' as the number 1; put it in"),
        "octal": ("{010: }", r"reads the key '010' as the number 8; put it in quotes \(line 1, column 2\)"),
        "hexadecimal": ("16: \n0x10: ", r"reads the key '0x10' as the number 16; put it in quotes \(line 2, column 1"),
        "sexagesimal": ("12:30: a", "reads the key '12:30' as the number 750;"),
        "underscore": ("1_000: a", "reads the key '1_000' as the number 1000;"),
        "exponent": ("1e3: a", "reads the key '1e3' as the number 1000.0;"),
        "fraction": ("1.50: a", "reads the key '1.50' as the number 1.5;"),
        "Norway": ("{SE: a, no: b}", r"reads the key 'no' as false; put it in quotes \(line 1, column 9\)"),
        "bool": ("True: a", "reads the key 'True' as true;"),
        "nothing": ("null: a", "reads the key 'null' as nothing;"),
        "no key": ("? \n: a", "reads the key '' as nothing;"),
        "date": ("2026-03-01: a", "reads the key '2026-03-01' as the date 2026-03-01;"),
        "time": ("2026-03-01 1:02:03: a", "as the time 2026-03-01 01:02:03;"),
        "far below": ("a:\n  - b: {c: [{01: d}]}", r"the key '01' .*\(line 2, column 14\)"),
        "twice": ('{"1": a, 1: b}', "c.yaml is no valid YAML: the key '1' is written twice"),
        "octal value": (
            "scenarios: [1, 010]",
            r"c.yaml: YAML reads 010 as the number 8; write 8, or put it in quotes .* \(line 1, column 16\)",
        ),
        "leading zero": ("a: 01", "reads 01 as the number 1; write 1,"),
        "sexagesimal value": ("a: 12:30", "reads 12:30 as the number 750; write 750,"),
        "sexagesimal fraction": ("a: 1:30.5", "reads 1:30.5 as the number 90.5;"),
        "hexadecimal value": ("a: 0x10", "reads 0x10 as the number 16;"),
        "binary value": ("a: 0b10", "reads 0b10 as the number 2;"),
        "underscore in a value": ("a: 1_000", "reads 1_000 as the number 1000;"),
        "underscore in a fraction": ("a: 1_0.5", "reads 1_0.5 as the number 10.5;"),
    }.values(),
)
def test_what_yaml_would_not_keep_as_written_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_yaml(text, "c.yaml")


def test_numbers_as_everybody_writes_them() -> None:
    text = "[7, -7, 0, .5, -1.50, 1., 1e3, 1E-3, +1.5, 20260301, 2026-03-01]"
    assert parse_yaml(text, "c.yaml") == [7, -7, 0, 0.5, -1.5, 1.0, 1000.0, 0.001, 1.5, 20260301, date(2026, 3, 1)]


def test_keys_are_texts_as_they_are_written() -> None:
    text = "{7: a, -7: b, 1.5: c, 08: d, '010': e, \"no\": f, x: {3: [{4: }]}, =: =}"
    assert parse_yaml(text, "c.yaml") == {
        "7": "a",
        "-7": "b",
        "1.5": "c",
        "08": "d",
        "010": "e",
        "no": "f",
        "x": {"3": [{"4": None}]},
        "=": "=",
    }


def test_a_number_that_is_a_key_elsewhere_stays_a_number() -> None:
    assert parse_yaml("a: &x 7\n*x : *x\n<<: {7: b, 8: c}", "c.yaml") == {"a": 7, "7": 7, "8": "c"}


def test_an_override_keeps_its_key_as_written() -> None:
    raw = parse_yaml("data: {files: {1: a.csv}}", "c.yaml")
    apply_override(raw, "data.files.01=b.csv")
    apply_override(raw, "data.files.1=c.csv")
    assert raw == {"data": {"files": {"1": "c.csv", "01": "b.csv"}}}
    with pytest.raises(UserError, match=r"^--set data.scenarios=\[010\]: YAML reads 010 as the number 8;"):
        apply_override(raw, "data.scenarios=[010]")
    with pytest.raises(UserError, match=r"^--set data.files=\{01: a.csv\}: YAML reads the key '01' as the number 1"):
        apply_override(raw, "data.files={01: a.csv}")
