"""Ablations that are refused, each with one sentence and exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from msmtrec.base.errors import UserError
from msmtrec.cli.main import main
from msmtrec.config.ablate import parse_ablate
from msmtrec.config.bench import parse_bench
from msmtrec.config.parse import parse_config
from studies.ablations import OURS, config


def changed(**ablate: Any) -> dict[str, Any]:
    raw = config(OURS)
    return {**raw, "ablate": {**raw["ablate"], **ablate}}


def with_methods(**methods: Any) -> dict[str, Any]:
    return {**config(OURS), "methods": methods, "ablate": None}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (changed(of="bass"), r"ablate.of is 'bass'; did you mean 'base'\?"),
        (changed(off="base"), r"unknown config key 'ablate.off'; did you mean 'of'\?"),
        (changed(parts=["cordination"]), r"ablate.parts\[0\] is 'cordination'; did you mean 'coordination'\?"),
        (changed(parts=["towers", "towers"]), r"ablate.parts lists 'towers' twice; remove one"),
        (changed(parts=[]), r"ablate.parts lists none; name some, or leave it out for all: template, private_experts"),
        (
            changed(parts=["wide"]),
            r"ablate.parts\[0\]: base \(pf-msmtrec\) has no wide; valid: alignment, coordination",
        ),
        (changed(parts="towers"), r"ablate.parts must be a list, such as \[towers\]"),
        (changed(seeds=0), r"seeds must be a count or a list of different integers, not 0"),
        (changed(seeds=True), r"seeds must be a count or a list of different integers, not True"),
        (changed(seeds=[1, 1]), r"seeds must be a count or a list of different integers, not \[1, 1\]"),
        (changed(variants={"towers": ["base"]}), r"ablate.variants is what `msmtrec ablate` writes"),
        (changed(left_out={"towers": "so"}), r"ablate.left_out is what `msmtrec ablate` writes beside ablate.variants"),
        ({**config(OURS), "start": "runs/one"}, r"start is not for `msmtrec ablate`"),
        ({**config(OURS), "bench": {}}, r"bench is for `msmtrec bench CONFIG`"),
        (
            {**config(OURS), "tune": {"train.learning_rate": [0.1, 0.2]}},
            r"methods.base has 2 candidates, .* write the chosen candidate's settings in place of tune, or name",
        ),
        (
            config({**OURS, "tune": {"options.coordination": [0.1, 0.2]}}),
            r"methods.base has 2 candidates, .* write the chosen candidate's settings in place of tune, or name",
        ),
        (with_methods(one=OURS, two=OURS), r"ablate.of is missing; .* these contenders are: one, two; name one"),
        (with_methods(fedavg=None), r"ablate.of is missing; .* no contender is; name one"),
        (
            {**with_methods(local=None), "ablate": {"of": "local"}},
            r"ablate.of: local is what the variants stand beside",
        ),
        ({**with_methods(bias=None), "ablate": {"of": "bias"}}, r"ablate.of: bias \(bias\) has no part that could be"),
    ],
)
def test_ablations_that_are_refused(
    raw: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match=sentence) as found:
        parse_ablate(raw)
    monkeypatch.chdir(tmp_path)
    if "variants" in (raw["ablate"] or {}):
        return  # of a file they are those of a run before
    Path("a.yaml").write_text(yaml.safe_dump(raw))
    sys.argv = ["msmtrec", "ablate", "a.yaml"]
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert (stop.value.code, printed.out, printed.err) == (2, "", f"error: {found.value}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


VARIANTS = {"data": {"source": "synthetic"}, "train": {"local_steps": 1}, "methods": ["local", "fedavg", "emb-only"]}


@pytest.mark.parametrize(
    ("ablate", "sentence"),
    [
        ({"of": "fedavg"}, r"ablate is for `msmtrec ablate CONFIG`, which trains what it says; elsewhere remove it"),
        ({"of": "fedavg", "variants": {}}, r"ablate.variants names no contender"),
        ({"of": "fedav", "variants": {"x": ["local"]}}, r"ablate.of is 'fedav'; did you mean 'fedavg'\?"),
        ({"variants": {"x": ["local"]}}, r"ablate.of is missing; it names the contender that"),
        ({"of": "fedavg", "variants": {"x": ["locl"]}}, r"ablate.variants.x is 'locl'; did you mean 'local'\?"),
        ({"of": "fedavg", "variants": {"x": ["fedavg"]}}, r"ablate.variants.x names 'fedavg', which stands there"),
        ({"of": "fedavg", "variants": {"x": ["local"], "y": ["local"]}}, r"ablate.variants.y names 'local', which"),
        ({"of": "fedavg", "variants": {"x": ["local"]}, "seeds": 3}, r"remove ablate.parts and ablate.seeds"),
    ],
)
def test_what_is_trained_as_it_stands_names_contenders(ablate: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_config({**VARIANTS, "ablate": ablate})


def test_a_benchmark_with_an_ablation_in_it_is_refused() -> None:
    with pytest.raises(UserError, match="ablate is not for `msmtrec bench`: `msmtrec ablate` changes one contender"):
        parse_bench({**VARIANTS, "bench": {}, "ablate": {"of": "fedavg"}})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--of", "x"], "ablate.of is 'x'; valid: base"),
        (["--parts", "towers,rescal"], "ablate.parts[1] is 'rescal'; did you mean 'rescale'?"),
        (["--seeds", "0"], "seeds must be a count or a list of different integers, not 0"),
        (["--set", "ablate=3"], "ablate must be a group of settings, not 3"),
        (["--resume"], "there is no run in runs/a to resume; start it without --resume"),
        (["--out", "taken"], "taken already holds a run; continue it with --resume or choose another --out"),
    ],
)
def test_options_that_are_refused(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(yaml.safe_dump(config(OURS, "towers")))
    Path("taken").mkdir()
    Path("taken/config.yaml").touch()
    sys.argv = ["msmtrec", "ablate", "a.yaml", "--quiet", *words]
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code, capsys.readouterr().err) == (2, f"error: {sentence}\n")
    assert not Path("runs").exists()


def test_a_folder_that_is_taken_is_said_before_the_rows_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MSMTREC_DATA", str(tmp_path / "nowhere"))
    Path("a.yaml").write_text(yaml.safe_dump({**config(OURS, "towers"), "data": {"source": "movielens-1m"}}))
    Path("taken").mkdir()
    Path("taken/config.yaml").touch()
    for words, sentence in ((["--out", "taken"], "taken already holds a run"), ([], "movielens")):
        sys.argv = ["msmtrec", "ablate", "a.yaml", "--quiet", *words]
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert sentence in capsys.readouterr().err


def test_a_directory_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    sys.argv = ["msmtrec", "ablate", "empty"]
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: there is no run in empty; name the folder that train wrote\n"
