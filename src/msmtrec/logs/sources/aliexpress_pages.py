"""The search pages of AliExpress's original form, on disk: an impression finds its page by the search id."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.logs.reading.texts import coded
from msmtrec.logs.sources.aliexpress_columns import NUMERIC, USER

_CODES = tuple(name for name in USER[1:] if name not in NUMERIC)
_NUMBERS = tuple(name for name in USER[1:] if name in NUMERIC)
_SEED = 20_240_618


class Pages:
    """A user file's lines, looked up by search id; of lines with the same one the last counts.

    In memory are 16 bytes a page and the distinct codes; the rest lies in the cache folder as long as this object does.

    Args:
        blocks: columns USER, numerics as float32 and the others as text.

    Raises:
        UserError: the cache folder cannot be written.
    """

    def __init__(self, blocks: Iterable[pl.DataFrame]) -> None:
        self._texts: dict[str, dict[str | None, int]] = {name: {} for name in _CODES}
        ids = [np.empty(0, np.uint64)]
        try:
            cache_directory().mkdir(parents=True, exist_ok=True)
            self._folder = TemporaryDirectory(prefix="pages-", dir=cache_directory())
            numbers, codes = (Path(self._folder.name) / name for name in ("numbers", "codes"))
            with numbers.open("wb") as number_file, codes.open("wb") as code_file:
                for rows in blocks:
                    ids.append(_hashed(rows["search_id"]))
                    number_file.write(np.ascontiguousarray(rows.select(_NUMBERS).to_numpy(), np.float32).data)
                    numbered = [coded(rows[name], self._texts[name]) for name in _CODES]
                    code_file.write(np.ascontiguousarray(np.stack(numbered, 1)).data)
        except OSError as error:
            raise UserError(
                f"cannot write to {cache_directory()}: {error.strerror or error}; free space or set MSMTREC_CACHE to a"
                " writable folder"
            ) from error
        whole = np.concatenate(ids)
        self._ids, backwards = np.unique(whole[::-1], return_index=True)
        self._lines = len(whole) - 1 - backwards
        self._numbers = _mapped(numbers, np.float32, len(_NUMBERS))
        self._codes = _mapped(codes, np.uint32, len(_CODES))
        self._known = {name: pl.Series(name, list(texts), pl.String) for name, texts in self._texts.items()}

    def __len__(self) -> int:
        return len(self._ids)

    def joined(self, items: pl.DataFrame) -> pl.DataFrame:
        """The impressions whose page is known, with its columns."""
        ids = _hashed(items["search_id"])
        place = np.searchsorted(self._ids, ids).clip(0, max(len(self._ids) - 1, 0))
        known = self._ids[place] == ids if len(self._ids) else np.zeros(len(ids), bool)
        lines = self._lines[place[known]]
        numbers, codes = self._numbers[lines], self._codes[lines]
        columns = [pl.Series(name, numbers[:, n]) for n, name in enumerate(_NUMBERS)]
        columns += [self._known[name].gather(codes[:, n]) for n, name in enumerate(_CODES)]
        return items.filter(pl.Series(known)).hstack(columns)


def _mapped(path: Path, kind: type[np.generic], columns: int) -> NDArray[Any]:
    if not path.stat().st_size:
        return np.empty((0, columns), kind)
    return np.memmap(path, kind, "r").reshape(-1, columns)


def _hashed(values: pl.Series) -> NDArray[np.uint64]:
    """64 bits of every id: ten million pages share one with a chance of 3 in a million."""
    return values.hash(_SEED).to_numpy()
