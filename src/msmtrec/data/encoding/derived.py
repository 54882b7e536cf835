"""Features that are no raw columns: made of raw ones, in training and in every later use alike.

Whatever kind of derived column comes next belongs here too: the survey of the first pass, the encoder and the profile
all see rows after `derive` and do not tell such features from others.
"""

from __future__ import annotations

from urllib.parse import quote

import polars as pl

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.expressions import value_of
from msmtrec.data.encoding.tagged import parsed, weights_column
from msmtrec.data.encoding.texts import text_of
from msmtrec.data.logs import SCENARIO_FIELD

BETWEEN = "\x1f"
"""Between the values of a cross, and behind a scenario's name: the unit separator, which no log holds."""


def raw_columns(schema: Schema) -> tuple[str, ...]:
    """What rows must have: the columns that the features are made of."""
    by_expression = {feature.name: feature.columns for feature in schema.features if feature.expression}
    made = [feature.columns for feature in schema.features if feature.name != SCENARIO_FIELD]
    parts = dict.fromkeys(column for columns in made for column in columns)
    return tuple(dict.fromkeys(column for part in parts for column in by_expression.get(part, (part,))))


def from_table(schema: Schema, column: str) -> str:
    """What a sentence says of a column that rows lack, where training joined it from a side table."""
    table = schema.joined.get(column)
    return f", which training joined from the table '{table}' (join it to the rows first)" if table else ""


def only_read(schema: Schema) -> dict[str, str]:
    """Raw columns that nothing but expressions is made of -> the kind that these see."""
    expressions = [feature for feature in schema.features if feature.expression]
    names = {feature.name for feature in expressions}
    others = {part for feature in schema.features if not feature.expression for part in feature.columns} - names
    reads = dict(read for feature in expressions for read in feature.reads)
    return {column: kind for column, kind in reads.items() if column not in {*others, schema.group}}


def computed(schema: Schema, rows: pl.DataFrame, where: str = "the rows") -> pl.DataFrame:
    """Raw rows with the features by expression beside them: texts of categorical ones, numbers of numeric ones.

    Args:
        where: what a sentence calls the rows.

    Raises:
        UserError: a raw column holds another kind of value than an expression needs.
    """
    made = []
    for feature in schema.features:
        if feature.expression:
            place = f"{where}: feature '{feature.name}'"
            found = value_of(feature.expression, feature.reads, rows, place)
            found = found.cast(pl.Float64) if feature.kind == "numeric" else text_of(found)
            made.append(found.alias(feature.name))
    return rows.with_columns(made)


def derive(schema: Schema, rows: pl.DataFrame, scenario: str) -> pl.DataFrame:
    """A scenario's raw rows with the derived columns beside them.

    In the pooled table a row names its scenario, and so does every value of a private field: user 7 of one scenario is
    not user 7 of another.
    """
    rows = computed(schema, rows, f"scenario '{scenario}'")
    rows = rows.with_columns(crossed(f.cross, rows).alias(f.name) for f in schema.features if f.cross)
    for feature in schema.weighted:
        if (tags := parsed(rows[feature.name], feature, schema.missing)) is not None:
            rows = rows.with_columns(tags.values, tags.weights.alias(weights_column(feature)))
    if all(feature.name != SCENARIO_FIELD for feature in schema.features):
        return rows
    private = [feature for feature in schema.categorical if schema.owner(feature).shared is None]
    marked = [_marked(scenario, feature, rows[feature.name]) for feature in private if feature.name != SCENARIO_FIELD]
    return rows.with_columns(*marked, pl.lit(scenario).alias(SCENARIO_FIELD))


def crossed(columns: tuple[str, ...], rows: pl.DataFrame) -> pl.Series:
    """The values of several columns as one text; missing where one of them is."""
    parts = pl.DataFrame([text_of(rows[part]).alias(str(place)) for place, part in enumerate(columns)])
    return parts.select(pl.concat_str(pl.all(), separator=BETWEEN)).to_series()


def prefix_of(scenario: str) -> str:
    """What stands before every value of a private field in the pooled table."""
    return quote(scenario, safe="") + BETWEEN


def _marked(scenario: str, feature: Feature, values: pl.Series) -> pl.Series:
    """A private field's values, each of which names its scenario, in which no separator is left."""
    prefix = prefix_of(scenario)
    if isinstance(values.dtype, pl.List) != feature.has_lists:
        return values  # refused by name later, or without any value
    if feature.has_lists:
        return text_of(values).list.eval(prefix + pl.element())
    return (prefix + text_of(values)).alias(feature.name)
