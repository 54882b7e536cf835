"""Settings of the local training, the rounds and the fine-tuning after them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field, field_validator, model_serializer, model_validator

from msmtrec.base.errors import nearest
from msmtrec.base.sentences import shown
from msmtrec.base.settings import Settings, by_name, count

if TYPE_CHECKING:
    from msmtrec.aggregation.balance.base import Rule

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


_OWN = {"uncertainty": ("rate",), "gradnorm": ("alpha", "rate"), "cagrad": ("c",)}
"""Rule -> the options that it has."""


class Balance(Settings):
    """How tasks are balanced in local training; a rule's name alone stands for the rule with its defaults.

    Args:
        rule: `none` (the sum of the tasks' losses), `uncertainty` or `gradnorm` (learned weights of the losses),
            `pcgrad`, `cagrad`, `mgda` or `nash-mtl` (another sum of the tasks' gradients in what they share).
        c: of cagrad, how far the update may go from the mean gradient, in units of its length; 0 is none.
        alpha: of gradnorm, how much tasks that learn slowly gain; 0 wants all gradients of one length.
        rate: of uncertainty and gradnorm, learning rate of the weights.
    """

    rule: Literal["none", "uncertainty", "gradnorm", "pcgrad", "cagrad", "mgda", "nash-mtl"] = "none"
    c: float = Field(0.4, ge=0)
    alpha: float = Field(1.5, ge=0)
    rate: float = Field(0.025, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, raw: Any) -> Any:
        found = {"rule": raw} if isinstance(raw, str) else raw
        if not isinstance(found, Mapping | Balance):
            raise ValueError(f"must be a rule's name, or a group such as {{rule: cagrad, c: 0.4}}, not {shown(raw)}")
        if isinstance(found, Mapping):
            rule, names = found.get("rule", "none"), get_args(cls.model_fields["rule"].annotation)
            if rule not in names:
                raise ValueError(f"unknown rule {shown(rule)}; {nearest(str(rule), names)}")
        return found

    @model_validator(mode="after")
    def _own_options(self) -> Balance:
        own = _OWN.get(self.rule, ())
        for name in ("c", "alpha", "rate"):
            if name in self.model_fields_set and name not in own:
                having = " and ".join(rule for rule, options in _OWN.items() if name in options)
                raise ValueError(f"{name} is an option of {having}, not of {self.rule}; remove it, or name the rule")
        return self

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        """The name alone where the rule has no options."""
        own = _OWN.get(self.rule, ())
        return {"rule": self.rule, **{name: getattr(self, name) for name in own}} if own else self.rule

    def build(self) -> Rule | None:
        """The rule; None for the plain sum."""
        if self.rule == "none":
            return None
        from msmtrec.aggregation.balance import build

        return build(self.rule, **{name: getattr(self, name) for name in _OWN.get(self.rule, ())})


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
        balance: how tasks are balanced in a step: `none`, the sum of their losses, or another rule's name, or a group
            with its options.
        participation: probability that a scenario takes part in a round.
        max_staleness: rounds after which an update is too old to count.
        evaluate_before: also measure before aggregation.
        checkpoint_every: rounds (5), or seconds ("30 s"), after which the run can be resumed from where it stands.
        held_out_limit: validation rows on which mixtures are measured; null takes all.
        wire: as what numbers travel: float32; float16, both ways; or int8, uploads of networks as differences to the
            last one in 8 bits, what rounding leaves out added to the next, and all else in float16.
        top_k: share of the entries of a network's tensors that an upload carries, those that have changed most since
            they were last said; the others wait. null sends all.
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
    balance: Balance = Balance.model_validate({})
    participation: float = Field(1.0, gt=0, le=1)
    max_staleness: int = Field(10, ge=0)
    evaluate_before: bool = True
    held_out_limit: int | None = Field(4096, ge=50)
    checkpoint_every: int | str = "30 s"
    wire: Literal["float32", "float16", "int8"] = "float32"
    top_k: float | None = Field(None, gt=0, lt=1)
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

    @model_validator(mode="after")
    def _narrow(self) -> TrainSettings:
        if self.dtype == "float64" and (self.wire != "float32" or self.top_k is not None):
            raise ValueError("wire and top_k make float32 smaller, not float64; leave one of them out")
        return self

    def cautions(self) -> Iterator[str]:
        if self.balance.rule == "cagrad" and self.balance.c == 0:
            yield "train.balance.c 0: cagrad is then the plain sum of the losses"
        if self.patience is not None and self.patience >= self.rounds:
            yield f"train.patience {self.patience} is never reached in {self.rounds} rounds"
        if self.participation < 1 and self.max_staleness == 0:
            yield "train.max_staleness 0: a scenario that misses one round loses what it learned on its own"
