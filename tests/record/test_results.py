"""The table from hand-written test files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.results import Results, summarise
from msmtrec.report.markdown import results_markdown
from msmtrec.report.terminal import pair_sentence

SEEDS = (0, 1, 2)


def write(folder: Path, aucs: tuple[float, ...], strength: float, seed: int) -> Path:
    """One scenario, one task; scores separate the classes by `strength`."""
    folder.mkdir(parents=True)
    records = [{"seed": s, "scenario": "a", "task": "click", "auc": v} for s, v in zip(SEEDS, aucs, strict=True)]
    (folder / "test.json").write_text(json.dumps(records))
    labels = np.random.default_rng(0).integers(0, 2, (2000, 1)).astype(np.float32)
    random = np.random.default_rng(seed)
    noise = random.normal(size=(2000, 1))
    scores = {f"a/{s}": (noise + strength * labels + 0.05 * random.normal(size=(2000, 1))) for s in SEEDS}
    np.savez(folder / "scores.npz", **{"a/labels": labels, "a/group": np.arange(2000)}, **scores)
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Results:
    folders = {
        "local": write(tmp_path / "local", (0.70, 0.71, 0.70), 0.7, 1),
        "good": write(tmp_path / "good", (0.801, 0.812, 0.80), 1.2, 2),
        "level": write(tmp_path / "level", (0.80, 0.81, 0.803), 1.2, 3),
    }
    return summarise("t", folders, ("click",), dict.fromkeys(folders, ""), ("a note",))


def test_every_pair_once_and_in_either_direction(results: Results) -> None:
    assert [(p.first, p.second) for p in results.pairs] == [("local", "good"), ("local", "level"), ("good", "level")]
    there, back = results.pair("good", "local"), results.pair("local", "good")
    assert there is not None
    assert back is not None
    assert there.seeds.mean == pytest.approx(0.1010, abs=1e-4)
    assert (there.seeds.mean, there.users.low) == (-back.seeds.mean, -back.users.high)
    assert results.pair("good", "good") is None


def test_the_larger_p_of_both_tests_counts_and_is_corrected(results: Results) -> None:
    clear, none = results.pair("good", "local"), results.pair("good", "level")
    assert clear is not None
    assert none is not None
    raw = sorted(max(p.seeds.p_value, p.users.p_value) for p in results.pairs)
    assert clear.p_value == pytest.approx(3 * raw[0])
    assert sorted(p.p_value for p in results.pairs)[1] == pytest.approx(max(2 * raw[1], 3 * raw[0]))
    assert clear.p_value < 0.01
    assert none.p_value == pytest.approx(max(none.seeds.p_value, none.users.p_value))
    assert none.p_value > 0.05


def test_it_survives_json(results: Results) -> None:
    assert Results.from_dict(json.loads(json.dumps(results.as_dict()))) == results
    assert results.notes == ("a note",)


def test_the_sentence_claims_no_more_than_the_tests(results: Results) -> None:
    sentence = pair_sentence(results)
    assert sentence is not None
    assert sentence.startswith("highest mean: good, not shown to be better than level (")


def test_markdown_has_the_pairs(results: Results) -> None:
    table = results_markdown(results).split("\n\n")[2].splitlines()
    assert table[0] == "| row − column | local | good | level |"
    assert table[3].startswith("| good | **+10.10** (0.0")
    assert "|  | +0.00 (" in table[3]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.pop("pairs"),
        lambda raw: raw["cells"]["good"][0].pop("users"),
        lambda raw: raw["cells"]["good"].pop(),
        lambda raw: raw["cells"].clear(),
        lambda raw: raw["pairs"][0].update(power=0.8),
        lambda raw: raw["pairs"][0]["seeds"].update(mean="0.1"),
        lambda raw: raw.update(lines=["a", "mean"]),
        lambda raw: raw.update(cells=[]),
        lambda raw: raw["cells"].update(good=None),
    ],
)
def test_results_of_another_version_get_one_sentence(results: Results, damage: Callable[[dict[str, Any]], Any]) -> None:
    raw = json.loads(json.dumps(results.as_dict()))
    assert Results.from_dict(raw) == results
    damage(raw)
    with pytest.raises(UserError, match=r"results.json is from another version or damaged \("):
        Results.from_dict(raw)


def test_results_that_are_no_mapping_get_one_sentence() -> None:
    with pytest.raises(UserError, match=r"results.json is from another version or damaged"):
        Results.from_dict([1, 2])  # type: ignore[arg-type]
