"""Which files of the AliExpress logs are there, and in which of their two forms."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from msmtrec.base.errors import UserError


class Processed:
    """A country's two CSV files with a header."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def complete(self) -> bool:
        return all(path.exists() for path in self.paths())

    def paths(self) -> list[Path]:
        return [self.folder / "train.csv", self.folder / "test.csv"]


class Original:
    """A country's four zips, each with one CSV; read where they are, also inside another zip."""

    def __init__(self, folder: Path, country: str) -> None:
        self.folder, self.country = folder, country
        self.outer = self._outer()

    def _names(self) -> list[str]:
        return [f"{self.country}_{kind}_{part}.zip" for part in ("train", "test") for kind in ("user", "item")]

    def _outer(self) -> tuple[Path, dict[str, str]] | None:
        """The zip that holds the four, and their names in it."""
        for path in sorted(self.folder.glob("*.zip")):
            try:
                with zipfile.ZipFile(path) as archive:
                    inside = {Path(name).name: name for name in archive.namelist()}
            except zipfile.BadZipFile as error:
                raise UserError(f"{path} is truncated or damaged; fetch it again") from error
            if all(name in inside for name in self._names()):
                return path, inside
        return None

    def complete(self) -> bool:
        return self.outer is not None or all((self.folder / name).exists() for name in self._names())

    def paths(self) -> list[Path]:
        return [self.outer[0]] if self.outer else [self.folder / name for name in self._names()]

    @contextmanager
    def opened(self, kind: str, part: str) -> Iterator[tuple[IO[bytes], str]]:
        """The CSV as a byte stream, and what to call it."""
        name = f"{self.country}_{kind}_{part}.zip"
        with ExitStack() as stack:
            try:
                if self.outer:
                    archive = stack.enter_context(zipfile.ZipFile(self.outer[0]))
                    inner: IO[bytes] | Path = stack.enter_context(archive.open(self.outer[1][name]))
                else:
                    inner = self.folder / name
                content = stack.enter_context(zipfile.ZipFile(inner))
                listed = [n for n in content.namelist() if n.endswith(".csv")]
                if len(listed) != 1:
                    raise UserError(f"{self.folder / name} holds {len(listed)} CSV files, not one")
                yield stack.enter_context(content.open(listed[0])), f"{self.folder / name}: {listed[0]}"
            except (zipfile.BadZipFile, EOFError, zlib.error) as error:
                raise UserError(f"{self.folder / name} is truncated or damaged; fetch it again") from error


def find(folder: Path, country: str) -> Processed | Original:
    """A country's files.

    Raises:
        UserError: they are there in neither form, or a zip is damaged.
    """
    processed = Processed(folder / f"AliExpress_{country}")
    if processed.complete():
        return processed
    original = Original(folder, country.lower())
    if original.complete():
        return original
    raise UserError(
        f"no AliExpress logs of {country} in {folder}: neither {processed.folder.name}/train.csv and test.csv nor"
        f" {country.lower()}_user_train.zip and its three companions, also not inside a zip there; the release is"
        " Tianchi data set 74690, which asks for a login"
    )
