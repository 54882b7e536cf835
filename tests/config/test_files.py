"""Config files: YAML is read as it was meant, and what is written back reads as the same."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from config.small import BASE, TABULAR
from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml
from msmtrec.cli.demo import built_in_config
from msmtrec.config.parse import load_config, parse_config
from msmtrec.config.places import placed_data


def test_files_that_are_no_config(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the config .*none.yaml: No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(UserError, match=r"bad.yaml is no valid YAML"):
        load_config(tmp_path / "bad.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(UserError, match=r"holds no settings"):
        load_config(tmp_path / "empty.yaml")
    with pytest.raises(UserError, match=r"--set takes key=value"):
        load_config(built_in_config("synthetic"), ("rounds",))
    with pytest.raises(UserError, match=r"'jobs' is a value"):
        load_config(built_in_config("synthetic"), ("jobs.x=1",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data:\n  split: {train_until: 2026-02-30}", r"'2026-02-30' is no possible date .*\(line 2, column 24\)"),
        ("data: {files: {NL: a.csv, NL: b.csv}}", r"the key 'NL' is written twice; remove one \(line 1, column 27\)"),
        ('methods:\n  a: {method: local}\n  "a":', r"the key 'a' is written twice; remove one \(line 3, column 3\)"),
        ("\0", r"unacceptable character"),
    ],
)
def test_yaml_that_means_something_else_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"c.yaml is no valid YAML: .*{sentence}"):
        load_config(tmp_path / "c.yaml")


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    text = "methods:\n  a: &a {method: fedavg, preset: }\n  b: {<<: *a, method: local}\n"
    (tmp_path / "c.yaml").write_text(text + yaml.safe_dump({k: v for k, v in BASE.items() if k != "methods"}))
    assert [row[0].method for row in load_config(tmp_path / "c.yaml").contenders] == ["fedavg", "local"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.seed=2026-02-30", r"--set data.seed=2026-02-30 is no valid YAML: '2026-02-30' is no possible date"),
        ("train={rounds: 1, rounds: 2}", r"the key 'rounds' is written twice"),
        ("train.rounds='1", r"--set train.rounds='1 is no valid YAML: "),
    ],
)
def test_overrides_are_read_with_the_same_care(override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_config(built_in_config("synthetic"), (override,))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (date(2026, 2, 1), "2026-02-01"),
        (datetime(2026, 2, 1, 7, 30, tzinfo=UTC), "2026-02-01T07:30:00+00:00"),
        ("2026-02-01", "2026-02-01"),
        (20260201, 20260201),
    ],
)
def test_unquoted_dates_are_split_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: object, text: object
) -> None:
    monkeypatch.chdir(tmp_path)
    split = {"time": "day", "train_until": moment, "validation_until": moment}
    raw = {**BASE, "data": {**TABULAR, "split": split}}
    held = parse_config(raw).as_dict()
    assert held["data"]["split"]["train_until"] == text
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
    assert load_config(tmp_path / "c.yaml").as_dict() == {**held, "name": "c"}
    overridden = load_config(tmp_path / "c.yaml", (f"data.split.train_until={moment}",)).as_dict()
    assert overridden["data"]["split"]["validation_until"] == text
    assert yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(held)))) == held


def test_integers_are_names_of_scenarios() -> None:
    data = {**TABULAR, "files": {0: "a.csv", 1: "b.csv"}, "scenario": None}
    config = parse_config({**BASE, "data": data, "train": {"local_steps": 1, "batch_size": {0: 128, "1": 64}}})
    assert config.contenders[0][0].train.batch_size == {"0": 128, "1": 64}
    assert config.data.model_dump(mode="json")["files"] == {"0": "a.csv", "1": "b.csv"}


def test_an_override_finds_a_scenario_that_yaml_read_as_a_number(tmp_path: Path) -> None:
    data = {**TABULAR, "files": {0: "a.csv"}, "scenario": None}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**BASE, "data": data}))
    config = load_config(tmp_path / "c.yaml", ("data.files.0=b.csv",))
    assert config.data.model_dump(mode="json")["files"] == {"0": "b.csv"}


def test_an_exponent_without_a_point_is_a_number(tmp_path: Path) -> None:
    """As everywhere but in YAML 1.1."""
    path = tmp_path / "config.yaml"
    data, train = "data: {source: synthetic, rows: 6e3}", "train: {local_steps: 2, learning_rate: 1e-3}"
    path.write_text(f"{data}\n{train}\nmethods: [local]\nname: x1e3\n")
    config = load_config(path)
    assert config.data.rows == 6000  # type: ignore[union-attr]
    assert config.contenders[0][0].train.learning_rate == 0.001
    assert config.name == "x1e3"


ODD = {
    "name": "12e4",
    "train": {"rounds": 2, "local_epochs": 0.5, "batch_size": 8, "learning_rate": 1e-5},
    "fine_tune": {"learning_rate": 0.1},
    "methods": {
        "local": {"fine_tune": False},
        "5e910274": {"method": "fedavg", "tune": {"options.clip": [2, None]}},
        "paper": {"method": "pf-msmtrec", "preset": "paper", "tune": {"options.penalty": [0.1, 1e-4, 0]}},
        "pooled": {"model": {"expert_layers": [8], "template": True}},
    },
    "tune": {"train": [{"local_steps": 5}, {"local_epochs": 2}], "model.tower_layers": [[8], [4, 4]]},
    "tune_candidates": 12,
    "seeds": [3, 1],
    "jobs": 2,
}
"""Names that YAML reads as numbers, grids of every kind."""
PLACES: list[dict[str, object]] = [
    {"source": "ali-ccp"},
    {"source": "aliexpress"},
    {"source": "ciao"},
    {"source": "epinions", "min_rows": 300},
    {"source": "kuairand", "tabs": [0, 1]},
    {"source": "movielens-1m", "scenarios": "age-domain"},
    {"source": "movielens-100k"},
    {"source": "synthetic", "rows": [5, 6, 7, 8]},
    {"source": "tenrec"},
    {**TABULAR, "files": {"1e3": "a.csv", "no": "b.csv", 7: "c.csv"}, "scenario": None},
    {
        **TABULAR,
        "scenarios": ["1e3", "12e4"],
        "tasks": {"click": {"column": "is_click"}, "buy": {"within": "click", "scenarios": ["1e3"]}},
        "features": {
            "item": {"shared": {"values": ["5e910274", "no", "0x1f"]}},
            "price": {"kind": "numeric", "scale": "log"},
            "tags": {"kind": "multi", "separator": "|"},
        },
        "split": {"fractions": [0.8, 0.1, 0.1], "time": "t"},
    },
    {**{k: v for k, v in TABULAR.items() if k != "files"}, "source": "sql", "engine": "duckdb", "query": "SELECT 1"},
]


@pytest.mark.parametrize("data", PLACES, ids=lambda data: str(data["source"]))
def test_a_resolved_config_is_a_config(data: dict[str, object], tmp_path: Path) -> None:
    config = parse_config({**ODD, "data": placed_data(data, tmp_path)})
    (tmp_path / "c.yaml").write_text(dump_yaml(json.loads(json.dumps(config.as_dict()))))
    assert load_config(tmp_path / "c.yaml") == config


@pytest.mark.parametrize("name", ["kuairand", "movielens-1m", "epinions", "synthetic"])
def test_the_built_in_configs_come_back_too(name: str, tmp_path: Path) -> None:
    config = load_config(built_in_config(name))
    (tmp_path / "c.yaml").write_text(dump_yaml(config.as_dict()))
    assert load_config(tmp_path / "c.yaml") == config
