"""How CSV files are written: what separates fields, whether names stand above them, and which signs there are."""

from __future__ import annotations

import codecs
from typing import Literal, Self

from pydantic import field_validator, model_validator

from msmtrec.base.settings import Settings

_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_BLANKS = "blanks"
_UTF8 = codecs.lookup("utf-8").name


class CsvForm(Settings):
    """How CSV files are written, where it is not commas with a header in UTF-8.

    Args:
        separator: between fields: a sign, several such as "::", `tab`, or `blanks` (one or more blanks and tabs).
        header: whether the first line names the columns.
        columns: without a header: the names of all columns, in order.
        comment: lines at the top of a file that begin with this are passed over.
        encoding: of the text, such as latin-1 or utf-16.
        decimal: the sign before the fraction of numbers; with "," an id such as 7,5 is the id 7.5.
    """

    separator: str = ","
    header: bool = True
    columns: tuple[str, ...] | None = None
    comment: str | None = None
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."

    @field_validator("separator")
    @classmethod
    def _sign(cls, raw: str) -> str:
        sign = _NAMED.get(raw, raw)
        if not sign or any(odd in sign for odd in '\r\n"\0') or sign.isalnum() != (sign == _BLANKS):
            raise ValueError("must be a sign between fields such as ';', several signs, 'tab' or 'blanks'")
        return _BLANKS if sign.isspace() and "\t" not in sign else sign

    @field_validator("comment")
    @classmethod
    def _not_empty(cls, raw: str | None) -> str | None:
        if raw is not None and not raw.strip():
            raise ValueError("must be what comments begin with, such as '#'")
        return raw

    @field_validator("encoding")
    @classmethod
    def _known(cls, raw: str) -> str:
        try:
            return codecs.lookup(raw).name
        except LookupError as error:
            raise ValueError(f"there is no encoding {raw!r}; such as utf-8, latin-1, cp1252 or utf-16") from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.header and self.columns is not None:
            raise ValueError("columns names the columns of files without a header; add header: false, or remove it")
        if not self.header and not self.columns:
            raise ValueError("header: false needs columns, the names of all columns in order")
        if twice := [name for name in self.columns or () if (self.columns or ()).count(name) > 1]:
            raise ValueError(f"columns names '{twice[0]}' twice; name them apart")
        if self.decimal == self.separator:
            raise ValueError("decimal and separator are both a comma; set the separator")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether it is read as it stands; other files are written anew first."""
        return len(self.separator.encode()) == 1 and self.encoding == _UTF8

    @property
    def has_blanks(self) -> bool:
        return self.separator == _BLANKS

    @property
    def rewritten(self) -> CsvForm:
        """The form in which files of this one are read: itself, or that of a copy that is written first."""
        return self if self.is_plain else self.model_copy(update={"separator": "\t", "encoding": _UTF8})


COMMAS = CsvForm()
"""The form that is taken for granted."""
