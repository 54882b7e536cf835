"""Where a schema's features stand in encoded rows; equal for all scenarios."""

from __future__ import annotations

from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, MOST_IDS, Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.vectors import width
from msmtrec.data.table import Field, Layout


def make_layout(schema: Schema, *, share: bool, scenarios: tuple[str, ...]) -> Layout:
    """Private columns first, then shared ones, each group in schema order."""

    def is_shared(feature: Feature) -> bool:
        return share and schema.owner(feature).shared is not None

    numeric = len(schema.numeric) + len(flagged(schema)) + sum(width(feature) for feature in schema.vectors)
    fields, column, shares = [], 0, 0
    for feature in sorted(schema.categorical, key=is_shared):
        attends = feature.of if feature.pooling == "attention" else None
        weighted = feature.weight_separator is not None
        place = numeric + shares if weighted else None
        fields.append(
            Field(feature.name, column, feature.max_values, is_shared(feature), attends=attends, shares=place)
        )
        column += feature.max_values
        shares += feature.max_values if weighted else 0
    spaces = [f.shared for f in schema.categorical if share and f.shared is not None]
    shared_rows = sum(FIRST_ID + space.size for space in spaces)
    fits(shared_rows, f"the shared fields of {schema.name}")
    tasks, within = schema.task_names, schema.nesting
    return Layout(tuple(fields), numeric, shared_rows, tasks, scenarios=scenarios, shares=shares, within=within)


def fits(ids: int, what: str) -> None:
    if ids > MOST_IDS:
        raise UserError(f"{what} have {ids:,} ids together, and {MOST_IDS:,} fit; make hash or ids smaller")


def flagged(schema: Schema) -> tuple[Feature, ...]:
    """Numerics with a column beside them that says where they are missing."""
    return tuple(feature for feature in schema.numeric if feature.missing)
