"""What the server answers besides scores, as the OpenAPI page describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Error(BaseModel):
    """Why there are no scores."""

    error: str = Field(description="One sentence: what is wrong and what to do.")


class Identity(BaseModel):
    """Which model answers."""

    run: str = Field(description="Name of the run directory.")
    contender: str = Field(description="Column of its result table.")
    seeds: list[int] = Field(description="Several are several models, whose probabilities are averaged.")
    version: str = Field(description="Digest of all model files: the same version gives the same scores.")


class Rows(BaseModel):
    """Raw rows, as `Predictor.predict` takes them."""

    rows: list[dict[str, Any]] = Field(description="Column -> value; null is missing; other columns are not looked at.")


class Scores(BaseModel):
    """Probabilities, in the order of the rows."""

    model: Identity
    rows: list[dict[str, float]] = Field(description="Task -> probability.")


class Alive(BaseModel):
    """The process lives."""

    alive: bool


class Ready(BaseModel):
    """Whether requests are scored."""

    ready: bool
    missing: list[str] = Field(description="Scenarios that are still being loaded, or that nobody works on.")
    model: Identity | None = Field(None, description="Which model answers.")
    reload_failed: dict[str, str] | None = Field(None, description="Why the last reload changed nothing, and when.")


class Column(BaseModel):
    """A raw column that rows must have."""

    name: str
    kind: str = Field(description="numbers, ids (text or numbers), truth values, times …; or lists of them.")
    missing: bool = Field(description="Whether values may be missing (null).")


class Scenario(BaseModel):
    """Whose rows can be scored."""

    name: str
    tasks: list[str]
    columns: list[Column]


class Scenarios(BaseModel):
    """All of them."""

    scenarios: list[Scenario]


class Model(BaseModel):
    """The model that answers, and its card for each scenario."""

    model: Identity
    scenarios: dict[str, dict[str, Any]]


class Reloaded(BaseModel):
    """What a reload led to."""

    swapped: bool = Field(description="False where the run is the one that answers already.")
    model: Identity
