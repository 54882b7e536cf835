"""A finished run, opened for use: which models it has, and which of them are meant.

Its table is read without torch, scipy and pydantic, which only its models need: methods that want these import them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import Caution, UserError, nearest
from msmtrec.base.yaml import read_yaml
from msmtrec.record.directory import (
    CALIBRATION,
    CANDIDATES,
    CONFIG,
    RESULTS,
    SCORES,
    VALIDATION,
    VALIDATION_SCORES,
    check_finished,
    contender_folder,
    encoder_folder,
    model_file,
    read_json,
    write_json,
    writing,
)
from msmtrec.record.results import Results
from msmtrec.record.summary import Finished

if TYPE_CHECKING:
    from msmtrec.record.calibration import Fitted, Line
    from msmtrec.serving.predictor import Predictor


class Run:
    """A finished run: its table, and its models at work, for which neither logs nor cache are needed.

    `run["NL"]` predicts for a scenario with the models of `best`, the mean over seeds.

    Args:
        results: where they are known already.

    Raises:
        UserError: the folder holds no finished run.
    """

    def __init__(self, folder: Path | str, results: Results | None = None) -> None:
        self.folder = Path(folder)
        if not (self.folder / RESULTS).exists():
            check_finished(self.folder)
        self.results = results or Results.from_dict(read_json(self.folder / RESULTS))

    @property
    def contenders(self) -> tuple[str, ...]:
        """The columns of the result table."""
        return tuple(self.results.cells)

    @cached_property
    def expected(self) -> Mapping[str, Any] | None:
        """Figures of others, as its config has them."""
        found: Mapping[str, Any] | None = read_yaml(self.folder / CONFIG).get("expected")
        return found

    @cached_property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Scenario -> the tasks it has, in table order."""
        found: dict[str, tuple[str, ...]] = {}
        for scenario, task in self.results.lines:
            if task:
                found[scenario] = (*found.get(scenario, ()), task)
        return found

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    @cached_property
    def best(self) -> str:
        """The contender with the best mean validation AUC over scenarios and seeds; pooled ones stand aside."""
        from msmtrec.methods import METHODS

        settings = read_json(self.folder / CANDIDATES)
        known = {name: next(iter(settings[name].values()))["method"] for name in self.contenders}
        apart = [name for name, method in known.items() if method not in METHODS or not METHODS[method].pooled]
        return max(apart or self.contenders, key=lambda name: Finished(self._folder(name)).validation_auc)

    def _folder(self, contender: str) -> Path:
        return contender_folder(self.folder, contender, self.results.chosen.get(contender, ""))

    def seeds(self, contender: str) -> tuple[int, ...]:
        return tuple(sorted({int(entry["seed"]) for entry in read_json(self._folder(contender) / VALIDATION)}))

    def __getitem__(self, scenario: str) -> Predictor:
        return self.predictor(scenario)

    def predictor(
        self,
        scenario: str,
        *,
        contender: str | None = None,
        seed: int | None = None,
        calibration: str | None = None,
        caution: Callable[[str], None] = lambda text: warnings.warn(text, Caution, stacklevel=3),
    ) -> Predictor:
        """One scenario's models.

        Args:
            contender: a column of the result table; None takes `best`.
            seed: None takes all seeds and the mean of their probabilities.
            calibration: `platt`, `isotonic` or `beta`: a map per task, fitted here on the scenario's validation rows.
            caution: takes a sentence about each task that has too few of them and stays as it is.

        Raises:
            UserError: the run has no such scenario, contender or seed, or a file is missing or damaged; there is no
                such calibration, or the run is of a version that kept no scores of validation rows.
        """
        from msmtrec.record.calibration import fit
        from msmtrec.record.models import load_model
        from msmtrec.serving.predictor import Predictor
        from msmtrec.serving.scoring import kept_encoder, served

        self._check(scenario)
        name, seeds = self._chosen(contender, seed)
        folder = self._folder(name)
        fitted = fit(calibration, folder, scenario, self.tasks[scenario], seeds) if calibration else {}
        for task, one in fitted.items():
            if one.calibration is None:
                caution(one.sentence(scenario, task))
        kept = {n: load_model(model_file(folder, scenario, n)) for n in seeds}
        encoder = kept_encoder(self.folder, next(iter(kept.values()))[1])  # of all seeds
        models = {n: served(card, held, encoder.layout) for n, (held, card) in kept.items()}
        return Predictor(
            scenario, name, self.tasks[scenario], encoder, models=models, calibration=calibration, fitted=fitted
        )

    def files(
        self, scenario: str, *, contender: str | None = None, seed: int | None = None, calibration: str | None = None
    ) -> tuple[Path, ...]:
        """What that predictor is made of, models before the encoder; errors as `predictor`."""
        from msmtrec.record.models import load_model

        self._check(scenario)
        name, seeds = self._chosen(contender, seed)
        models = [model_file(self._folder(name), scenario, n) for n in seeds]
        _, card = load_model(models[0])
        encoder = encoder_folder(self.folder, card.variant, card.table)
        fitted_on = (self._folder(name) / VALIDATION_SCORES,) if calibration else ()
        return (*models, *sorted(path for path in encoder.rglob("*") if path.is_file()), *fitted_on)

    def _check(self, scenario: str) -> None:
        if scenario not in self.tasks:
            raise UserError(f"{self.folder} has no scenario '{scenario}'; {nearest(scenario, self.tasks)}")

    def tested(
        self, scenario: str, fitted: Mapping[str, Fitted], *, contender: str | None = None, seed: int | None = None
    ) -> list[Line]:
        """What a predictor's maps do to the test rows; errors as `predictor`."""
        from msmtrec.record.calibration import on_test_rows

        name, seeds = self._chosen(contender, seed)
        return list(on_test_rows(self._folder(name), scenario, fitted, seeds))

    def test_labels(self, predictor: Predictor) -> NDArray[np.float32]:
        """[N, tasks] of the predictor's test rows, in the order of the log.

        Raises:
            UserError: the file of scores is missing or damaged.
        """
        from msmtrec.record.calibration import arrays

        layout = predictor.encoder.layout
        (labels,) = arrays(self._folder(predictor.contender) / SCORES, [f"{predictor.scenario}/labels"])
        return labels[:, [layout.tasks.index(task) for task in predictor.tasks]]

    def calibrate(self, kind: str, *, contender: str | None = None, seed: int | None = None) -> list[Line]:
        """Fit every scenario and task, and write what it does to the test rows to calibration.json, for the report.

        Args:
            kind: `platt`, `isotonic` or `beta`.

        Raises:
            UserError: as `predictor`; the file cannot be written.
        """
        from msmtrec.record.calibration import fit, on_test_rows, record

        name, seeds = self._chosen(contender, seed)
        folder = self._folder(name)
        lines: list[Line] = []
        for scenario, tasks in self.tasks.items():
            lines += on_test_rows(folder, scenario, fit(kind, folder, scenario, tasks, seeds), seeds)
        with writing(self.folder, "free space, then try again"):
            write_json(self.folder / CALIBRATION, record(kind, name, seed, lines))
        return lines

    def _chosen(self, contender: str | None, seed: int | None) -> tuple[str, tuple[int, ...]]:
        """(contender, seeds) that are meant."""
        name = contender or self.best
        if name not in self.contenders:
            raise UserError(f"{self.folder} has no contender '{name}'; {nearest(name, self.contenders)}")
        seeds = self.seeds(name)
        if seed is not None and seed not in seeds:
            raise UserError(f"contender '{name}' has no seed {seed}; it has {', '.join(map(str, seeds))}")
        return name, seeds if seed is None else (seed,)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, scenarios={self.scenarios}, contenders={self.contenders})"
