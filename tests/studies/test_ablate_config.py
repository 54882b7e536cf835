"""Where an ablation is read from: a config, the options of the command, the directory of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import msmtrec
from msmtrec.base.errors import UserError
from msmtrec.config.ablate import load_ablate, parse_ablate
from msmtrec.config.parse import load_config_for_rows, parse_config
from msmtrec.config.parts import PARTS
from msmtrec.record.directory import check_free
from msmtrec.studies.ablate import expand
from places import ROOT
from studies.ablations import OTHER, OURS, STATISTICS, config, expanded


def test_seeds_of_an_ablation_go_before_those_of_the_config(tmp_path: Path) -> None:
    raw = config(OURS, "penalty", seeds=[4, 9])
    assert parse_ablate(raw).config.seeds == (4, 9)
    raw["ablate"] |= {"seeds": 3}
    assert parse_ablate(raw).config.seeds == (0, 1, 2)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
    found = load_ablate(tmp_path / "c.yaml", ("jobs=2",), parts=["towers"], seeds=5, of=None)
    assert (found.config.seeds, found.parts, found.config.jobs, found.config.name) == (
        tuple(range(5)),
        ("towers",),
        2,
        "c",
    )


def test_the_config_of_its_run_is_the_same_ablation_and_one_that_can_be_trained(tmp_path: Path) -> None:
    one = expanded({**OURS, "statistics": STATISTICS}, "penalty", "statistics", "fine_tune").config
    assert parse_config(one.as_dict()) == one
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(one.as_dict()))))
    for place in (path, tmp_path):
        assert expand(load_ablate(place), cache=False).config.as_dict() == one.as_dict()
    for old in ({}, {"left_out": {"x": "an older version said so"}}):
        ablate = {key: value for key, value in one.as_dict()["ablate"].items() if key != "left_out"}
        held = {**one.as_dict(), "ablate": {**ablate, **old}}
        path.write_text(yaml.safe_dump(json.loads(json.dumps(held))))
        assert expand(load_ablate(path), cache=False).config.as_dict() == one.as_dict()
        check_free(tmp_path, one.as_dict(), resume=True)
    other = expand(load_ablate(path, of="penalty-0.01", parts=["towers"]), cache=False)
    assert other.base.settings == next(c.settings for (c,) in one.contenders if c.name == "penalty-0.01")
    assert load_config_for_rows(path).data == one.data
    path.write_text(yaml.safe_dump(config(OURS, "penalty")))
    assert load_config_for_rows(path).data == one.data


def test_variants_of_its_own_are_not_taken_for_parts(tmp_path: Path) -> None:
    """They are for `msmtrec train`; another ablation would be silently another one."""
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**config(OURS), "ablate": {"of": "base", "variants": {"width": ["local"]}}}))
    with pytest.raises(UserError, match=r"own.yaml has ablate.variants of its own \(width\)"):
        load_ablate(path)
    assert load_ablate(path, parts=["towers"]).parts == ("towers",)


def test_of_a_run_with_a_grid_the_chosen_candidate_is_taken(tmp_path: Path) -> None:
    raw = config({**OURS, "tune": {"options.penalty": [0.5, 0.7]}}, tune_candidates=2)
    del raw["ablate"]
    run = msmtrec.run({**raw, "seeds": 1, "name": "tuned"}, out=tmp_path / "run", caution=lambda _: None)
    chosen = float(run.results.chosen["base"].removeprefix("penalty="))
    for path in (tmp_path / "run", tmp_path / "run" / "config.yaml"):
        found = load_ablate(path, ("train.rounds=7", "jobs=2"), parts=["towers"])
        assert found.base.resolved["options"]["penalty"] == chosen
        assert found.base.title == "base"
        assert found.config.name == "tuned-ablation"
        assert (found.base.train.rounds, found.base.train.local_steps, found.config.jobs) == (7, 2, 2)
    (tmp_path / "run" / "results.json").unlink()
    with pytest.raises(UserError, match=r"the run in .*run is not finished; continue it"):
        load_ablate(tmp_path / "run")


def test_of_a_run_only_the_one_that_is_changed_and_local_are_read(tmp_path: Path) -> None:
    methods = {"base": OURS, "other": OTHER, "local": {"train": {"learning_rate": 0.5}}}
    raw = {key: value for key, value in config(OURS, methods=methods).items() if key != "ablate"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(parse_config(raw).as_dict()))))
    found = load_ablate(tmp_path, ("model.experts=3",), of="base")
    assert [one.resolved["model"]["experts"] for one in (found.local, found.base)] == [3, 3]
    assert found.local.train.learning_rate == 0.5
    with pytest.raises(UserError, match=r"methods.other.model.experts"):  # ple has none of that name
        load_ablate(tmp_path, ("model.experts=3",), of="other")
    with pytest.raises(UserError, match=r"ablate.of is 'basee'; did you mean 'base'\?"):
        load_ablate(tmp_path, of="basee")


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "ablate").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_ablations_of_the_project(path: Path) -> None:
    found = load_ablate(path)
    assert found.base.method == "pf-msmtrec"
    assert len(found.config.seeds) >= 2


def test_that_of_kuairand_trains_as_one_point_of_the_benchmark() -> None:
    found = load_ablate(ROOT / "configs" / "ablate" / "kuairand.yaml")
    bench = yaml.safe_load((ROOT / "configs" / "bench" / "kuairand.yaml").read_text())
    ours = yaml.safe_load((ROOT / "configs" / "ablate" / "kuairand.yaml").read_text())
    assert (ours["data"], ours["model"]) == (bench["data"], bench["model"])
    assert bench["train"].items() <= ours["train"].items()
    train = found.base.train
    assert (train.learning_rate, train.local_epochs, train.weight_decay) == (1e-3, 0.25, 1e-4)
    assert found.base.has_head
    assert len(found.config.seeds) == 5
    assert found.parts == tuple(PARTS)
