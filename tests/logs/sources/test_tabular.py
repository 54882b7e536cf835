from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from logs.sources.tabular import BASE, ROWS, sizes, source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import CHUNK, SPLIT
from msmtrec.logs.reading.csv_lines import check_lines
from msmtrec.logs.reading.times import TIME


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    ROWS.write_csv(tmp_path / "logs.csv")
    return tmp_path / "logs.csv"


def test_one_csv_by_time(csv: Path) -> None:
    assert sizes(source(csv)) == {"FR": [6, 2, 2], "NL": [6, 2, 2]}
    data = encode(source(csv).load(), share=False)
    assert data.tables["NL"].splits["train"].table_ids.shape == (6, 3)


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
        ({"scenario": ...}, r"files need 'scenario'"),
        ({"split": {"time": "day"}}, r"give column, or time with"),
        ({"split": {"time": "day", "train_until": "2026-01-12", "validation_until": "soon", "x": 1}}, r"unknown|x"),
        ({"split": {"fractions": [0.5, 0.2, 0.2]}}, r"sum to 1"),
        ({"split": {"column": "country"}}, r"column 'country' holds 'NL'; it must be one of train, validation, test"),
        ({"tasks": {"click": {"within": "view"}}}, r"lies within 'view', which is no task"),
        ({"features": {"click": None}}, r"is a label and also a feature \(leakage\)"),
        ({"features": {"user": {"shared": {"ids": 5, "hash": 5}}}}, r"exactly one of ids, hash, values"),
        ({"features": {"user": {"shared": {"values": ["u1", "u2", "u1"]}}}}, r"user.shared: .* 'u1' 2 times"),
        ({"split": {"column": "click"}}, r"logs.csv: column 'click' holds 0.0; it must be one of train"),
        (
            {"split": {"time": "user", "fractions": [0.6, 0.2, 0.2]}},
            r"logs.csv: time column 'user' holds 'u0'; write ISO dates such as 2026-03-01, or numbers,",
        ),
        (
            {"split": {"time": "day", "train_until": "2026-01-12", "validation_until": "soon"}},
            r"split bound 'soon' does not fit time column 'day' of .*; write an ISO date such as 2026-03-01",
        ),
        (
            {"split": {"time": "price", "train_until": "2026-01-12", "validation_until": 5}},
            r"split bound '2026-01-12' does not fit time column 'price' .* holds numbers; write a number",
        ),
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


def lines(*changes: tuple[int, str]) -> bytes:
    """30 good lines and some others."""
    found = ["country,user,price,tags,day,click"]
    found += [f"{'NL' if n % 2 else 'FR'},u{n},{n}.5,a|b,2026-01-{n + 1:02d},{n // 2 % 2}" for n in range(30)]
    for place, line in changes:
        found[place] = line
    return ("\n".join(found) + "\n").encode()


@pytest.mark.parametrize("features", [BASE["features"], {"user": None}])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lines((7, "NL,u1,1.5,a,2026-01-07,1,more")), r"line 8 has 7 fields, the header 6"),
        (lines((7, "NL,u1,1,5,a,2026-01-07,1")), r"line 8 has 7 fields, the header 6"),
        (lines((7, "NL,u1,1.5")), r"line 8 has 3 fields, the header 6"),
        (lines((7, "")), r"line 8 is blank; remove it"),
        (lines((7, 'NL,"u1,1.5,a,2026-01-07,1')), r"line 31 has 2 fields, the header 6"),
        (lines().replace(b"u3,", b"\xff,"), r"line 5 holds bytes that are no UTF-8; save the file as UTF-8"),
        (lines().replace(b"NL", b"\xe9"), r"line 3 holds bytes that are no UTF-8; save the file as UTF-8"),
        (lines((0, "land,user,price,tags,day,click")), r"has no column 'country'"),
        (b"", r"is empty; a CSV file starts with"),
    ],
)
def test_damaged_csv(csv: Path, content: bytes, sentence: str, features: object) -> None:
    csv.write_bytes(content)
    with pytest.raises(UserError, match=rf"logs.csv.*({sentence})") as error:
        encode(source(csv, features=features).load(), share=False)
    assert "\n" not in str(error.value)


def test_lines_are_counted_as_csv_means_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text in (
        'a,b\n"1,2",3\n',
        'a,b\n"x\ny",3',
        "a,b\r\n1,2\r\n",
        'a,b\n"say ""x, y""",2\n',
    ):
        path.write_bytes(text.encode())
        for size in (1, 2, 3, 7, 100):
            check_lines(path, size)
    path.write_text("a,b\n1,2\n1,2,3")
    for size in (1, 2, 3, 7, 100):
        with pytest.raises(UserError, match=r"line 3 has 3 fields, the header 2"):
            check_lines(path, size)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; name the file in data.files"):
        source(tmp_path).load()


def test_lists_belong_to_multi_valued_features(tmp_path: Path) -> None:
    ROWS.with_columns(pl.concat_list("user")).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        UserError, match=r"a.parquet: column 'user' holds List\(String\); only a multi, sequence or vector feature"
    ):
        source(tmp_path / "a.parquet").load()


def test_scenarios_choose_and_order_the_files(csv: Path, tmp_path: Path) -> None:
    files = {0: str(csv), 1: str(tmp_path / "b.csv"), 2: str(tmp_path / "c.csv")}
    ROWS.write_csv(files[1])
    ROWS.write_csv(files[2])
    data = encode(source(files, scenario=..., scenarios=[2, 0]).load(), share=False)
    assert data.scenarios == ("2", "0")
    with pytest.raises(UserError, match=r"scenario '3' has no file in data.files"):
        source(files, scenario=..., scenarios=[3]).load()


JANUARY = [datetime(2026, 1, day, hour) for day in range(1, 13) for hour in (0, 23)]


@pytest.mark.parametrize(
    "times",
    [
        [time.strftime("%Y-%m-%d %H:%M:%S") for time in JANUARY],
        [time.strftime("%Y-%m-%dT%H:%M") for time in JANUARY],
        [time.strftime("%Y-%m-%dT%H:%M:%S.5Z") for time in JANUARY],
        [time.strftime("%Y-%m-%d" if not time.hour else "%Y-%m-%d %H:%M") for time in JANUARY],
        pl.Series(JANUARY),
        pl.Series(JANUARY, dtype=pl.Datetime("ns")),
        pl.Series(JANUARY).dt.replace_time_zone("Asia/Tokyo"),
        pl.Series([time.date() for time in JANUARY]),
        pl.Series([time.isoformat() for time in JANUARY], dtype=pl.Categorical),
    ],
)
@pytest.mark.parametrize("until", ["2026-01-08", date(2026, 1, 8)])
def test_a_date_includes_its_whole_day(tmp_path: Path, times: object, until: object) -> None:
    rows = pl.DataFrame({"country": "NL", "user": "u", "click": [0, 1] * 12, "t": times})
    rows.write_parquet(tmp_path / "a.parquet")
    split = {"time": "t", "train_until": until, "validation_until": "2026-01-10T23:00:00.5"}
    assert sizes(source(tmp_path / "a.parquet", features={"user": None}, split=split)) == {"NL": [16, 4, 4]}


def test_bounds_with_an_offset_and_numbers_in_text(tmp_path: Path) -> None:
    rows = pl.DataFrame({"country": "NL", "user": "u", "click": [0, 1] * 12})
    zoned = pl.Series("t", JANUARY).dt.replace_time_zone("Asia/Tokyo")
    path = tmp_path / "a.parquet"
    rows.with_columns(zoned).write_parquet(path)
    split = {"time": "t", "train_until": "2026-01-08T14:00:00Z", "validation_until": "2026-01-10T23:00:00+09:00"}
    assert sizes(source(path, features={"user": None}, split=split)) == {"NL": [16, 4, 4]}
    rows.with_columns(pl.Series("t", [str(number) for number in range(24)])).write_parquet(path)
    split = {"time": "t", "train_until": 9, "validation_until": "11"}  # as text, "9" is the last
    assert sizes(source(path, features={"user": None}, split=split)) == {"NL": [10, 2, 12]}


def test_text_that_is_no_iso_date_is_refused_not_sorted(csv: Path) -> None:
    ROWS.with_columns(pl.Series("day", [f"{n + 1}/1/2026" for n in range(20)])).write_csv(csv)
    for split in ({"time": "day", "fractions": [0.6, 0.2, 0.2]}, BASE["split"]):
        with pytest.raises(UserError, match=r"logs.csv: time column 'day' holds '1/1/2026'; write ISO dates such as"):
            encode(source(csv, split=split).load(), share=False)


def test_fractions_follow_the_time_of_mixed_text(csv: Path) -> None:
    days = ["2026-01-01T09:00:00+09:00", "2026-01-01 00:00:01"] + [f"2026-02-{n + 1:02d}" for n in range(18)]
    ROWS.with_columns(pl.Series("day", days), pl.lit("NL").alias("country")).reverse().write_csv(csv)
    logs = source(csv, split={"time": "day", "fractions": [0.1, 0.1, 0.8]}).load()
    assert logs.frame("NL").filter(pl.col(SPLIT) == "train")["price"].to_list() == [1.0, 0.0]


def test_times_are_read_chunk_by_chunk(csv: Path) -> None:
    count = CHUNK + 10
    day = (pl.datetime(2026, 1, 1) + pl.duration(seconds=pl.int_range(count))).dt.to_string("%Y-%m-%d %H:%M:%S")
    rows = pl.DataFrame({"country": "NL", "user": "u", "click": [0, 1] * (count // 2)}).with_columns(day.alias("day"))
    rows.write_csv(csv)
    split = {"time": "day", "train_until": "2026-01-01", "validation_until": "2026-01-02"}
    config = source(csv, features={"user": None}, split=split)
    assert sizes(config) == {"NL": [86_400, count - 86_400, 0]}
    chunks = [rows for _, rows in config.load().stream()]
    assert max(rows.height for rows in chunks) <= CHUNK
    assert len(chunks) > 1
    assert chunks[0].columns == ["user", "country", "click", "day", TIME, SPLIT]


def test_a_file_for_two_scenarios(csv: Path) -> None:
    with pytest.raises(UserError, match=r"stands for two scenarios"):
        source({"NL": str(csv), "FR": str(csv)}, scenario=...).load()
