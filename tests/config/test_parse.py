import pytest

from config.small import BASE, INFINITE, NAN, TABULAR
from msmtrec.base.errors import UserError
from msmtrec.cli.demo import built_in_config
from msmtrec.config.parse import load_config, parse_config
from msmtrec.methods.settings.pf_msmtrec import PFSettings
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings


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
    (local,), (mine,) = config.contenders
    assert config.seeds == (0, 1)
    assert not local.model.template
    assert mine.model.template
    assert mine.model.experts == 2
    assert (mine.train.local_steps, mine.train.local_epochs) == (None, 1)
    assert isinstance(mine.settings, PFSettings)
    assert (mine.settings.penalty, mine.settings.personalization) == (0.5, "hyper")
    assert mine.fine_tune is not None


def test_a_network_has_its_own_keys_and_defaults() -> None:
    """Nothing is injected; a contender's other network takes of the common group what it has."""
    methods = {
        "mine": {"method": "pf-msmtrec"},
        "plain": {"method": "pf-msmtrec", "model": {"template": False}},
        "ple": {"method": "pf-msmtrec", "model": {"name": "ple", "task_experts": 3}},
        "star": {"method": "pooled", "model": {"name": "star"}},
    }
    config = parse_config({**BASE, "methods": methods, "model": {"embedding_dim": 5, "experts": 7}})
    mine, plain, ple, star = (contender[0].model for contender in config.contenders)
    assert mine == MMoESettings(embedding_dim=5, experts=7, template=True)
    assert plain == MMoESettings(embedding_dim=5, experts=7, template=False)
    assert ple == PLESettings(embedding_dim=5, task_experts=3)
    assert star == STARSettings(embedding_dim=5)
    (common,) = parse_config({**BASE, "model": {"name": "star", "layers": [4]}}).contenders
    assert common[0].model == STARSettings(layers=(4,))


def test_a_grid_gives_every_row_the_same_candidates() -> None:
    config = parse_config({**BASE, "methods": ["local", "fedavg"], "tune": {"train.learning_rate": [0.001, 0.003]}})
    assert [[row.candidate for row in rows] for rows in config.contenders] == [
        ["learning_rate=0.001", "learning_rate=0.003"]
    ] * 2
    assert [row.train.learning_rate for row in config.contenders[1]] == [0.001, 0.003]


@pytest.mark.parametrize("name", ["kuairand", "movielens-1m", "epinions", "synthetic"])
def test_built_in_configs_hold_the_reference_rows(name: str) -> None:
    config = load_config(built_in_config(name), ("train.rounds=3", "train.learning_rate=1e-4"))
    rows = [row[0].name for row in config.contenders]
    networks = ["local", "emb-only", "fedavg", "fedavg-all", "pooled", "paper", "recommended"]
    assert rows == ["bias", "linear", *networks, "recommended-stats", "pooled-stats"]
    alone = [row[0].name for row in config.contenders if row[0].fine_tune is None]
    assert alone == ["bias", "linear", "pooled", "pooled-stats"]
    assert [row[0].name for row in config.contenders if row[0].statistics] == ["linear", *rows[-2:]]
    assert len(config.seeds) >= 3
    assert config.contenders[2][0].train.rounds == 3
    assert config.contenders[2][0].train.learning_rate == 1e-4


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
        ({"methods": {"../up": {"method": "local"}}}, r"a contender's name is a folder"),
        ({"train": {"local_steps": 3, "local_epochs": 1}}, r"train: give either local_steps or local_epochs"),
        ({"train": {"local_steps": 3, "rounds": 0}}, r"train.rounds: .* \(given: 0\)"),
        ({"train": {"local_steps": 3, "batch_size": 0}}, r"train.batch_size: must be at least 1, not 0"),
        ({"model": {"name": "ple", "experts": 2}}, r"unknown config key 'model.experts'"),
        ({"model": {"name": "ple", "template": True}}, r"unknown config key 'model.template'"),
        (
            {"methods": {"a": {"method": "local", "model": {"name": "star"}}}, "model": {"experst": 2}},
            r"unknown config key 'model.experst'; did you mean 'experts'\?",
        ),
        (
            {"methods": {"a": {"method": "local", "model": {"name": "star", "experts": 2}}}},
            r"unknown config key 'methods.a.model.experts'",
        ),
        ({"model": {"name": "mmoo"}}, r"model.name is 'mmoo'; did you mean 'mmoe'\?"),
        ({"seeds": [1, 1]}, r"seeds must be a count or a list of different integers"),
        ({"seeds": 0}, r"seeds must be"),
        ({"jobs": 0}, r"jobs must be a count"),
        (
            {"tune": {"rate": [1]}},
            r"tune.rate: a grid has keys of train, model, options, fine_tune and statistics; try train.learning_rate",
        ),
        ({"tune": {"train.learning_rate": 0.1}}, r"must be a list of values"),
        ({"tune": {"train.learning_rate": [0.1, 0.1]}}, r"tune.train.learning_rate lists 0.1 twice"),
        ({"tune": False}, r"tune must be a group of settings, not False"),
        ({"methods": None}, r"the config has no 'methods'"),
        ({"methods": [{"method": "fedavg"}]}, r"methods\[0\] must be a method's name, not \{'method': 'fedavg'\}"),
        ({"methods": {False: None}}, r"methods: False is no name; put it in quotes"),
        ({"methods": ["local", "local"]}, r"methods lists 'local' twice"),
        ({"methods": {"fedavg": False}}, r"methods.fedavg must be a group of settings, not False"),
        ({"methods": {"fedavg": {"options": False}}}, r"methods.fedavg.options must be a group of settings, not False"),
        ({"methods": {"r": {"method": ["fedavg"]}}}, r"methods.r.method is \['fedavg'\]; valid: local"),
        ({"methods": {"pf-msmtrec": {"preset": ["paper"]}}}, r"preset is \['paper'\]; valid: paper, recommended"),
        ({"methods": {"fedavg": {"fine_tune": 5}}}, r"fine_tune must be true, false or a group of settings, not 5"),
        (
            {"methods": {"fedavg": {"fine_tune": {"round": 5}}}},
            r"'methods.fedavg.fine_tune.round'; did you mean 'rounds'\?",
        ),
        ({"data": {"source": ["synthetic"]}}, r"data.source is \['synthetic'\]; valid: ali-ccp"),
        ({"model": {"name": ["mmoe"]}}, r"model.name is \['mmoe'\]; valid: mmoe"),
        ({"seeds": [[1], [2]]}, r"seeds must be integers"),
        ({"seeds": [True, False]}, r"seeds must be integers"),
        ({"seeds": [1, True]}, r"seeds must be integers"),
        ({"model": {"expert_layers": [8, 0]}}, r"model.expert_layers.1: .*greater than or equal to 1 \(given: 0\)"),
        ({"model": {"tower_layers": [-1]}}, r"model.tower_layers.0: .*greater than or equal to 1 \(given: -1\)"),
        ({"train": {"local_steps": 3, "learning_rate": INFINITE}}, r"learning_rate: .* finite number \(given: inf\)"),
        ({"train": {"local_steps": 3, "weight_decay": NAN}}, r"weight_decay: .* finite number \(given: nan\)"),
        ({"train": {"local_epochs": INFINITE}}, r"local_epochs: .* finite number"),
        ({"methods": {"pf-msmtrec": {"options": {"penalty": INFINITE}}}}, r"options.penalty: .* finite number"),
        ({"train": {"local_steps": 3, "batch_size": [5]}}, r"train.batch_size: must be one number, or a mapping"),
        ({"train": {"local_steps": 3, "batch_size": {}}}, r"train.batch_size: must be one number, or a mapping"),
        (
            {"train": {"local_steps": 3, "batch_size": {"scenario-0": 0}}},
            r"train.batch_size: must be at least 1, not 0 for scenario 'scenario-0'",
        ),
        (
            {"train": {"local_steps": 3, "batch_size": {"scenaro-0": 5}}},
            r"train.batch_size: there is no scenario 'scenaro-0'; did you mean 'scenario-0'\?",
        ),
        (
            {"train": {"local_steps": 3, "batch_size": {"FR": 5}}, "data": {**TABULAR, "scenarios": ["NL", "BE"]}},
            r"train.batch_size: there is no scenario 'FR'; valid: BE, NL",
        ),
        (
            {"data": {**TABULAR, "files": [3]}},
            r"data.files: must be a file, a list of files, or a mapping scenario -> file",
        ),
        ({"data": {**TABULAR, "files": {False: "no.csv"}}}, r"data.files: False is no name; put it in quotes"),
        ({"data": {**TABULAR, "files": {0: "a.csv", "0": "b.csv"}}}, r"data.files: '0' stands there twice"),
        ({"data": {k: v for k, v in TABULAR.items() if k != "split"}}, r"data.split is missing"),
        ({"data": {**TABULAR, "features": {"item": 5}}}, r"data.features.item must be a group of settings, not 5"),
        ({"data": {**TABULAR, "features": {"item": {"shred": 1}}}}, r"'data.features.item.shred'; did you mean 'share"),
        ({"data": {**TABULAR, "features": {"item": {"shared": {"hsh": 1}}}}}, r"shared.hsh'; did you mean 'hash'\?"),
        ({"data": {**TABULAR, "split": {"frctions": [1]}}}, r"'data.split.frctions'; did you mean 'fractions'\?"),
        ({"data": {**TABULAR, "tasks": {"click": {"withn": 1}}}}, r"'data.tasks.click.withn'; did you mean 'within'\?"),
        ({"data": {**TABULAR, "split": {"train_until": True}}}, r"data.split.train_until: must be a date such as"),
    ],
)
def test_mistakes_get_one_sentence(raw: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_config({**BASE, **raw})


def test_an_empty_group_of_fine_tuning_is_on() -> None:
    settings = ({}, True, {"rounds": 2}, False, None)
    rows = parse_config(
        {**BASE, "methods": {f"r{n}": {"method": "local", "fine_tune": s} for n, s in enumerate(settings)}}
    )
    assert [row[0].fine_tune and row[0].fine_tune.rounds for row in rows.contenders] == [15, 15, 2, None, None]


def test_a_grid_of_wide_mappings() -> None:
    sizes = [{f"scenario-{n}": number for n in range(40)} for number in (5, 6)]
    data = {"source": "synthetic", "scenarios": 40}
    (row,) = parse_config({**BASE, "data": data, "tune": {"train.batch_size": [*sizes, 7]}}).contenders
    assert [candidate.train.batch_size for candidate in row] == [*sizes, 7]
    assert [candidate.candidate for candidate in row] == ["candidate-1", "candidate-2", "candidate-3"]


def test_candidates_have_different_names() -> None:
    (row,) = parse_config({**BASE, "tune": {"train.learning_rate": [0.1, 0.10000001]}}).contenders
    assert [candidate.candidate for candidate in row] == ["candidate-1", "candidate-2"]


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "..", ".hidden", "", " a", "a\nb", "x" * 101, "a\\b", True, [1], {}]
)
def test_a_runs_name_is_a_folder_name(name: object) -> None:
    with pytest.raises(UserError, match=r"^name is .*, but it names the run's folder in runs/; give a text without"):
        parse_config({**BASE, "name": name})
    assert [parse_config({**BASE, "name": n}, "file").name for n in (None, 12, "größe 2 (b)")] == [
        "file",
        "12",
        "größe 2 (b)",
    ]
