"""rounds.jsonl and metrics.jsonl as they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.reading import ContenderRecord, metric_table, read_metrics
from msmtrec.record.relations import conflicts, over_rounds, personalisation, plain_means
from msmtrec.record.rounds import read_rounds, seconds_of
from report.made import diagnostics

CONFLICT = {
    "scenarios": ["b", "a"],
    "cosine": [[1.0, -0.5], [-0.5, 1.0]],
    "conflict_weights": [[0.5, 0.5], [1.0, 0.0]],
    "coefficients": [0.25, 0.75],
    "negative_pairs": 1.0,
    "degenerate": 1,
}
SIZES = {"a": 5, "b": 4, "c": 9}


def write(folder: Path, *diagnostics: dict[str, Any]) -> Path:
    path = folder / "rounds.jsonl"
    lines = [
        {
            "round": n,
            "bytes_up": {},
            "bytes_down": {},
            "seconds": {"train": 1.5},
            "took_part": {"0": ["a", "b"]},
            "diagnostics": {"0": found},
        }
        for n, found in enumerate(diagnostics, 1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("share", "rows"),
    [
        ({"beta/experts": {"a": [0.5], "b": [0.0]}}, [[0.875, 0.125], [0.0, 1.0]]),
        ({"beta/experts": {"a": [0.5]}}, [[0.875, 0.125], [0.0, 1.0]]),  # b did not answer the offer
        ({"alpha/experts": {"a": [0.4, 0.6], "b": [0.0, 0.0]}}, [[1.375, 0.125], [0.0, 1.0]]),
        ({}, [[0.75, 0.25], [0.75, 0.25]]),
    ],
)
def test_listening_by_hand(tmp_path: Path, share: dict[str, Any], rows: list[list[float]]) -> None:
    conflict = read_rounds(write(tmp_path, CONFLICT | share), SIZES)[0].federations[0].conflict
    assert conflict is not None
    order = [conflict.names.index(name) for name in ("a", "b")]
    assert conflict.listening[np.ix_(order, order)] == pytest.approx(np.array(rows))


def test_rounds_are_put_together_by_name(tmp_path: Path) -> None:
    other = CONFLICT | {"scenarios": ["a", "c"], "cosine": [[1.0, None], [None, 1.0]], "degenerate": 0}
    shares = ({"beta/experts": {"a": [0.2], "b": [0.4]}}, {"beta/experts": {"a": [0.6], "c": [1.0]}})
    rounds = read_rounds(write(tmp_path, CONFLICT | shares[0], other | shares[1]), SIZES)
    record = ContenderRecord("one", metric_table([]), rounds, [])
    found = conflicts(record, list(SIZES))
    assert found is not None
    assert np.array_equal(found, [[1, -0.5, np.nan], [-0.5, 1, np.nan], [np.nan, np.nan, 1]], equal_nan=True)
    assert plain_means(record) == (1, 4)
    mixed = personalisation(record, list(SIZES))
    assert mixed is not None
    assert np.array_equal(mixed[2], [[0.2, 0.6], [0.4, np.nan], [np.nan, 1.0]], equal_nan=True)
    assert rounds[0].took_part == 2


def test_damage_is_said_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, CONFLICT, CONFLICT)
    whole = path.read_text()
    path.write_text(whole[:-20])
    for read in (lambda: read_rounds(path, SIZES), lambda: seconds_of(path)):
        with pytest.raises(UserError, match=r"rounds.jsonl, line 2, is damaged"):
            read()
    path.write_text(whole.replace('"took_part"', '"participants"'))
    with pytest.raises(UserError, match=r"line 1, is from another version or damaged \(KeyError: 'took_part'\)"):
        read_rounds(path, SIZES)
    path.write_text(whole.replace("[-0.5, 1.0]]", "[-0.5]]"))
    with pytest.raises(UserError, match=r"line 1, is from another version or damaged"):
        read_rounds(path, SIZES)
    assert read_rounds(tmp_path / "none.jsonl", SIZES) == []


def test_metrics_need_their_names(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    line = {"round": 1, "stage": "after", "seed": 0, "scenario": "a", "task": "click", "auc": None, "more": 1}
    path.write_text(json.dumps(line) + "\n")
    assert read_metrics(path)["auc"].to_list() == [None]
    path.write_text(json.dumps(line) + "\n" + json.dumps(line)[:30])
    with pytest.raises(UserError, match=r"metrics.jsonl is damaged"):
        read_metrics(path)
    del line["task"]
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=r"a line has no 'task'"):
        read_metrics(path)
    assert read_metrics(tmp_path / "none.jsonl").is_empty()


def test_conflict_by_round_is_the_mean_of_the_seeds_that_had_one(tmp_path: Path) -> None:
    shares = {1: {0: 0.2, 1: 0.4}, 2: {0: 0.6}}  # the second seed ends after the first round
    lines = []
    for number, seeds in shares.items():
        found = {
            str(seed): diagnostics(["a", "b"], [2, 1]) | {"negative_pairs": share} for seed, share in seeds.items()
        }
        lines.append(
            {"round": number, "bytes_up": {}, "bytes_down": {}, "seconds": {}, "took_part": {}, "diagnostics": found}
        )
    (tmp_path / "rounds.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    rounds = read_rounds(tmp_path / "rounds.jsonl", {"a": 2, "b": 1})
    found = over_rounds(ContenderRecord("c", metric_table([]), rounds, []))
    assert found is not None
    assert found.rounds.tolist() == [1, 2]
    assert found.negative == pytest.approx([0.3, 0.5])  # its last value is carried on
    cosine = rounds[0].federations[0].conflict.cosine[0, 1]  # type: ignore[union-attr]
    assert found.cosine == pytest.approx([cosine, cosine], rel=1e-5)
    assert over_rounds(ContenderRecord("c", metric_table([]), [], [])) is None
