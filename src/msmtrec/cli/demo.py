"""Which logs `msmtrec demo` trains on: real ones where they are or can be had."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from msmtrec.base.errors import UserError, nearest
from msmtrec.logs.releases.catalogue import fetch_named, find, is_present

_BUILT_IN = {"kuairand": "kuairand-pure", "movielens-1m": "movielens-1m", "epinions": "epinions", "synthetic": None}


def built_in_config(name: str) -> Path:
    """The YAML file of a built-in experiment.

    Raises:
        UserError: there is none of that name.
    """
    if name not in _BUILT_IN:
        raise UserError(f"no config file and no built-in experiment '{name}'; {nearest(name, _BUILT_IN)}")
    return Path(str(files("msmtrec") / "configs" / f"{name}.yaml"))


def choose_demo(say: Callable[[str], None], timeout: float = 15) -> str:
    """KuaiRand if present or downloadable, else MovieLens-1M, else synthetic logs; says which and why."""
    for name in ("kuairand", "movielens-1m"):
        remote = _BUILT_IN[name]
        assert remote is not None
        if is_present(remote):
            say(f"{name}: found in the data directory")
            return name
        licence = find(remote).licence
        say(f"{name}: not in the data directory, trying to download it")
        say(f"{name}: licence {licence.name}. {licence.terms} Whole text: {licence.url}")
        try:
            say(f"{name}: fetched from {fetch_named(remote, timeout=timeout)}")
            return name
        except UserError as error:
            say(f"{name}: {error}")
    say("synthetic: no real logs can be had here, so these are made up; their numbers mean nothing for real logs")
    return "synthetic"
