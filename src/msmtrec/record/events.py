"""What a run tells while it goes: one stream of events, for a progress bar, JSON lines, TensorBoard, MLflow.

All events reach one observer in one process, whatever the number of jobs. docs/terminal.md has their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from msmtrec.record.columns import contender_of

if TYPE_CHECKING:
    from msmtrec.record.results import Results


@dataclass(frozen=True, kw_only=True)
class Event:
    """`name` is what JSON lines call it."""

    name: ClassVar[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without the name. NaN is not among them: what does not exist is None."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """The run directory is open.

    Args:
        run: the config's name.
        contenders: title of every contender (with its candidate, where something is tuned) -> rounds.
        resumed: whether it continues what is in the folder.
    """

    name = "run_started"
    run: str
    folder: str
    contenders: Mapping[str, int]
    seeds: tuple[int, ...]
    jobs: int
    resumed: bool
    version: str


@dataclass(frozen=True, kw_only=True)
class Phase(Event):
    """What comes next: "reading the logs", "training" or "comparing"."""

    name = "phase"
    phase: str


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """A sentence about settings that mean less than they seem to, a candidate that diverged, or a sink that failed."""

    name = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class OfContender(Event):
    """Args: candidate: "" where nothing is tuned."""

    contender: str
    candidate: str

    @property
    def column(self) -> str:
        """With its candidate, where something is tuned."""
        return f"{self.contender}/{self.candidate}" if self.candidate else self.contender

    @property
    def title(self) -> str:
        """Of the training it is about: a fine-tuned column goes by the name of the contender it is tuned from."""
        return replace(self, contender=contender_of(self.contender)).column


@dataclass(frozen=True, kw_only=True)
class ContenderStarted(OfContender):
    """Args: done: rounds from an earlier start of the run; settings: all of them, resolved."""

    name = "contender_started"
    rounds: int
    done: int
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Progress(OfContender):
    """A round is trained, and not yet measured. For bars; JSON lines and sinks leave it out."""

    name = "progress"
    done: int
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Score:
    """On validation rows after the round, None where it does not exist."""

    seed: int
    scenario: str
    task: str
    auc: float | None
    log_loss: float | None


@dataclass(frozen=True, kw_only=True)
class Round(OfContender):
    """A round is measured, which happens while the next one is trained.

    Args:
        contender: the column of the table: rounds of fine-tuning are those of "NAME+ft".
        stage: "rounds" or "fine-tune".
        bytes_up, bytes_down: all scenarios and seeds together.
        seconds: all phases together.
        replayed: read from the run directory when the run was resumed. It may have been told before.
    """

    name = "round"
    stage: str
    round: int
    validation: tuple[Score, ...]
    bytes_up: int
    bytes_down: int
    seconds: float
    replayed: bool = False

    def mean_auc(self) -> dict[int, float | None]:
        """Seed -> mean validation AUC over scenario × task."""
        found: dict[int, list[float]] = {}
        for score in self.validation:
            found.setdefault(score.seed, []).extend([] if score.auc is None else [score.auc])
        return {seed: fmean(values) if values else None for seed, values in found.items()}

    def as_dict(self) -> dict[str, Any]:
        scores = [{field.name: getattr(score, field.name) for field in fields(score)} for score in self.validation]
        means = {str(seed): mean for seed, mean in self.mean_auc().items()}
        found = {**super().as_dict(), "mean_auc": means, "validation": scores}
        del found["replayed"]
        return found


@dataclass(frozen=True, kw_only=True)
class ContenderFinished(OfContender):
    """One column's training is over.

    Args:
        auc: mean over scenarios and seeds of the best rounds' validation AUC; None where training came to nothing.
        failed: then, why.
        earlier: it was over before this start of the run.
    """

    name = "contender_finished"
    auc: float | None
    failed: str | None
    earlier: bool


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The run directory is complete."""

    name = "run_finished"
    folder: str
    seeds: tuple[int, ...]
    results: Results

    def as_dict(self) -> dict[str, Any]:
        """Of the results only the mean line; results.json has the rest."""
        means = {name: cells[-1].mean for name, cells in self.results.cells.items()}
        return {"folder": self.folder, "test_auc": means, "chosen": dict(self.results.chosen)}


@dataclass(frozen=True, kw_only=True)
class RunStopped(Event):
    """The run ended before its end.

    Args:
        reason: "error" (something the user can repair), "interrupted" or "fault".
        text: the sentence.
    """

    name = "run_stopped"
    reason: str
    text: str


Observer = Callable[[Event], None]
"""What it raises ends the run."""


def ignore(_: Event) -> None:
    """An observer that looks away."""
