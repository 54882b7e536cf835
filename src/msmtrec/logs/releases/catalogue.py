"""The public releases by name, and how much of each is in the data directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.settings import data_directory
from msmtrec.logs.releases.fetch import fetch, part_of
from msmtrec.logs.releases.remotes import MANUALS, REMOTES, Manual, Remote
from msmtrec.logs.remote.transfer import Progress, length, silent
from msmtrec.logs.sources.movielens_files import ML_1M, ML_100K
from msmtrec.logs.sources.settings.aliccp import AliCCP
from msmtrec.logs.sources.settings.aliexpress import AliExpress, Country
from msmtrec.logs.sources.settings.epinions import Ciao, Epinions
from msmtrec.logs.sources.settings.kuairand import KuaiRand
from msmtrec.logs.sources.settings.movielens import MovieLens
from msmtrec.logs.sources.settings.movielens_100k import MovieLens100K
from msmtrec.logs.sources.settings.tenrec import Feed, Tenrec

RELEASES: dict[str, Remote | Manual] = {release.name: release for release in (*REMOTES, *MANUALS)}


@dataclass(frozen=True)
class State:
    """How much of a release is there.

    Args:
        word: `present` is all that the source reads by default.
        missing: files or scenarios that are not there.
        kept: bytes of a download that broke off, which a fetch goes on with.
    """

    word: Literal["present", "partly", "absent"]
    missing: tuple[str, ...]
    kept: int = 0


def find(name: str) -> Remote | Manual:
    """A release by name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in RELEASES:
        raise UserError(f"no data set '{name}' to fetch; {nearest(name, RELEASES)}")
    return RELEASES[name]


def is_present(name: str) -> bool:
    """Whether all is there that the release's source reads by default."""
    return _PRESENT[name]()


def state(name: str) -> State:
    """How much of a release is in the data directory."""
    parts, release = _PARTS[name](), RELEASES[name]
    word: Literal["present", "partly", "absent"] = "partly" if any(parts.values()) else "absent"
    kept = length(part_of(release, data_directory())) if isinstance(release, Remote) else 0
    return State("present" if is_present(name) else word, tuple(p for p, there in parts.items() if not there), kept)


def fetch_named(name: str, directory: Path | None = None, progress: Progress = silent, timeout: float = 30) -> str:
    """Fetch one of REMOTES into the data directory; returns where it came from.

    Raises:
        UserError: as `fetch`, or the release has to be fetched by hand.
    """
    release = find(name)
    if isinstance(release, Manual):
        raise UserError(f"{name} cannot be fetched: {release.why}; msmtrec data fetch {name} says what to do")
    return fetch(release, directory or data_directory(), progress, timeout)


def _files(folder: str, *forms: tuple[str, ...]) -> dict[str, bool]:
    """Patterns of the form that is nearest to complete, and whether a file of that name is there."""
    place = data_directory() / folder
    return max(
        ({name: any(place.glob(name)) for name in form} for form in forms), key=lambda found: sum(found.values())
    )


def _kuairand(release: str) -> dict[str, bool]:
    folder, tag = f"KuaiRand-{release}", release.lower()
    inner = "/data" if (data_directory() / folder / "data").is_dir() else ""
    files = (f"log_standard_*_{tag}*.csv", f"user_features_{tag}.csv", f"video_features_basic_{tag}.csv")
    return _files(folder + inner, files)


_CCP = (
    ("ali_ccp_train.csv", "ali_ccp_val.csv", "ali_ccp_test.csv"),
    ("sample_train.tar.gz", "sample_test.tar.gz"),
    (
        *("sample_skeleton_train.csv", "common_features_train.csv"),
        *("sample_skeleton_test.csv", "common_features_test.csv"),
    ),
)
_REVIEWS = ("rating_with_timestamp.mat",)
_COUNTRIES: tuple[Country, ...] = ("NL", "ES", "FR", "US", "RU")
_FEEDS: tuple[Feed, ...] = ("QK-video", "QB-video")
_PARTS: dict[str, Callable[[], dict[str, bool]]] = {
    "kuairand-pure": lambda: _kuairand("Pure"),
    "kuairand-1k": lambda: _kuairand("1K"),
    "kuairand-27k": lambda: _kuairand("27K"),
    "movielens-1m": lambda: _files("ml-1m", *ML_1M.values()),
    "movielens-100k": lambda: _files("ml-100k", *ML_100K.values()),
    "aliexpress": lambda: {country: AliExpress(countries=(country,)).present() for country in _COUNTRIES},
    "ali-ccp": lambda: _files("Ali-CCP", *_CCP),
    "epinions": lambda: _files("Epinions", _REVIEWS),
    "ciao": lambda: _files("Ciao", _REVIEWS),
    "tenrec": lambda: {feed: Tenrec(scenarios=(feed,)).present() for feed in _FEEDS},
}
_PRESENT: dict[str, Callable[[], bool]] = {
    "kuairand-pure": lambda: KuaiRand().present(),
    "kuairand-1k": lambda: KuaiRand(release="1k").present(),
    "kuairand-27k": lambda: KuaiRand(release="27k").present(),
    "movielens-1m": lambda: MovieLens().present(),
    "movielens-100k": lambda: MovieLens100K().present(),
    "aliexpress": lambda: AliExpress().present(),
    "ali-ccp": lambda: AliCCP().present(),
    "epinions": lambda: Epinions().present(),
    "ciao": lambda: Ciao().present(),
    "tenrec": lambda: Tenrec().present(),
}
