"""Data sets that can be fetched, and what is there."""

from __future__ import annotations

from pathlib import Path

from msmtrec.data.fetch import Progress, Remote, fetch
from msmtrec.data.sources import kuairand, movielens, movielens_100k
from msmtrec.settings import data_directory

REMOTES: dict[str, Remote] = {
    remote.name: remote for remote in (kuairand.REMOTE, movielens.REMOTE, movielens_100k.REMOTE)
}


def is_present(name: str) -> bool:
    """Whether a fetchable data set is in the data directory."""
    return {
        "kuairand-pure": kuairand.KuaiRand().present,
        "movielens-1m": movielens.MovieLens().present,
        "movielens-100k": movielens_100k.MovieLens100K().present,
    }[name]()


def fetch_named(name: str, directory: Path | None = None, progress: Progress | None = None, timeout: float = 30) -> str:
    """Fetch one of REMOTES into the data directory; returns where it came from.

    Raises:
        UserError: as `fetch`.
    """
    return fetch(REMOTES[name], directory or data_directory(), progress, timeout)
