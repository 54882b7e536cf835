"""Logs whose negatives were sampled down: from what a network learns of them to the rates of all rows.

Of the rows with label 0 of task s the share r was kept at random, of the others all. A network that was trained on what
was kept says q, the rate there. In truth each row with label 0 stands for 1/r rows, so that for every row kept there
are Z = q_s + (1 - q_s) / r rows like it, and a task t whose positives lie within those of s has the rate q_t / Z. Of s
itself that is logit(q_s) + ln r (King and Zeng, Political Analysis 2001, section 4, "prior correction").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from msmtrec.base.schema import Schema


@dataclass(frozen=True)
class Sampled:
    """What was sampled.

    Args:
        kept: [T] share of the negatives that were kept of the task that decided.
        by: [T] number of the task whose label decided which rows were kept: the task itself, or one that it lies
            within; None where no row of the task was left out.
    """

    kept: tuple[float, ...]
    by: tuple[int | None, ...]

    @classmethod
    def of(cls, schema: Schema) -> Sampled | None:
        """None where nothing was sampled; of a fitted encoder's schema, which knows which tasks are `conditional`."""
        found = [None if task.conditional else schema.sampled_by(task) for task in schema.tasks]
        if not any(found):
            return None
        numbers = [None if task is None else schema.task_names.index(task.name) for task in found]
        return cls(tuple(1.0 if task is None else task.negatives_kept for task in found), tuple(numbers))

    def corrected(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, T] logits of the kept rows -> of all rows."""
        found = logits.copy()
        for task, (kept, by) in enumerate(zip(self.kept, self.by, strict=True)):
            if by == task:
                found[:, task] += np.log(kept)
            elif by is not None:
                left_out = np.log(1 / kept - 1) + log_expit(-logits[:, by])
                against = np.logaddexp(log_expit(-logits[:, task]), left_out)
                found[:, task] = log_expit(logits[:, task]) - against
        return found

    def weights(self, labels: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[N, T] how many rows each stands for, given its labels [N, T]: 1, or 1/r where the one that decided is 0."""
        found = np.ones(labels.shape)
        for task, (kept, by) in enumerate(zip(self.kept, self.by, strict=True)):
            if by is not None:
                found[labels[:, by] == 0, task] = 1 / kept
        return found


def row_weights(
    weight: NDArray[np.floating[Any]] | None, labels: NDArray[np.floating[Any]], sampled: Sampled | None
) -> NDArray[np.float64] | None:
    """How much rows count in figures of all rows: [N] of their own weights, [N, T] with those of sampling, or None."""
    own = None if weight is None else weight.astype(np.float64)
    if sampled is None:
        return own
    return sampled.weights(labels) * (1.0 if own is None else own[:, None])
