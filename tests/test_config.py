from pathlib import Path

import pytest

from msmtrec.config import load_config, parse_config
from msmtrec.demo import built_in_config
from msmtrec.errors import UserError
from msmtrec.methods.pf_msmtrec import PFSettings

BASE = {"data": {"source": "synthetic"}, "train": {"rounds": 2, "local_steps": 3}, "methods": {"local": None}}


def test_defaults_presets_and_overrides_resolve() -> None:
    methods = {
        "local": None,
        "mine": {
            "method": "pf-msmtrec",
            "preset": "paper",
            "options": {"penalty": 0.5},
            "train": {"learning_rate": 0.01, "local_epochs": 1},
            "model": {"experts": 2},
            "fine_tune": {"rounds": 4},
        },
    }
    config = parse_config({**BASE, "methods": methods, "seeds": 2})
    (local,), (mine,) = config.rows
    assert config.seeds == (0, 1)
    assert not local.model.template
    assert mine.model.template
    assert mine.model.experts == 2
    assert (mine.train.local_steps, mine.train.local_epochs) == (None, 1)
    assert isinstance(mine.settings, PFSettings)
    assert (mine.settings.penalty, mine.settings.personalization) == (0.5, "hyper")
    assert mine.fine_tune is not None


def test_a_grid_gives_every_row_the_same_candidates() -> None:
    config = parse_config({**BASE, "methods": ["local", "fedavg"], "tune": {"train.learning_rate": [0.001, 0.003]}})
    assert [[row.candidate for row in rows] for rows in config.rows] == [
        ["learning_rate=0.001", "learning_rate=0.003"]
    ] * 2
    assert [row.train.learning_rate for row in config.rows[1]] == [0.001, 0.003]


@pytest.mark.parametrize("name", ["kuairand", "movielens-1m", "synthetic"])
def test_built_in_configs_hold_the_reference_rows(name: str) -> None:
    config = load_config(built_in_config(name), ("train.rounds=3", "train.learning_rate=1e-4"))
    rows = [row[0].name for row in config.rows]
    assert rows == ["local", "emb-only", "fedavg", "fedavg-all", "fedavg-all+ft", "pooled", "paper", "recommended"]
    assert len(config.seeds) >= 3
    assert config.rows[0][0].train.rounds == 3
    assert config.rows[0][0].train.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"trian": {}}, r"unknown config key 'trian'; did you mean 'train'\?"),
        (
            {"train": {"rounds": 2, "local_step": 3}},
            r"unknown config key 'train.local_step'; did you mean 'local_steps'\?",
        ),
        ({"data": {"source": "kuairnd"}}, r"data.source is 'kuairnd'; did you mean 'kuairand'\?"),
        ({"data": {"source": "synthetic", "row": 5}}, r"unknown config key 'data.row'; did you mean 'rows'\?"),
        ({"methods": {"fedagv": None}}, r"methods.fedagv.method is 'fedagv'; did you mean 'fedavg'\?"),
        ({"methods": {"x": {"method": "pf-msmtrec", "preset": "papre"}}}, r"did you mean 'paper'\?"),
        ({"methods": {"fedavg": {"options": {"clp": 1}}}}, r"'methods.fedavg.options.clp'; did you mean 'clip'\?"),
        (
            {"methods": {"fedavg": {"options": {"clip": -1}}}},
            r"methods.fedavg.options.clip: .*greater than 0 \(given: -1\)",
        ),
        ({"methods": {"../up": {"method": "local"}}}, r"a row's name is a folder"),
        ({"train": {"local_steps": 3, "local_epochs": 1}}, r"train: give either local_steps or local_epochs"),
        ({"train": {"local_steps": 3, "rounds": 0}}, r"train.rounds: .* \(given: 0\)"),
        ({"train": {"local_steps": 3, "batch_size": 0}}, r"batch_size must be at least 1"),
        ({"model": {"name": "mmoo"}}, r"model.name is 'mmoo'; did you mean 'mmoe'\?"),
        ({"seeds": [1, 1]}, r"seeds must be a count or a list of different integers"),
        ({"seeds": 0}, r"seeds must be"),
        ({"jobs": 0}, r"jobs must be a count"),
        ({"tune": {"rate": [1]}}, r"tune.rate: only train"),
        ({"tune": {"train.learning_rate": 0.1}}, r"must be a list of values"),
        ({"methods": None}, r"the config has no 'methods'"),
    ],
)
def test_mistakes_get_one_sentence(raw: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_config({**BASE, **raw})


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
