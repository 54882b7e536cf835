"""A run of weighted rows whose unclicked ones were sampled: its figures by hand, and one probability everywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score

import msmtrec
from msmtrec.data.encoding.forms import as_yielded
from msmtrec.record.directory import read_json, read_lines
from msmtrec.serving.export import export
from msmtrec.serving.onnx.inputs import Input, feeds

KEPT = 0.2
CONTENDERS = ("local", "fedavg", "fedavg+ft", "pooled")


@dataclass(frozen=True)
class Weighted:
    run: msmtrec.Run
    rows: pl.DataFrame

    def part(self, scenario: str, split: str) -> pl.DataFrame:
        return self.rows.filter((pl.col("country") == scenario) & (pl.col("part") == split))

    def kept(self, contender: str, name: str) -> dict[str, Any]:
        with np.load(self.run.folder / "contenders" / contender / name) as found:
            return dict(found)


def rows(scenario: str, count: int) -> pl.DataFrame:
    random = np.random.default_rng(len(scenario))
    x = random.normal(size=count)
    click = random.random(count) < expit(x - 1.5)
    frame = pl.DataFrame(
        {
            "country": [scenario] * count,
            "user": random.integers(0, 40, count),
            "x": x,
            "click": click.astype(int),
            "buy": (click & (random.random(count) < expit(x))).astype(int),
            "w": random.integers(0, 3, count) * 1.5,
            "part": random.choice(["train", "validation", "test"], count, p=[0.5, 0.25, 0.25]),
        }
    )
    return frame.filter((pl.col("click") == 1) | pl.Series(random.random(count) < KEPT))


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Weighted:
    folder = tmp_path_factory.mktemp("weighted")
    log = pl.concat([rows("NL", 4000), rows("FRA", 3000)])
    log.write_parquet(folder / "log.parquet")
    config = {
        "data": {
            "source": "tabular",
            "files": str(folder / "log.parquet"),
            "scenario": "country",
            "tasks": {"click": {"negatives_kept": KEPT}, "buy": {"within": "click"}},
            "features": {"user": None, "x": {"kind": "numeric"}},
            "split": {"column": "part"},
            "group": "user",
            "weight": "w",
        },
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"rounds": 2, "local_steps": 20, "batch_size": 64, "learning_rate": 0.02},
        "methods": {"local": None, "fedavg": {"fine_tune": {"rounds": 1}}, "pooled": None},
        "seeds": 2,
    }
    return Weighted(msmtrec.run(config, out=folder / "run", caution=lambda _: None), log)


def test_scores_have_the_weights_of_all_rows(weighted: Weighted) -> None:
    for contender in CONTENDERS:
        for name, split in (("scores.npz", "test"), ("validation-scores.npz", "validation")):
            part = weighted.part("NL", split)
            times = np.where(part["click"].to_numpy() == 0, 1 / KEPT, 1)
            wanted = part["w"].to_numpy() * times
            found = weighted.kept(contender, name)["NL/weights"]
            assert found == pytest.approx(np.stack([wanted, wanted], 1))


def test_test_figures_are_of_weighted_rows_and_of_all_that_kept_ones_stand_for(weighted: Weighted) -> None:
    for contender in CONTENDERS:
        scores = weighted.kept(contender, "scores.npz")
        for record in read_json(weighted.run.folder / "contenders" / contender / "test.json"):
            scenario, task = record["scenario"], ("click", "buy").index(record["task"])
            part = weighted.part(scenario, "test")
            counts = part["w"].to_numpy() > 0
            labels = part[record["task"]].to_numpy()
            logits = scores[f"{scenario}/{record['seed']}"][:, task].astype(float)
            weights = scores[f"{scenario}/weights"][:, task]
            asked = {"sample_weight": weights}
            assert (record["rows"], record["positives"]) == (counts.sum(), labels[counts].sum())
            assert record["auc"] == pytest.approx(roc_auc_score(labels, logits, **asked), abs=1e-6)
            assert record["log_loss"] == pytest.approx(log_loss(labels, expit(logits), **asked), abs=1e-6)
            ratio = (weights * expit(logits)).sum() / (weights * labels).sum()
            assert record["calibration"] == pytest.approx(ratio, abs=1e-5)
            if task == 0:
                own = roc_auc_score(labels, logits, sample_weight=part["w"].to_numpy())
                assert record["auc"] == pytest.approx(own, abs=1e-6)  # what was sampled away does not change it


def test_rounds_are_chosen_by_weighted_rows(weighted: Weighted) -> None:
    folder = weighted.run.folder / "contenders" / "local"
    scores, part = weighted.kept("local", "validation-scores.npz"), weighted.part("NL", "validation")
    lines = read_lines(folder / "metrics.jsonl")
    for chosen in read_json(folder / "validation.json"):
        if chosen["scenario"] != "NL":
            continue
        found = [
            line["auc"]
            for line in lines
            if (line["scenario"], line["seed"], line["round"]) == ("NL", chosen["seed"], chosen["round"])
            and (line["stage"], line["task"]) == ("after", "click")
        ]
        logits = scores[f"NL/{chosen['seed']}"][:, 0]
        wanted = roc_auc_score(part["click"].to_numpy(), logits, sample_weight=part["w"].to_numpy())
        assert found == pytest.approx([wanted], abs=1e-6)


def test_a_table_counts_the_rows_that_count_and_says_what_they_are(weighted: Weighted) -> None:
    results = weighted.run.results
    counted = weighted.rows.filter((pl.col("part") == "test") & (pl.col("w") > 0))
    assert {line[0]: s.rows for line, s in zip(results.lines, results.support, strict=False)} == {
        name: counted.filter(pl.col("country") == name).height for name in ("NL", "FRA")
    }
    assert {pair.compared.untested for pair in results.pairs} <= {"", "no spread"}
    assert results.pair("fedavg", "pooled").compared.tested  # type: ignore[union-attr]
    assert "rows count by their weight 'w', in losses, figures and tests" in results.notes
    assert any(note.startswith("negatives_kept of 'click': probabilities") for note in results.notes)


@pytest.mark.parametrize(("contender", "calibration"), [("fedavg", None), ("pooled", "platt")])
def test_one_probability_everywhere(
    weighted: Weighted, contender: str, calibration: str | None, tmp_path: Path
) -> None:
    asked: Any = {"contender": contender, "calibration": calibration}
    predictor = weighted.run.predictor("NL", **asked)
    frame = weighted.part("NL", "test").select("user", "x")  # no weight, no label
    found = predictor.predict(frame).to_numpy()
    if calibration is None:
        kept = weighted.kept(contender, "scores.npz")
        assert found == pytest.approx(np.mean([expit(kept[f"NL/{seed}"]) for seed in (0, 1)], 0), abs=1e-6)
    path = export(weighted.run, tmp_path, "NL", form="onnx", **asked).path
    card = json.loads((tmp_path / "NL.json").read_text())
    assert (card["weight"], card["negatives_kept"]) == ("w", {"click": KEPT})
    inputs = {name: Input.from_dict(one) for name, one in card["inputs"].items()}
    given = feeds(inputs, as_yielded(predictor.encoder.schema, frame))
    graph = np.stack(onnxruntime.InferenceSession(path).run(None, given), 1)
    assert np.abs(graph - found).max() < 1e-6


def test_what_was_sampled_is_taken_back(weighted: Weighted) -> None:
    """The served logit of a click is the network's plus ln .2, of what lies within it as the formula has it."""
    predictor = weighted.run.predictor("NL", contender="local", seed=0)
    frame = weighted.part("NL", "test").select("user", "x")
    (served,) = predictor.logits(frame)
    encoder = predictor.encoder
    object.__setattr__(predictor, "sampled", None)
    (raw,) = predictor.logits(frame)
    assert served[:, 0] == pytest.approx(raw[:, 0] + np.log(KEPT), abs=1e-12)
    click, buy = expit(raw).T
    assert expit(served[:, 1]) == pytest.approx(buy / (click + (1 - click) / KEPT), rel=1e-9)
    assert [task.conditional for task in encoder.schema.tasks] == [False, False]


def test_calibrated_probabilities_are_the_rates_of_all_rows(weighted: Weighted) -> None:
    """The whole log of NL had 4,000 rows; the map is fitted on its weighted validation rows."""
    lines = {(line.scenario, line.task): line for line in weighted.run.calibrate("platt", contender="fedavg")}
    scores = weighted.kept("fedavg", "scores.npz")
    for task in range(2):
        line = lines["NL", ("click", "buy")[task]]
        weights, labels = scores["NL/weights"][:, task], scores["NL/labels"][:, task]
        rate = np.average(labels, weights=weights)
        assert 0.05 < rate < 0.35
        predictor = weighted.run.predictor("NL", contender="fedavg", calibration="platt")
        frame = weighted.part("NL", "test")
        mean = np.average(predictor.predict(frame).to_numpy()[:, task], weights=weights)
        assert line.after.calibration == pytest.approx(mean / rate, abs=1e-5)
        assert abs(logit(mean) - logit(rate)) < 0.5  # some 150 positives here and as many in the fit
