from pathlib import Path

import polars as pl
import pytest

from msmtrec.config import build
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT
from msmtrec.data.sources.tabular import Tabular
from msmtrec.errors import UserError

ROWS = pl.DataFrame(
    {
        "country": ["NL", "FR"] * 10,
        "user": [f"u{n % 5}" for n in range(20)],
        "price": [float(n) for n in range(20)],
        "tags": ["a|b", "c"] * 10,
        "day": [f"2026-01-{n + 1:02d}" for n in range(20)],
        "click": [0, 0, 1, 1] * 5,
    }
)
BASE = {
    "source": "tabular",
    "scenario": "country",
    "tasks": {"click": None},
    "features": {
        "user": None,
        "price": {"kind": "numeric"},
        "tags": {"kind": "multi", "separator": "|", "max_values": 2},
    },
    "split": {"time": "day", "train_until": "2026-01-12", "validation_until": "2026-01-16"},
    "group": "user",
}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    ROWS.write_csv(tmp_path / "logs.csv")
    return tmp_path / "logs.csv"


def source(path: object, **changes: object) -> Tabular:
    raw = {**BASE, "files": str(path) if isinstance(path, Path) else path, **changes}
    return build(Tabular, {k: v for k, v in raw.items() if v is not ...}, "data")


def sizes(config: Tabular) -> dict[str, list[int]]:
    found = {}
    logs = config.load()
    for name in logs.schema.scenarios:
        split = logs.frame(name)[SPLIT].to_list()
        found[name] = [split.count(s) for s in ("train", "validation", "test")]
    return found


def test_one_csv_by_time(csv: Path) -> None:
    assert sizes(source(csv)) == {"FR": [6, 2, 2], "NL": [6, 2, 2]}
    data = encode(source(csv).load(), share=False)
    assert data.tables["NL"].splits["train"].ids.shape == (6, 3)


def test_parquet_and_one_file_per_scenario_give_the_same_tables(csv: Path, tmp_path: Path) -> None:
    files = {}
    for name in ("FR", "NL"):
        files[name] = str(tmp_path / f"{name}.parquet")
        ROWS.filter(pl.col("country") == name).write_parquet(files[name])
    one, two = encode(source(csv).load(), share=False), encode(source(files, scenario=...).load(), share=False)
    for name in files:
        assert (one.tables[name].splits["test"].ids == two.tables[name].splits["test"].ids).all()


def test_other_splits(csv: Path) -> None:
    assert sizes(source(csv, split={"fractions": [0.6, 0.2, 0.2]})) == {"FR": [6, 2, 2], "NL": [6, 2, 2]}
    ROWS.with_columns(pl.Series("part", ["train"] * 12 + ["validation"] * 4 + ["test"] * 4)).write_csv(csv)
    assert sizes(source(csv, split={"column": "part"})) == {"FR": [6, 2, 2], "NL": [6, 2, 2]}


def test_tasks_may_differ_between_scenarios(csv: Path) -> None:
    ROWS.with_columns(pl.col("click").alias("buy")).write_csv(csv)
    tasks = {"click": None, "buy": {"scenarios": ["NL"]}}
    assert source(csv, tasks=tasks).load().schema.scenarios == {"FR": ("click",), "NL": ("click", "buy")}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"files": "nowhere.csv"}, r"data file nowhere.csv does not exist"),
        ({"features": {"usr": None}}, r"logs.csv has no column 'usr'; did you mean 'user'\?"),
        ({"tasks": {"clicked": None}}, r"logs.csv has no column 'clicked'; did you mean 'click'\?"),
        ({"scenario": "land"}, r"logs.csv has no column 'land'"),
        ({"scenarios": ["NL", "BE"]}, r"scenario 'BE' has no rows in column 'country'"),
        ({"scenarios": ["NL", "NL"]}, r"names a scenario twice"),
        ({"scenario": ...}, r"one file needs 'scenario'"),
        ({"split": {"time": "day"}}, r"give column, or time with"),
        ({"split": {"time": "day", "train_until": "2026-01-12", "validation_until": "soon", "x": 1}}, r"unknown|x"),
        ({"split": {"fractions": [0.5, 0.2, 0.2]}}, r"sum to 1"),
        ({"split": {"column": "country"}}, r"column 'country' holds 'NL'; it must be one of train, validation, test"),
        ({"tasks": {"click": {"within": "view"}}}, r"lies within 'view', which is no task"),
        ({"features": {"click": None}}, r"is a label and also a feature \(leakage\)"),
        ({"features": {"user": {"shared": {"ids": 5, "hash": 5}}}}, r"exactly one of ids, hash, values"),
    ],
)
def test_bad_settings_get_one_sentence(csv: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        list(source(csv, **changes).load().stream())


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "logs.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match=r"logs.parquet cannot be read"):
        source(path).load()


def test_a_file_for_two_scenarios(csv: Path) -> None:
    with pytest.raises(UserError, match=r"stands for two scenarios"):
        source({"NL": str(csv), "FR": str(csv)}, scenario=...).load()
