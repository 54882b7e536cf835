"""Which files of an Ali-CCP log are there, and in which of its two forms."""

from __future__ import annotations

from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.logs.reading import archives

_KINDS = ("sample_skeleton", "common_features")
_NAMES = {f"{kind}_{part}.csv": f"sample_{part}" for part in ("train", "test") for kind in _KINDS}
"""File -> the archive that it comes in."""


class Processed:
    """Three CSV files with a header."""

    names = ("ali_ccp_train.csv", "ali_ccp_val.csv", "ali_ccp_test.csv")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self) -> list[str]:
        return [path.name for path in self.paths() if not path.exists()]

    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.names]


class Original:
    """The release's four files: plain, in their archives, or with those in a zip."""

    names = tuple(_NAMES)

    def __init__(self, folder: Path) -> None:
        places = {name: archives.find(folder, name, bundle) for name, bundle in _NAMES.items()}
        self.places = {name: place for name, place in places.items() if place is not None}

    def missing(self) -> list[str]:
        return [name for name in self.names if name not in self.places]

    def paths(self) -> list[Path]:
        return sorted({place.path for place in self.places.values()})


def find(folder: Path) -> Processed | Original:
    """The form that is there.

    Raises:
        UserError: neither is, or only a part of one.
    """
    processed = Processed(folder)
    if not processed.missing():
        return processed
    original = Original(folder)
    if not original.missing():
        return original
    for form in (processed, original):
        if len(form.missing()) < len(form.names):
            raise UserError(f"{folder} holds an Ali-CCP log without {', '.join(form.missing())}; put it there")
    raise UserError(
        f"no Ali-CCP log in {folder}: neither {', '.join(Processed.names)} nor the release's sample_train.tar.gz,"
        " sample_test.tar.gz or the four files in them; it is Tianchi data set 408, which asks for a login"
    )
