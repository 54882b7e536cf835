from pathlib import Path

import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.data.logs import SPLIT
from msmtrec.logs.sources.movielens import MovieLens

DOMAINS = {
    "under 25": (210_747, 0.552, 0.225),
    "25-34": (395_556, 0.563, 0.217),
    "35 and over": (393_906, 0.600, 0.237),
}


def test_counts_and_label_rates(movielens_folder: Path) -> None:
    logs = MovieLens(folder=movielens_folder).load()
    for name, (rows, click, like) in DOMAINS.items():
        frame = logs.frame(name)
        assert frame.height == rows
        assert frame["click"].mean() == pytest.approx(click, abs=6e-4)
        assert frame["like"].mean() == pytest.approx(like, abs=6e-4)
    assert sum(rows for rows, _, _ in DOMAINS.values()) == 1_000_209


def test_splits_are_by_time_within_each_user(movielens_folder: Path) -> None:
    frame = MovieLens(folder=movielens_folder, scenarios="gender").load().frame("F")
    shares = frame[SPLIT].value_counts(normalize=True).sort(SPLIT)["proportion"].to_list()
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.005)  # test, train, validation
    per_user = frame.group_by("user_id").agg((pl.col(SPLIT) == "train").mean().alias("share"))
    assert per_user["share"].min() > 0.74


ORIGINAL = {
    "ratings.dat": "1::10::5::100\n1::11::3::200\n2::10::4::50\n",
    "users.dat": "1::F::1::10::48067\n2::M::25::16::70072\n",
    "movies.dat": "10::Am\xe9lie (2001)::Comedy|Romance\n11::Heat (1995)::Action\n",
}
WHEEL = {
    "ml-1m.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\r\n"
    "1m_1\tAm\xe9lie (2001)\t5\t100\r\n1m_1\tHeat (1995)\t3\t200\r\n1m_2\tAm\xe9lie (2001)\t4\t50\r\n",
    "ml-1m.user": "user_id:token\tage:float\tgender:token\toccupation:float\tzip_code:token\r\n"
    "1m_1\t1\tF\t10\t48067\r\n1m_2\t25\tM\t16\t70072\r\n",
    "ml-1m.item": "item_id:token\tmovie_title:token\trelease_year:float\tgenre:token\r\n"
    "Am\xe9lie (2001)\tAm\xe9lie\t2001\tComedy Romance\r\nHeat (1995)\tHeat\t1995\tAction\r\n",
}


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    found = []
    for name, files, encoding in (("a", ORIGINAL, "latin-1"), ("b", WHEEL, "utf-8")):
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_bytes(text.encode(encoding))
        logs = MovieLens(folder=tmp_path / name, scenarios="gender").load()
        found.append({scenario: logs.frame(scenario) for scenario in logs.schema.scenarios})
    for scenario in ("F", "M"):
        assert found[0][scenario].equals(found[1][scenario])
    assert found[0]["F"]["click"].to_list() == [1, 0]
    assert found[0]["F"]["like"].to_list() == [1, 0]
    assert found[0]["F"]["genres"].to_list() == [["Comedy", "Romance"], ["Action"]]


def test_the_first_ratings_of_each_user(tmp_path: Path) -> None:
    ratings = {"ratings.dat": "1::10::5::300\n1::11::3::200\n2::10::4::50\n2::11::1::50\n"}
    for file, text in {**ORIGINAL, **ratings}.items():
        (tmp_path / file).write_bytes(text.encode("latin-1"))
    whole = MovieLens(folder=tmp_path, scenarios="gender").load()
    first = MovieLens(folder=tmp_path, scenarios="gender", first_ratings=1).load()
    assert [first.frame(name)["title"].to_list() for name in ("F", "M")] == [["Heat (1995)"], ["Am\xe9lie (2001)"]]
    assert first.fingerprint != whole.fingerprint
    every = MovieLens(folder=tmp_path, scenarios="gender", first_ratings=2).load()
    assert every.frame("M").equals(whole.frame("M"))


def test_ten_ratings_a_user_in_seven_ages(movielens_folder: Path) -> None:
    logs = MovieLens(folder=movielens_folder, scenarios="age", first_ratings=10).load()
    rows = {name: logs.frame(name).height for name in logs.schema.scenarios}
    assert rows == {"1": 2220, "18": 11030, "25": 20960, "35": 11930, "45": 5500, "50": 4960, "56": 3800}


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run: msmtrec data fetch movielens-1m"):
        MovieLens(folder=tmp_path).load()
    for file, text in ORIGINAL.items():
        (tmp_path / file).write_bytes(text.replace("::3::", "").encode("latin-1"))
    with pytest.raises(UserError, match=r"ratings.dat: line 2 has fewer than 4"):
        MovieLens(folder=tmp_path).load()
