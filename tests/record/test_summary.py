"""The table from hand-written test files: what is compared with what, and what is not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from msmtrec.base.errors import UserError
from msmtrec.evaluation.compare import holm
from msmtrec.record.results import Results
from msmtrec.record.summary import POOLED, REFERENCE, summarise
from msmtrec.report.words import gaps, verdicts
from record.finished import labels_of, write

BIG = {"a": labels_of(2000), "b": labels_of(1000)}


def table(folder: Path, **how) -> Results:  # type: ignore[no-untyped-def]
    """Six contenders; on validation `emb` is the best reference, on test `fed` would be."""
    found = {
        "local": write(folder / "local", 0.7, 1, BIG, kind=REFERENCE, valid=0.6, **how),
        "emb": write(folder / "emb", 1.0, 2, BIG, kind=REFERENCE, valid=0.8, **how),
        "fed": write(folder / "fed", 1.2, 3, BIG, kind=REFERENCE, valid=0.7, **how),
        "all": write(folder / "all", 1.2, 4, BIG, kind=POOLED, valid=0.9, **how),
        "paper": write(folder / "paper", 1.2, 5, BIG, valid=0.95, **how),
        "ours": write(folder / "ours", 1.2, 6, BIG, valid=0.99, **how),
    }
    return summarise("t", found, ("click",), ("a note",))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return table(tmp_path_factory.mktemp("table"))


def test_the_family_is_local_the_best_reference_and_the_best_pooled_one_named_on_validation(results: Results) -> None:
    assert results.baselines == {"reference": "local", "best reference": "emb", "best pooled": "all"}
    outside = [(p.first, p.second) for p in results.pairs if not p.family]
    assert outside == [("fed", "paper"), ("fed", "ours"), ("paper", "ours")]
    assert results.tests == 15 - 3


def test_holm_is_over_the_family_only(results: Results) -> None:
    family = [p for p in results.pairs if p.family]
    assert [p.p_value for p in family] == pytest.approx(holm([p.compared.p_value for p in family]))
    assert all(math.isnan(p.p_value) and not p.sign for p in results.pairs if not p.family)


def test_what_is_said_rests_on_the_corrected_p(results: Results) -> None:
    said = list(verdicts(results))
    assert said[0] == "against local: better: emb, fed, all, paper, ours"
    assert said[1].startswith("against emb (best reference on validation): better: fed, all, paper, ours; worse: local")
    assert said[2].endswith("worse: local, emb; not told apart: fed, paper, ours")


def test_every_pair_once_and_in_either_direction(results: Results) -> None:
    there, back = results.pair("emb", "local"), results.pair("local", "emb")
    assert there is not None
    assert back is not None
    assert (there.compared.difference, there.compared.low) == (-back.compared.difference, -back.compared.high)
    assert (there.sign, back.sign) == ("up", "down")
    assert results.pair("emb", "emb") is None
    cell = results.cells["emb"][-1]
    assert cell.compared == there.compared  # the mean line and the pair are one test


def test_the_mean_is_that_of_its_lines_and_so_is_its_error(results: Results) -> None:
    a, b, mean = results.cells["ours"]
    assert mean.mean == pytest.approx((a.mean + b.mean) / 2)
    assert a.compared is not None
    assert b.compared is not None
    assert mean.compared is not None
    # the users of a and b are the same numbers 0 … 999: their errors are not independent
    independent = math.hypot(a.compared.se_users, b.compared.se_users) / 2
    assert mean.compared.se_users != pytest.approx(independent, rel=1e-3)
    assert (results.users, results.rows) == (2000, 3000)
    assert results.mean_of == ""


def test_lines_of_different_users_are_independent(tmp_path: Path) -> None:
    groups = {"a": np.arange(2000), "b": np.arange(5000, 6000)}
    found = {n: write(tmp_path / n, s, k, BIG, groups) for n, s, k in (("local", 0.7, 1), ("ours", 1.2, 2))}
    results = summarise("t", found, ("click",))
    a, b, mean = (cell.compared for cell in results.cells["ours"])
    assert a is not None
    assert b is not None
    assert mean is not None
    assert mean.se_users == pytest.approx(math.hypot(a.se_users, b.se_users) / 2)
    assert results.users == 3000


def test_one_seed_is_never_tested(tmp_path: Path) -> None:
    results = table(tmp_path, seeds=(0,))
    assert {p.compared.untested for p in results.pairs} == {"one seed"}
    assert results.tests == 0
    assert list(verdicts(results)) == []
    assert not any(cell.sign for cells in results.cells.values() for cell in cells)


def test_a_thin_line_is_not_tested_and_not_in_the_mean_and_both_are_said(tmp_path: Path) -> None:
    labels = {**BIG, "thin": labels_of(500, 2), "negatives": labels_of(500, 493)}
    found = {n: write(tmp_path / n, s, k, labels) for n, s, k in (("local", 0.7, 1), ("ours", 3.0, 2))}
    results = summarise("t", found, ("click",))
    assert results.counted == (True, True, False, False)
    assert results.mean_of == "2 of 4 lines"
    a, b, thin, negatives, mean = results.cells["ours"]
    assert mean.mean == pytest.approx((a.mean + b.mean) / 2)
    assert [cell.compared.untested for cell in (thin, negatives) if cell.compared] == [
        "too few: 2 positives",
        "too few: 7 negatives",
    ]
    assert (a.sign, thin.sign, negatives.sign) == ("up", "", "")
    assert results.labels[2:] == [("thin", "click †"), ("negatives", "click †"), ("mean", "2 of 4 lines")]
    said = gaps(results)
    assert said[0].endswith("of 10 users each: thin click (2 positives), negatives click (7 negatives)")
    assert said[1].startswith("the mean counts 2 of 4 lines, the same for every contender; left out: thin click, neg")


def test_a_constant_group_column_is_one_user_and_gives_no_interval(tmp_path: Path) -> None:
    groups = {name: np.zeros(len(labels), np.int64) for name, labels in BIG.items()}
    found = {n: write(tmp_path / n, s, k, BIG, groups) for n, s, k in (("local", 0.7, 1), ("ours", 3.0, 2))}
    results = summarise("t", found, ("click",))
    compared = [cell.compared for cell in results.cells["ours"]]
    assert [c.untested for c in compared if c] == ["too few: positives of 1 user or session"] * 2 + [
        "too few: every line"
    ]
    assert results.tests == 0
    assert results.mean_of == ""  # of all lines, untested: better than none


def test_a_line_without_an_auc_of_one_contender_is_in_nobodys_mean(tmp_path: Path) -> None:
    found = {
        "local": write(tmp_path / "local", 0.7, 1, BIG),
        "ours": write(tmp_path / "ours", 1.2, 2, BIG),
        "broken": write(tmp_path / "broken", 1.2, 3, BIG, broken="b"),
    }
    results = summarise("t", found, ("click",))
    assert results.counted == (True, False)
    for cells in results.cells.values():
        assert cells[-1].auc == cells[0].auc
    compared = results.cells["broken"][1].compared
    assert compared is not None
    assert compared.untested == "an AUC in 0 of 3 seeds"
    assert gaps(results)[-1].startswith("broken has no test AUC in b click (3 of 3 seeds)")


def test_a_line_that_one_contender_lacks_is_seen(tmp_path: Path) -> None:
    found = {
        "local": write(tmp_path / "local", 0.7, 1, {"a": BIG["a"]}),
        "ours": write(tmp_path / "ours", 1.2, 2, BIG),
    }
    results = summarise("t", found, ("click",))
    assert results.lines == (("a", "click"), ("b", "click"), ("mean", ""))
    assert results.counted == (True, False)


def test_contenders_scored_on_other_rows_are_refused(tmp_path: Path) -> None:
    other = {"a": BIG["a"], "b": 1 - BIG["b"]}
    found = {"local": write(tmp_path / "local", 0.7, 1, BIG), "ours": write(tmp_path / "ours", 1.2, 2, other)}
    with pytest.raises(UserError, match=r"'ours' was not scored on the same test rows of scenario 'b'"):
        summarise("t", found, ("click",))
    groups = {"a": np.arange(1, 2001)}
    found["ours"] = write(tmp_path / "users", 1.2, 2, BIG, groups)
    with pytest.raises(UserError, match=r"not scored on the same test rows of scenario 'a'"):
        summarise("t", found, ("click",))


def test_one_contender_is_a_table_without_tests(tmp_path: Path) -> None:
    results = summarise("t", {"ours": write(tmp_path / "ours", 1.2, 2, BIG)}, ("click",))
    assert (results.reference, results.pairs, results.cells["ours"][0].compared) == ("ours", (), None)


def test_results_json_is_json(tmp_path: Path) -> None:
    results = table(tmp_path, seeds=(0,))  # nothing tested: full of figures that do not exist
    text = json.dumps(results.as_dict(), allow_nan=False)
    again = Results.from_dict(json.loads(text))
    assert math.isnan(again.pairs[0].p_value)
    assert again == results
