"""Settings of the local training, the rounds and the fine-tuning after them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from msmtrec.base.settings import Settings, by_name, count

_SECONDS = re.compile(r"([\d.]+) ?s")


class FineTune(Settings):
    """Local training of everything after the last round, from each scenario's best round.

    Args:
        rounds: at most this many times `local_steps`, with a validation after each.
        patience: stop a scenario after so many of them without a better validation AUC.
        learning_rate: None keeps the contender's.
    """

    rounds: int = Field(15, ge=1)
    patience: int = Field(3, ge=1)
    learning_rate: float | None = Field(None, gt=0)


class TrainSettings(Settings):
    """Local training and rounds.

    Args:
        rounds: of the federation, at most.
        patience: stop when no scenario has had a better validation AUC for so many rounds; null runs all rounds.
        local_steps: optimiser steps of every scenario in a round; give this or local_epochs.
        local_epochs: passes over the scenario's own training rows in a round.
        steps_by: what local_steps are shared out by: `scenario` gives every scenario as many; `rows` gives as many on
            the mean, in proportion to each scenario's training rows.
        batch_size: rows a step: one number, or a mapping scenario -> number with all scenarios.
        learning_rate, weight_decay: of Adam.
        lazy_embeddings: in a step change only those rows of embedding tables that its batch uses, and their moments, as
            SparseAdam does; quicker where tables have 100,000 rows or more, and another optimiser.
        participation: probability that a scenario takes part in a round.
        max_staleness: rounds after which an update is too old to count.
        evaluate_before: also measure before aggregation.
        checkpoint_every: rounds (5), or seconds ("30 s"), after which the run can be resumed from where it stands.
        held_out_limit: validation rows on which mixtures are measured; null takes all.
        dtype: of parameters and arithmetic.
        precision: of the network's matrix products while training: full, that of dtype, or bf16, bfloat16 with sums in
            float32. Parameters, optimiser, losses and everything measured stay in dtype.
        stack: which members train as one batched computation: auto, off, all.
        threads: of a contender; null shares the cores out over those that train at the same time. A long training
            divides its scenarios over as many processes.
        device: where the training runs; auto is cuda where there is a CUDA device, and cpu elsewhere.
    """

    rounds: int = Field(20, ge=1)
    patience: int | None = Field(None, ge=1)
    local_steps: int | None = Field(None, ge=1)
    local_epochs: float | None = Field(None, gt=0)
    steps_by: Literal["scenario", "rows"] = "scenario"
    batch_size: int | dict[str, int] = 256
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    lazy_embeddings: bool = False
    participation: float = Field(1.0, gt=0, le=1)
    max_staleness: int = Field(10, ge=0)
    evaluate_before: bool = True
    held_out_limit: int | None = Field(4096, ge=50)
    checkpoint_every: int | str = "30 s"
    dtype: Literal["float32", "float64"] = "float32"
    precision: Literal["full", "bf16"] = "full"
    stack: Literal["auto", "off", "all"] = "auto"
    threads: int | None = Field(None, ge=1)
    device: Literal["cpu", "cuda", "auto"] = "cpu"

    @field_validator("batch_size", mode="before")
    @classmethod
    def _sizes(cls, raw: Any) -> int | dict[str, int]:
        if isinstance(raw, Mapping):
            if not raw:
                raise ValueError("must be one number, or a mapping scenario -> number, not {}")
            return {name: count(size, f" for scenario '{name}'") for name, size in by_name(raw).items()}
        if isinstance(raw, int | float):
            return count(raw)
        raise ValueError(f"must be one number, or a mapping scenario -> number, not {raw!r}")

    @field_validator("checkpoint_every")
    @classmethod
    def _every(cls, value: int | str) -> int | str:
        if isinstance(value, int):
            return count(value)
        if not (found := _SECONDS.fullmatch(value)) or float(found[1]) <= 0:
            raise ValueError(f"must be a count of rounds, or seconds like '30 s', not {value!r}")
        return value

    def checkpoint_due(self, rounds: int, seconds: float) -> bool:
        """Whether a checkpoint is to be written, so many rounds and seconds after the last one."""
        if isinstance(self.checkpoint_every, int):
            return rounds >= self.checkpoint_every
        found = _SECONDS.fullmatch(self.checkpoint_every)
        return found is not None and seconds >= float(found[1])

    @model_validator(mode="after")
    def _one_length(self) -> TrainSettings:
        if (self.local_steps is None) == (self.local_epochs is None):
            raise ValueError("give either local_steps or local_epochs")
        if self.local_steps is None and self.steps_by == "rows":
            raise ValueError(
                "steps_by: rows shares out local_steps; local_epochs are in proportion to rows by themselves"
            )
        return self

    @model_validator(mode="after")
    def _one_precision(self) -> TrainSettings:
        if self.precision == "bf16" and self.dtype == "float64":
            raise ValueError("precision bf16 goes with dtype float32, not float64; leave one of them out")
        return self

    def cautions(self) -> Iterator[str]:
        if self.patience is not None and self.patience >= self.rounds:
            yield f"train.patience {self.patience} is never reached in {self.rounds} rounds"
        if self.participation < 1 and self.max_staleness == 0:
            yield "train.max_staleness 0: a scenario that misses one round loses what it learned on its own"
