"""Relative paths begin at the config's folder, those of the command line at the working directory; a run keeps none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from config.small import BASE, TABULAR
from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml, read_yaml
from msmtrec.config.parse import SOURCES, Config, load_config, parse_config
from msmtrec.config.places import PATHS, check_there, placed, placed_data
from msmtrec.experiment.continuing import newer_data
from msmtrec.experiment.start import Start
from msmtrec.logs.reading.patterns import expand
from msmtrec.logs.sources.tabular import Tabular
from msmtrec.record.directory import CONFIG, open_run

SQL = {**{k: v for k, v in TABULAR.items() if k != "files"}, "source": "sql", "engine": "duckdb", "query": "SELECT 1"}


def has_path(annotation: Any) -> bool:
    return annotation is Path or any(has_path(inner) for inner in get_args(annotation))


def test_every_setting_of_data_that_is_a_path_is_known() -> None:
    fields = {(name, has_path(f.annotation)) for kind in SOURCES.values() for name, f in kind.model_fields.items()}
    assert {name for name, path in fields if path} == set(PATHS)
    assert {name for name, path in fields if not path} & set(PATHS) == set()


def made(folder: Path, name: str = "c.yaml", **raw: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(dump_yaml({**BASE, **raw}))
    return folder / name


def data_of(config: Config) -> dict[str, Any]:
    return config.data.model_dump(mode="json")


def held(config: Config, tmp_path: Path) -> Any:
    """The paths of a run's config.yaml, below tmp_path."""
    data = config.as_dict()["data"]
    text = json.dumps({key: data[key] for key in PATHS if data.get(key)})
    return json.loads(text.replace(f"{tmp_path}/", "/"))


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({**TABULAR, "files": "logs.csv"}, {"files": "/shop/logs.csv"}),
        ({**TABULAR, "files": ["a.csv", "more/*.csv"]}, {"files": ["/shop/a.csv", "/shop/more/*.csv"]}),
        ({**TABULAR, "files": "../logs.csv"}, {"files": "/shop/../logs.csv"}),
        (
            {**TABULAR, "files": {"NL": "nl.csv", 7: ["7/*.csv", "/a.csv"]}, "scenario": None},
            {"files": {"NL": "/shop/nl.csv", "7": ["/shop/7/*.csv", "/a.csv"]}},
        ),
        (
            {**SQL, "database": "a.duckdb", "keep": "kept/a.parquet"},
            {"database": "/shop/a.duckdb", "keep": "/shop/kept/a.parquet"},
        ),
        ({"source": "kuairand", "folder": "KuaiRand"}, {"folder": "/shop/KuaiRand"}),
    ],
)
@pytest.mark.parametrize("place", [".", "shop", "elsewhere"])
def test_paths_begin_at_the_folder_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, data: dict[str, Any], paths: dict[str, Any]
) -> None:
    made(tmp_path / "shop", data=data)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / place)
    config = {".": "shop/c.yaml", "shop": "c.yaml", "elsewhere": "../shop/c.yaml"}[place]
    found = load_config(Path(config))
    assert held(found, tmp_path) == paths
    assert held(load_config(tmp_path / "shop" / "c.yaml"), tmp_path) == paths


def test_messages_name_a_file_as_short_as_the_config_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "shop", data=TABULAR)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^data file shop/logs.csv does not exist"):
        load_config(Path("shop/c.yaml")).data.load()


def test_a_query_file_lies_beside_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = made(tmp_path / "shop", data={k: v for k, v in SQL.items() if k != "query"} | {"query_file": "q.sql"})
    (tmp_path / "shop" / "q.sql").write_text("SELECT 7")
    monkeypatch.chdir(tmp_path)
    assert data_of(load_config(config))["query"] == "SELECT 7"


def test_overrides_begin_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = made(tmp_path / "shop", data={**TABULAR, "files": {"NL": "nl.csv", "FR": "fr.csv"}, "scenario": None})
    monkeypatch.chdir(tmp_path)
    found = load_config(config, ("data.files.FR=other.csv", "start=runs/monday"))
    assert held(found, tmp_path) == {"files": {"NL": "/shop/nl.csv", "FR": "/other.csv"}}
    assert found.as_dict()["start"] == str(tmp_path / "runs" / "monday")


def test_from_python_they_begin_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = parse_config({**BASE, "data": TABULAR, "start": "runs/monday"})
    assert data_of(config)["files"] == "logs.csv"
    assert held(config, tmp_path) == {"files": "/logs.csv"}
    assert config.as_dict()["start"] == str(tmp_path / "runs" / "monday")


def test_the_run_to_go_on_from_is_a_path_too(tmp_path: Path) -> None:
    config = made(tmp_path / "shop", start="../runs/monday")
    assert load_config(config).start == tmp_path / "shop" / ".." / "runs" / "monday"


@pytest.mark.parametrize(
    ("data", "key", "name"),
    [
        (TABULAR, "files", "logs.csv"),
        ({**TABULAR, "files": ["*.csv"]}, "files", r"\*.csv"),
        ({**SQL, "database": "logs.csv"}, "database", "logs.csv"),
        ({**SQL, "query": None, "query_file": "logs.csv"}, "query_file", "logs.csv"),
    ],
)
def test_a_file_that_is_in_the_working_directory_instead_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], key: str, name: str
) -> None:
    made(tmp_path / "shop", data=data)
    (tmp_path / "logs.csv").touch()
    monkeypatch.chdir(tmp_path)
    sentence = (
        rf"^data.{key}: there is no shop/{name}, but {name} is in the working directory, and paths in a config begin at"
        rf" the config's own folder; write ../{name}$"
    )
    with pytest.raises(UserError, match=sentence):
        load_config(Path("shop/c.yaml"))


def test_a_file_in_the_working_directory_too_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "shop", data=TABULAR)
    for folder in (tmp_path, tmp_path / "shop"):
        (folder / "logs.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert data_of(load_config(Path("shop/c.yaml")))["files"] == "shop/logs.csv"


def test_what_is_overridden_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "shop", data=TABULAR)
    (tmp_path / "logs.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert data_of(load_config(Path("shop/c.yaml"), ("data.files=logs.csv",)))["files"] == "logs.csv"


def test_rows_may_be_kept_under_a_name_that_the_working_directory_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "shop", data={**SQL, "keep": "rows.parquet"})
    (tmp_path / "rows.parquet").touch()
    monkeypatch.chdir(tmp_path)
    assert data_of(load_config(Path("shop/c.yaml")))["keep"] == "shop/rows.parquet"


def test_a_folder_whose_name_looks_like_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = made(tmp_path / "shop [old]", data={**TABULAR, "files": ["*.csv", "b[1].txt"]})
    names = ("a.csv", "b[1].txt")
    for name in (*names, "b1.txt"):
        (config.parent / name).touch()
    for place in (tmp_path, config.parent):
        monkeypatch.chdir(place)
        for found in (load_config(config), parse_config(load_config(Path(os.path.relpath(config))).as_dict())):
            assert isinstance(found.data, Tabular)
            assert isinstance(found.data.files, tuple)
            assert expand(found.data.files) == tuple(config.parent / name for name in names)


def test_newer_rows_in_a_yaml_begin_at_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "tuesday.yaml").write_text(dump_yaml({"data": TABULAR}))
    (tmp_path / "new" / "section.yaml").write_text(dump_yaml(TABULAR))
    monkeypatch.chdir(tmp_path)
    for name in ("tuesday.yaml", "section.yaml"):
        found = newer_data(None, [Path("new") / name])  # type: ignore[arg-type]
        assert found == placed_data(TABULAR, Path("new"))
        assert found["files"] == "new/logs.csv"
    (tmp_path / "logs.csv").touch()
    with pytest.raises(UserError, match=r"data.files: there is no new/logs.csv, but logs.csv is in the working direct"):
        newer_data(None, [Path("new/tuesday.yaml")])  # type: ignore[arg-type]


def test_what_a_run_keeps_works_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = made(tmp_path / "shop", data={**TABULAR, "split": {"fractions": [0.5, 0.25, 0.25]}})
    (tmp_path / "shop" / "logs.csv").write_text("country,item,click\n" + "NL,a,1\n" * 4)
    monkeypatch.chdir(tmp_path)
    open_run(run := tmp_path / "run", load_config(Path("shop/c.yaml")).as_dict(), resume=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for found in (parse_config(read_yaml(run / CONFIG)), load_config(run / CONFIG)):
        assert found.data.load().frame("NL").height == 4
    open_run(run, load_config(Path("../shop/c.yaml")).as_dict(), resume=True)  # not another config
    assert load_config(config).as_dict() == load_config(Path("../shop/c.yaml")).as_dict()


def test_a_run_that_kept_a_relative_path_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions kept them, from the working directory."""
    config = made(tmp_path / "run", CONFIG, data=TABULAR)
    (tmp_path / "logs.csv").touch()
    monkeypatch.chdir(tmp_path)
    start = Start(SimpleNamespace(folder=config.parent))  # type: ignore[arg-type]
    assert data_of(start.config)["files"] == "logs.csv"


def test_urls_are_left_as_they_are(tmp_path: Path) -> None:
    raw = {"data": {"files": {"NL": "https://logs.example/nl.csv", "FR": ["s3://logs/fr/*.parquet", "own.csv"]}}}
    found = placed(raw, tmp_path)["data"]["files"]
    assert found == {"NL": "https://logs.example/nl.csv", "FR": ["s3://logs/fr/*.parquet", str(tmp_path / "own.csv")]}
    check_there({"data": {"files": "https://logs.example/nl.csv"}}, tmp_path)
