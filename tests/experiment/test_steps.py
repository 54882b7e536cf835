"""How much a round trains: by hand, and pooled rows beside the scenarios they come from."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.train import TrainSettings
from msmtrec.data.encode import encode
from msmtrec.data.logs import POOLED, Logs
from msmtrec.data.table import EncodedData
from msmtrec.experiment.steps import TrainingSize, training_size
from msmtrec.logs.sources.synthetic import Synthetic

LOGS = Synthetic(scenarios=3, rows=(900, 400, 600), users=60, items=40).load()
APART, TOGETHER = encode(LOGS, share=False), encode(LOGS.pooled(), share=False)
ROWS = {name: len(table.splits["train"]) for name, table in APART.tables.items()}
FIRST, SECOND, THIRD = ROWS


def sizes(data: EncodedData, **settings: object) -> dict[str, TrainingSize]:
    return training_size(TrainSettings.model_validate(settings), data)


def test_epochs_by_hand() -> None:
    found = sizes(APART, local_epochs=2, batch_size={FIRST: 50, SECOND: 9999, THIRD: 64})
    assert ROWS == {FIRST: 630, SECOND: 280, THIRD: 420}
    assert found == {
        FIRST: TrainingSize(630, 50, 2 * 13),
        SECOND: TrainingSize(280, 280, 2),  # a batch is never more than there is
        THIRD: TrainingSize(420, 64, 2 * 7),
    }
    assert sizes(APART, local_epochs=0.01)[THIRD] == TrainingSize(420, 256, 1)
    assert found[FIRST].as_dict() == {"rows": 630, "batch": 50, "steps": 26}


@pytest.mark.parametrize("epochs", [0.5, 1, 3])
@pytest.mark.parametrize("batch", [16, 100, {FIRST: 64, SECOND: 8, THIRD: 64}, 9999])
def test_pooled_rows_take_the_most_steps_and_as_many_rows_as_all_together(
    epochs: float, batch: int | dict[str, int]
) -> None:
    settings = {"local_epochs": epochs, "batch_size": batch}
    apart, pooled = sizes(APART, **settings), sizes(TOGETHER, **settings)[POOLED]
    assert pooled.rows == sum(ROWS.values())
    assert pooled.steps == max(size.steps for size in apart.values())
    visits = epochs * pooled.rows
    assert pooled.batch == min(ceil(visits / pooled.steps), pooled.rows)
    if epochs >= 1:
        assert visits <= pooled.steps * pooled.batch < visits + pooled.steps


def test_with_local_steps_a_pooled_batch_is_all_batches() -> None:
    settings = {"local_steps": 7, "batch_size": {FIRST: 50, SECOND: 9999, THIRD: 64}}
    assert {size.steps for size in sizes(APART, **settings).values()} == {7}
    assert sizes(TOGETHER, **settings) == {POOLED: TrainingSize(1330, 50 + 280 + 64, 7)}


def test_steps_shared_out_by_rows() -> None:
    """As many on the mean: 21 over 1330 rows are one for each 63.3 of them."""
    settings = {"local_steps": 7, "steps_by": "rows", "batch_size": {FIRST: 50, SECOND: 9999, THIRD: 64}}
    apart = {name: (size.batch, size.steps) for name, size in sizes(APART, **settings).items()}
    assert apart == {FIRST: (50, 10), SECOND: (280, 4), THIRD: (64, 7)}
    visited = 10 * 50 + 4 * 280 + 7 * 64
    assert sizes(TOGETHER, **settings) == {POOLED: TrainingSize(1330, ceil(visited / 10), 10)}


def test_a_scenario_called_pooled_is_one_like_another() -> None:
    def stream():  # type: ignore[no-untyped-def]
        yield from ((POOLED, rows) for name, rows in LOGS.stream() if name == FIRST)

    schema = replace(LOGS.schema, scenarios={POOLED: LOGS.schema.scenarios[FIRST]})
    alone = encode(Logs(schema, stream, "f", "toy"), share=False)
    assert sizes(alone, local_epochs=1, batch_size=500) == {POOLED: TrainingSize(630, 500, 2)}


@pytest.mark.parametrize("data", [APART, TOGETHER])
def test_a_scenario_without_a_batch_is_named(data: EncodedData) -> None:
    with pytest.raises(UserError, match=f"no number for scenario '{SECOND}'; scenarios: {FIRST}, {SECOND}, {THIRD}"):
        sizes(data, local_steps=1, batch_size={FIRST: 8, THIRD: 8})
