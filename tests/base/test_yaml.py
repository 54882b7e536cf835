"""What is written is read as the same value."""

from __future__ import annotations

from typing import Any

import pytest

from msmtrec.base.yaml import dump_yaml, parse_yaml

TEXTS = (
    "12e4",
    "5e910274",
    "1e3",
    "-1E-3",
    "1.e5",
    "no",
    "on",
    "null",
    "~",
    "1:30",
    "0x1f",
    "2026-02-01",
    "",
    " a ",
    "=",
)


@pytest.mark.parametrize("text", TEXTS)
def test_text_stays_text(text: str) -> None:
    value = {text: [text, {"inner": text}]}
    assert parse_yaml(dump_yaml(value), "bad") == value


@pytest.mark.parametrize("number", [1, -3, 0.1, 1e-5, 1e300, 3e-7, 20260201, True, None])
def test_numbers_stay_numbers(number: Any) -> None:
    found = parse_yaml(dump_yaml({"a": number}), "bad")["a"]
    assert (found, type(found)) == (number, type(number))
