"""Calibration of a finished run's probabilities: fitted on each scenario's validation rows, measured on its test rows.

Nothing but the contender's folder is read: the logs and the cache may be gone. A fit uses one scenario's own rows, so
that in a federation it is made where they are, and nothing of it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError, nearest
from msmtrec.evaluation.calibration import KINDS, Calibration, Chances, calibrate, too_few
from msmtrec.evaluation.metrics import counting, task_weights
from msmtrec.evaluation.reliability import Reliability
from msmtrec.evaluation.support import FEWEST
from msmtrec.record.directory import CALIBRATION, SCORES, VALIDATION_SCORES, read_json

ROWS = "the scenario's own validation rows, which also chose the round"
"""What maps are fitted on, in words."""


@dataclass(frozen=True)
class Fitted:
    """A map for one scenario × task, or why there is none.

    Args:
        rows, positives: labelled validation rows.
        calibration: None where they are too few.
        lacks: what there is too little of; empty with a map.
    """

    rows: int
    positives: int
    calibration: Calibration | None
    lacks: str = ""

    def sentence(self, scenario: str, task: str) -> str:
        """Why a line is left as it is."""
        return (
            f"{scenario} · {task} is not calibrated: its validation rows have {self.lacks}, a fit needs {FEWEST} of"
            " either class"
        )


@dataclass(frozen=True)
class Line:
    """One scenario × task on the test rows, before and after."""

    scenario: str
    task: str
    _: KW_ONLY
    fitted: Fitted
    before: Reliability
    after: Reliability

    def as_dict(self) -> dict[str, Any]:
        fitted = self.fitted
        return {
            "scenario": self.scenario,
            "task": self.task,
            "rows": fitted.rows,
            "positives": fitted.positives,
            "lacks": fitted.lacks,
            "map": fitted.calibration.as_dict() if fitted.calibration else None,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
        }


def check_kind(kind: str) -> None:
    """A calibration has this name.

    Raises:
        UserError: none has.
    """
    if kind not in KINDS:
        raise UserError(f"there is no calibration '{kind}'; {nearest(kind, KINDS)}")


def fit(kind: str, folder: Path, scenario: str, tasks: Sequence[str], seeds: Sequence[int]) -> dict[str, Fitted]:
    """Task -> the map of one scenario, fitted to the mean of these seeds' probabilities, which is what is served.

    Args:
        folder: of the contender's chosen candidate.

    Raises:
        UserError: there is no such kind, or the folder has no scores of validation rows, or damaged ones.
    """
    check_kind(kind)
    found = {}
    for task, chances, labels, weights in _by_task(folder, VALIDATION_SCORES, scenario, tasks, seeds):
        lacks = too_few(labels)
        if not (np.isfinite(chances.log_p).all() and np.isfinite(chances.log_q).all()):
            lacks = "scores that are no numbers"
        calibration = None if lacks else calibrate(kind, chances, labels, weights)
        found[task] = Fitted(len(labels), int((labels > 0.5).sum()), calibration, lacks)
    return found


def on_test_rows(folder: Path, scenario: str, fitted: Mapping[str, Fitted], seeds: Sequence[int]) -> Iterator[Line]:
    """What the maps do to the scenario's test rows; errors as `fit`."""
    for task, chances, labels, weights in _by_task(folder, SCORES, scenario, list(fitted), seeds):
        calibration = fitted[task].calibration
        before = Reliability.of(chances.logits, labels, weights)
        after = Reliability.of(calibration.logits(chances), labels, weights) if calibration else before
        yield Line(scenario, task, fitted=fitted[task], before=before, after=after)


def record(kind: str, contender: str, seed: int | None, lines: Sequence[Line]) -> dict[str, Any]:
    """What calibration.json holds."""
    return {
        "kind": kind,
        "contender": contender,
        "seed": seed,
        "fitted_on": ROWS,
        "lines": [line.as_dict() for line in lines],
    }


def read_calibration(run: Path) -> dict[str, Any] | None:
    """What the last `calibrate` wrote, or None.

    Raises:
        UserError: it is damaged.
    """
    path = run / CALIBRATION
    if not path.exists():
        return None
    found = read_json(path)
    if not isinstance(found, dict) or not {"kind", "contender", "seed", "lines"} <= found.keys():
        raise UserError(f"{path} is damaged, or from another version; write it again: msmtrec calibrate {run}")
    return found


def _by_task(
    folder: Path, name: str, scenario: str, tasks: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[str, Chances, NDArray[np.float32], NDArray[np.float64] | None]]:
    """(task, probabilities, labels, weights) of the scenario's labelled rows in one of the two files of scores.

    Rows of weight 0 are left out; weights are None where all rows count alike.

    Raises:
        UserError: a file is absent or damaged.
    """
    held = folder / VALIDATION_SCORES
    if not held.exists():
        raise UserError(
            f"{folder} has no {VALIDATION_SCORES}, as runs of earlier versions have none, so that it cannot be"
            " calibrated; train again into a new --out"
        )
    (names,) = arrays(held, ["tasks"])
    labels, *logits = arrays(folder / name, [f"{scenario}/labels", *(f"{scenario}/{seed}" for seed in seeds)])
    weights = array_if_there(folder / name, f"{scenario}/weights")
    for task in tasks:
        column = names.tolist().index(task)
        own = task_weights(weights, column)
        known = counting(labels[:, column], own)
        chances = Chances.of([one[known, column] for one in logits])
        yield task, chances, labels[known, column], None if own is None else own[known]


def arrays(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Of a file of scores.

    Raises:
        UserError: it is missing or damaged.
    """
    with _opened(path) as file:
        return [file[name] for name in names]


def array_if_there(path: Path, name: str) -> NDArray[Any] | None:
    """As `arrays`; None where the file has none of that name."""
    with _opened(path) as file:
        found: NDArray[Any] | None = file.get(name)
        return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with np.load(path) as file:
            yield file
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(f"{path} is missing or damaged; bring it back, or train again") from error
