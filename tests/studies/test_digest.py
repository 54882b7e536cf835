"""The summary of a run for a page of results."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from msmtrec.cli.main import main
from msmtrec.record.results import Results
from msmtrec.record.standing import effect, gains, ranking
from msmtrec.record.summary import Finished, summarise
from msmtrec.studies.digest import digest, text_of
from studies.finished_run import KINDS, ROWS, finished_benchmark, mean_auc


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digest") / "run"


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    folder.mkdir()
    return finished_benchmark(folder)


@pytest.fixture(scope="module")
def found(folder: Path, results: Results) -> Any:
    return json.loads(text_of(digest(folder, results)))


def test_it_has_the_data_the_machine_and_what_was_tuned(found: Any) -> None:
    assert found["data"]["name"] == "toy"
    assert found["data"]["rows"] == {s: {"train": 9 * n, "validation": n, "test": n} for s, n in ROWS.items()}
    assert found["environment"]["git"] == "0" * 40
    assert found["tuning"] == {"candidates": 2, "tune_seeds": 1, "seeds": 3, "rungs": 2}
    assert found["contenders"]["ours"]["chosen"] == {"train.learning_rate": 0.1}
    assert found["contenders"]["bias"]["chosen"] == {}
    assert found["lines"][2]["few"] == "4 positives"
    assert [line["counted"] for line in found["lines"]] == [True, True, False]
    assert found["seeds"] == 3


def test_its_figures_are_those_of_the_table(found: Any, results: Results) -> None:
    ranks = ranking(results)
    assert ranks is not None
    for name, one in found["contenders"].items():
        assert one["mean"]["auc"] == pytest.approx([mean_auc(results, name), results.cells[name][-1].sd], abs=1e-6)
        assert one["tasks"]["click"] == one["mean"]
        assert one["rank"] == ranks.ranks[name]
        assert one["lines"].keys() == {"local", "local-stats"} - {name}
    pair = results.pair("ours", "fedavg")
    assert pair is not None
    assert found["baselines"]["best reference"] == "fedavg"
    test = found["contenders"]["ours"]["tests"]["fedavg"]
    assert test["difference"] == pytest.approx(pair.compared.difference, abs=1e-6)
    assert test["holm"] == pytest.approx(pair.p_value, rel=0.01)
    assert test["effect"] == pytest.approx(effect(results, "ours", "fedavg"), abs=1e-6)
    assert found["tests"] == results.tests


def test_lines_against_local_with_statistics_are_compared_anew(found: Any, results: Results, folder: Path) -> None:
    contenders = {name: Finished(folder / "contenders" / name) for name in KINDS}
    other = summarise("toy", contenders, ("click",), reference="local-stats")
    assert other.reference == "local-stats"
    expected = gains(other, "ours")
    told = found["contenders"]["ours"]["lines"]["local-stats"]
    assert [one["difference"] for one in told] == pytest.approx(
        [gain.compared.difference for gain in expected], abs=1e-6
    )
    assert [one["holm"] for one in told[:2]] == pytest.approx([gain.p_value for gain in expected[:2]], rel=0.01)
    assert told[2]["untested"] == "too few: 4 positives"
    assert told[2]["holm"] is None
    local = found["contenders"]["ours"]["lines"]["local"]
    assert [one["difference"] for one in local] == pytest.approx(
        [gain.compared.difference for gain in gains(results, "ours")], abs=1e-6
    )


def test_it_has_no_path_and_no_more_digits_than_count(folder: Path, results: Results) -> None:
    text = text_of(digest(folder, results))
    assert str(folder) not in text
    assert "here" not in text  # the platform
    assert max(len(line) for line in text.splitlines()) < 300
    decimals = re.findall(r"\d\.(\d+)(?!\.)", text)
    assert len(decimals) > 50
    assert max(map(len, decimals)) == 6


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], folder: Path, found: Any) -> None:
    sys.argv = ["msmtrec", "show", str(folder), "--summary"]
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert json.loads(capsys.readouterr().out) == found


def test_a_run_that_is_no_benchmark_has_the_names_of_candidates(tmp_path: Path) -> None:
    results = finished_benchmark(tmp_path)
    (tmp_path / "bench.yaml").unlink()
    (tmp_path / "bench.json").unlink()
    found = digest(tmp_path, results)
    assert found["tuning"] is None
    assert found["contenders"]["ours"]["chosen"] == ""
