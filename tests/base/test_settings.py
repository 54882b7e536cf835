"""What is a name, and what only looks like one."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from config.small import BASE, TABULAR
from msmtrec.base.errors import UserError
from msmtrec.base.yaml import parse_yaml
from msmtrec.config.parse import parse_config


def scenarios(raw: Any) -> tuple[str, ...]:
    config = parse_config({**BASE, "data": {**TABULAR, "scenarios": raw}})
    return tuple(config.data.model_dump()["scenarios"])


def test_names_are_texts_or_integers() -> None:
    assert scenarios(["010", 7, "no", -1]) == ("010", "7", "no", "-1")
    assert scenarios(parse_yaml("['010', 7, 08, 2026]", "c.yaml")) == ("010", "7", "08", "2026")


@pytest.mark.parametrize(
    ("found", "written"), [(1e3, "1000.0"), (1.5, "1.5"), (date(2026, 3, 1), "2026-03-01"), (None, "None")]
)
def test_what_yaml_has_made_something_else_of_is_no_name(found: Any, written: str) -> None:
    with pytest.raises(
        UserError, match=rf"^data.scenarios.1: {written} is no name; put it in quotes, as it is written$"
    ):
        scenarios(["NL", found])


def test_a_mapping_has_names_too() -> None:
    data = {**TABULAR, "scenario": None, "files": {1.5: "a.csv"}}
    with pytest.raises(UserError, match=r"^data.files: 1.5 is no name; put it in quotes"):
        parse_config({**BASE, "data": data})


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"missing": [False]}, "data.missing.0 must be text, not False; put it in quotes, as it is written"),
        ({"missing": [None]}, "data.missing.0 must be text, not nothing; put it in quotes if it is meant as it stands"),
        ({"missing": "NA"}, "data.missing must be a list, such as [NA], not 'NA'"),
        ({"missing": ["NA", -1]}, "data.missing.1 must be text, not -1; put it in quotes, as it is written"),
        ({"group": date(2026, 3, 1)}, "data.group must be text, not 2026-03-01; put it in quotes, as it is written"),
    ],
)
def test_a_text_that_yaml_has_made_something_else_of(setting: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}$"):
        parse_config({**BASE, "data": {**TABULAR, **setting}})


def test_a_run_is_not_called_by_a_number_that_was_written_otherwise() -> None:
    for name, found in ((12, "12"), (date(2026, 3, 1), "2026-03-01")):
        assert parse_config({**BASE, "name": name}).name == found
    with pytest.raises(UserError, match=r"^name is 1000.0, but it names the run's folder"):
        parse_config({**BASE, "name": 1e3})
