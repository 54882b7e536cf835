"""Two forms of one id: each is an id of its own, with half of what there is to learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from msmtrec.data.findings.finding import Finding, Weight, percent
from msmtrec.data.findings.watched import Watched

RISES = 0.05
"""Share of a scenario's values that another one has in another form only, from which a shared field is told."""
COMPARED = 200_000
"""Values of all scenarios that are compared, of more a sample: shares are then an estimate."""
_SEED = 20_261_128


@dataclass(frozen=True)
class Form:
    """One way in which ids come to be written differently.

    Args:
        rare: share of training rows whose value is the rarer form below which it is taken for chance.
    """

    what: str
    remedy: str
    rare: float

    def plain(self, values: pl.Series) -> pl.Series:
        """The values, all in one form."""
        raise NotImplementedError

    def changed(self, values: pl.Series) -> pl.DataFrame:
        """`value` and `plain` of those that are in another form."""
        plain = self.plain(values)
        return pl.DataFrame({"value": values, "plain": plain}).filter(pl.col("value") != pl.col("plain"))


class Number(Form):
    """`007` and `7.0` are `7`."""

    def plain(self, values: pl.Series) -> pl.Series:
        return values.str.replace(r"^(-?)0+(\d+)(\.0+)?$", "${1}${2}").str.replace(r"^(-?\d+)\.0+$", "${1}")


class Letters(Form):
    """` A1` and `a1` are `a1`."""

    def plain(self, values: pl.Series) -> pl.Series:
        return values.str.strip_chars().str.to_lowercase()


FORMS = (
    Number("with other zeros", "write its ids in one way, with all zeros or without", 0.001),
    Letters("with other case or blanks", "if they are the same, write them in one way", 0.01),
)
"""A tenth of a per cent of rows, and one per cent where ids may well tell upper from lower case."""


def twins(form: Form, vocabulary: pl.Series) -> pl.DataFrame:
    """`value` and `plain` of the values that are there in several forms."""
    changed = form.changed(vocabulary)
    if changed.is_empty():
        return changed
    asked = changed["plain"].unique()
    # a plain form that is itself a value
    place = vocabulary.search_sorted(asked).clip(0, len(vocabulary) - 1)
    there = asked.filter(vocabulary.gather(place) == asked)
    both = pl.concat([changed, pl.DataFrame({"value": there, "plain": there})])
    return both.filter(pl.len().over("plain") > 1)


def within(column: str, scenario: str, watched: Watched) -> Iterator[Finding]:
    """Findings on one vocabulary."""
    values, times, total = watched.of(column)
    counted = pl.DataFrame({"value": values, "times": times})
    for form in FORMS:
        known = twins(form, values).join(counted, on="value").sort("plain", "times", "value")
        if known.is_empty():
            continue
        rarer = known.filter(pl.col("times").cum_count(reverse=True).over("plain") > 1)
        share = int(rarer["times"].sum()) / max(total, 1)
        if share >= form.rare:
            most = rarer.sort("times", "value").row(-1, named=True)
            other = known.filter(pl.col("plain") == most["plain"])["value"][-1]
            text = (
                f"column '{column}' of scenario '{scenario}' holds ids in two forms, such as {most['value']!r} and"
                f" {other!r}: {len(rarer):,} of its {len(values):,} values, in {percent(share)} of training rows, are"
                f" another one {form.what}; each form learns by itself; {form.remedy}"
            )
            yield Finding(f"forms {form.what}", column, scenario, text, size=share)


def between(column: str, vocabularies: Mapping[str, pl.Series]) -> Iterator[Finding]:
    """Findings on one shared field.

    Args:
        vocabularies: scenario -> its values.
    """
    names = list(vocabularies)
    for form in FORMS:
        whole = _plain(form, list(vocabularies.values()))
        # nobody else has the value, but somebody has its plain form
        gained = whole.filter((pl.len().over("value") == 1) & (pl.col("of").min() != pl.col("of").max()).over("plain"))
        for place, name in enumerate(names):
            own, size = gained.filter(pl.col("of") == place), whole.select((pl.col("of") == place).sum()).item()
            if own.is_empty() or len(own) < RISES * size:
                continue
            one = own.sort("value").row(0, named=True)
            other = whole.filter((pl.col("plain") == one["plain"]) & (pl.col("of") != place)).row(0, named=True)
            text = (
                f"shared column '{column}': {percent(len(own) / size)} of the values of scenario '{name}' are another's"
                f" {form.what}, such as {one['value']!r} here and {other['value']!r} in '{names[other['of']]}', so that"
                f" nothing is shared for them; {form.remedy}"
            )
            kind = f"shared forms {form.what}"
            yield Finding(kind, column, name, text, size=len(own) / size, weight=Weight.SPOILS)


def _plain(form: Form, vocabularies: list[pl.Series]) -> pl.DataFrame:
    """`of` (the vocabulary's place), `value` and `plain` of all values, or of some plain forms' where they are many.

    Empty if no value is in another form than the plain one.
    """
    step = -(-sum(map(len, vocabularies)) // COMPARED)
    parts = []
    for place, values in enumerate(vocabularies):
        part = pl.DataFrame({"value": values, "plain": form.plain(values)}).with_columns(of=pl.lit(place))
        parts.append(part.filter(pl.col("plain").hash(_SEED) % step == 0) if step > 1 else part)
    whole = pl.concat(parts)
    return whole if (whole["value"] != whole["plain"]).any() else whole.clear()
