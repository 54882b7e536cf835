"""The schema of own logs: what the YAML says of features and tasks, and what a look at the files adds."""

from __future__ import annotations

from collections.abc import Sequence

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.schema import Schema
from msmtrec.logs.sources.own_columns import Uses
from msmtrec.logs.sources.own_frames import Frames
from msmtrec.logs.sources.settings.weights import without_sampler


def schema_of(uses: Uses, scenarios: Sequence[str], frames: Frames, *, name: str, group: str | None) -> Schema:
    """What the rows mean.

    Args:
        uses: the YAML's features and labels.
        scenarios: in table order.
        frames: the files of all scenarios.
        name: what the logs are called.

    Raises:
        UserError: a scenario of a task is unknown, or has no task.
    """
    features = tuple(column.feature(name, frames.kinds) for name, column in uses.features.items())
    columns = [column for feature in features for column in feature.columns]
    sides = {column: side for side in frames.sides for column in side.columns}
    whole = [*frames.whole, *(name for side in frames.sides for name in side.whole if name in side.columns)]
    return Schema(
        name=name,
        features=features,
        tasks=tuple(label.task(name, frames.kinds) for name, label in uses.labels.items()),
        scenarios=_tasks_of(uses, scenarios),
        group=group,
        weight=uses.weight,
        missing=uses.missing,
        whole=tuple(name for name in whole if name in (*columns, group)),
        joined={column: sides[column].name for column in dict.fromkeys(columns) if column in sides},
    )


def _tasks_of(uses: Uses, scenarios: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Scenario -> its tasks."""
    for name, label in uses.labels.items():
        for scenario in label.scenarios or ():
            if scenario not in scenarios:
                raise UserError(
                    f"data.tasks.{name}.scenarios: no scenario '{scenario}'; {nearest(scenario, scenarios)}"
                )
    has = {
        scenario: tuple(n for n, t in uses.labels.items() if t.scenarios is None or scenario in t.scenarios)
        for scenario in scenarios
    }
    for scenario, held in has.items():
        if not held:
            raise UserError(f"scenario '{scenario}' has no task; add it to a task or leave it out")
    for sentence in without_sampler(uses.labels, has):
        raise UserError(sentence)
    return has
