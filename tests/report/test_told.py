"""The first screen: whom it is about, what it says, what it advises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.support import Support
from msmtrec.record.reading import ContenderRecord, RunRecord, metric_table
from msmtrec.record.results import MEAN, Cell, Pair, Results
from msmtrec.report.gains import headline, main_contender, picture, table_data
from msmtrec.report.told import next_steps, story, verdict

LINES = (("a", "click"), ("b", "click"), MEAN)


def compared(difference: float, p: float, users: float = 0.01, seeds: float = 0.002) -> Comparison:
    return Comparison(difference, 2, seeds, users, df=9.0, p_value=p, low=difference - 0.01, high=difference + 0.01)


def made(
    gain: float = 0.02, p: float = 0.001, *, methods: Mapping[str, str] | None = None, **changed: Any
) -> RunRecord:
    methods = methods or {"local": "local", "fedavg": "fedavg", "ours": "pf-msmtrec"}
    names = list(methods)
    cells = {"local": tuple(Cell((0.7, 0.71)) for _ in LINES)}
    cells |= {n: tuple(Cell((0.72, 0.73), compared(gain, p)) for _ in LINES) for n in names[1:]}
    pairs = tuple(Pair(n, "local", compared(gain, p, **changed), p, family=True) for n in names[1:])
    results = Results(
        "t",
        LINES,
        cells,
        "local",
        support=tuple(Support(100, 40, 50, 30, negative_users=30) for _ in LINES[:-1]),
        counted=(True, True),
        users=50,
        rows=100,
        baselines={"reference": "local"},
        chosen=dict.fromkeys(names, "x=1"),
        pairs=pairs,
    )
    contenders = {
        n: ContenderRecord(
            n,
            metric_table([]),
            [],
            [{"auc": 0.7 + k / 100, "seed": 0, "scenario": "a", "round": 1}],
            candidate="x=1",
            candidates={"x=1": {"method": method}},
        )
        for k, (n, method) in enumerate(methods.items())
    }
    return RunRecord(results, contenders, {}, {"private": {"name": "D"}}, config_text="", sizes={"a": 2, "b": 1})


def test_it_is_about_the_best_method_of_interest_on_validation() -> None:
    assert main_contender(made()) == "ours"
    both = {"local": "local", "ours": "pf-msmtrec", "paper": "pf-msmtrec", "pooled": "pooled", "ditto": "ditto"}
    assert main_contender(made(methods=both)) == "paper"
    assert main_contender(made(methods={"local": "local", "fedavg": "fedavg", "ditto": "ditto"})) == "ditto"
    assert main_contender(made(methods={"local": "local"})) is None


@pytest.mark.parametrize(
    ("gain", "p", "words", "sign"),
    [
        (0.02, 0.001, "ours is better than local: +2.00 AUC points", "up"),
        (-0.02, 0.001, "ours is worse than local: -2.00 AUC points", "down"),
        (0.02, 0.2, "ours cannot be told from local: +2.00 AUC points", ""),
    ],
)
def test_the_verdict(gain: float, p: float, words: str, sign: str) -> None:
    found = verdict(made(gain, p), "ours")
    assert found[0].startswith(words)
    assert found[1] == sign
    assert "+1.00 … +3.00" in verdict(made(), "ours")[0]


def test_what_happened() -> None:
    said = " ".join(story(made(), "ours"))
    for part in (
        "3 contenders on D: 2 scenarios, 1 task (click), 2 seeds.",
        "Validation chose every model and every setting",
        "above local in 2 of 2, clearly above in 2, clearly below in none (p below .05, not corrected)",
        "50 users (100 test rows) together; p .001, Holm-corrected over 2 declared tests",
        "Against local: better: fedavg, ours.",
    ):
        assert part in said
    assert "clearly" not in " ".join(story(made(methods={"local": "local"}), None))


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"users": 0.02, "seeds": 0.001}, "test on more users"), ({"users": 0.001, "seeds": 0.02}, "train more seeds")],
)
def test_what_would_narrow_the_interval(changed: dict[str, float], words: str) -> None:
    steps = next_steps(made(p=0.4, **changed), "ours")
    assert words in steps[0].text
    assert steps[0].section == "tests"


def test_what_else_to_do() -> None:
    run = made()
    assert [step.section for step in next_steps(run, "ours")] == ["run", "run"]  # use it, compare it
    assert "--scenario a --contender ours" in next_steps(run, "ours")[0].code
    lost = replace(run, results=replace(run.results, notes=("ours/x=2 lost, its training came to nothing: NaN",)))
    assert next_steps(lost, "ours")[0].text.startswith("1 training came to nothing")
    few = replace(run.results, support=(Support(100, 4, 50, 3, negative_users=30), run.results.support[1]))
    assert next_steps(replace(run, results=few), "ours")[0].text.startswith("1 of 2 lines have too few")
    assert next_steps(made(methods={"local": "local"}), None)[0].text.startswith("Add a method")


def test_the_headline_has_the_mean_first_and_its_corrected_p(tmp_path: Path) -> None:
    run = made()
    pairs = tuple(replace(pair, p_value=0.04) for pair in run.results.pairs)
    run = replace(run, results=replace(run.results, pairs=pairs))
    found = headline(run, "ours")
    assert [gain.number for gain in found] == [2, 0, 1]
    assert [gain.words["p"] for gain in found] == [".040", ".001", ".001"]
    assert found[0].words["points"] == "+2.00"
    assert found[0].words["base"] == "0.7050"
    table = table_data(run.results, {"a": 2, "b": 1})
    assert table["cells"]["ours"][2][5] == 0.04
    assert table["cells"]["local"][0] == [pytest.approx(0.705), pytest.approx(0.0070711, rel=1e-3)]


def test_a_picture_has_zero_the_interval_and_the_difference_in_place() -> None:
    svg = picture((0.01, 0.02, 0.03), (0.0, 0.04), "up")
    assert 'd="M4 0L4 20" class="zero"' in svg
    assert '<rect x="39.5"' in svg
    assert 'width="71"' in svg
    assert '<circle cx="75"' in svg
    assert "+2.00 points, from +1.00 to +3.00" in svg
