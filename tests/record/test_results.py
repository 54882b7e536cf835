"""results.json: what is read back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.directory import write_json
from msmtrec.record.results import Results
from msmtrec.record.summary import summarise
from record.finished import labels_of, write


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder, labels = tmp_path_factory.mktemp("results"), {"a": labels_of(400)}
    found = {n: write(folder / n, s, k, labels) for n, s, k in (("local", 0.7, 1), ("good", 1.2, 2), ("level", 1.2, 3))}
    return summarise("t", found, ("click",), ("a note",))


def test_it_survives_json(results: Results) -> None:
    found = Results.from_dict(json.loads(json.dumps(results.as_dict(), allow_nan=False)))
    assert found == results
    assert found.cells == results.cells
    assert found != replace(results, notes=())
    assert results.notes == ("a note",)


def test_a_number_that_json_has_no_word_for_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"auc": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.pop("pairs"),
        lambda raw: raw.pop("users"),
        lambda raw: raw["cells"]["good"][0].pop("compared"),
        lambda raw: raw["cells"]["good"].pop(),
        lambda raw: raw["cells"].clear(),
        lambda raw: raw["support"].pop(),
        lambda raw: raw["counted"].pop(),
        lambda raw: raw["support"][0].update(rows="400"),
        lambda raw: raw["pairs"][0].update(power=0.8),
        lambda raw: raw["pairs"][0]["compared"].update(difference="0.1"),
        lambda raw: raw["pairs"][0]["compared"].update(untested=None),
        lambda raw: raw.update(lines=["a", "mean"]),
        lambda raw: raw.update(cells=[]),
        lambda raw: raw["cells"].update(good=None),
    ],
)
def test_results_of_another_version_get_one_sentence(results: Results, damage: Callable[[dict[str, Any]], Any]) -> None:
    raw = json.loads(json.dumps(results.as_dict()))
    Results.from_dict(raw)
    damage(raw)
    with pytest.raises(UserError, match=r"results.json is from another version or damaged \("):
        Results.from_dict(raw)


def test_results_that_are_no_mapping_get_one_sentence() -> None:
    with pytest.raises(UserError, match=r"results.json is from another version or damaged"):
        Results.from_dict([1, 2])  # type: ignore[arg-type]
