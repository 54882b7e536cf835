"""A scikit-learn classifier of tables with a scenario column: fit is a run, predict its models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

if find_spec("sklearn") is None:
    raise ImportError("ScenarioClassifier needs scikit-learn: pip install 'msmtrec[sklearn]'")

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from msmtrec.base.errors import UserError, nearest
from msmtrec.evaluation.metrics import auc
from msmtrec.experiment.estimator_table import Labels, Plan, Refused, drawn_split, free, table_of
from msmtrec.experiment.run import run
from msmtrec.methods import METHODS


class ScenarioClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One model for each scenario of a table, trained as a federation: as `msmtrec.run` does, and through it.

    X is a pandas or polars table, or a matrix of numbers. Numbers are numeric features, texts, truth values and
    categories are ids, lists have several values; `features` says otherwise. y is one label of two classes, or
    [N, T] 0, 1 or NaN for T tasks (a table names them); a scenario lacks a task that it has no label of.

    Args:
        method: a federated method, such as `fedavg`, or `local`. With one scenario `local` is trained: there is nobody
            to learn from. `pf-msmtrec` shares embeddings where `features` declares shared fields.
        scenario: name or place of the column that names the scenario; None has one scenario, `all`.
        features: column -> settings as in the YAML of own logs ({"user": {}} makes numbers ids); the others as above.
        group: name or place of the column of the user or session.
        options: of the method.
        rounds, local_steps, batch_size, learning_rate: of the training; no `local_steps` means one pass a round.
        seeds: models a scenario, whose mean probability is given out.
        validation: share of each scenario's rows that chooses the round, or name or place of a column that says train,
            validation or test. One more row of each scenario is kept from training, because a run has test rows.
        calibration: `platt`, `isotonic` or `beta`, fitted on the validation rows.
        settings: everything else that a config has: {"model": {…}, "train": {…}}.
        folder: run directory, kept without the rows; None has none.
        random_state: draws the split and the seeds.

    Attributes:
        classes_: the two classes; of several tasks a list of them.
        tasks_: names of the tasks.
        predictors_: scenario -> its `Predictor`.
        results_: the run's result table.
        cautions_: what the run said of its settings.
    """

    def __init__(
        self,
        method: str = "pf-msmtrec",
        *,
        scenario: str | int | None = None,
        features: Mapping[str | int, Mapping[str, Any] | None] | None = None,
        group: str | int | None = None,
        options: Mapping[str, Any] | None = None,
        rounds: int = 20,
        local_steps: int | None = None,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        seeds: int = 1,
        validation: float | str | int = 0.2,
        calibration: str | None = None,
        settings: Mapping[str, Any] | None = None,
        folder: str | Path | None = None,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.scenario = scenario
        self.features = features
        self.group = group
        self.options = options
        self.rounds = rounds
        self.local_steps = local_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seeds = seeds
        self.validation = validation
        self.calibration = calibration
        self.settings = settings
        self.folder = folder
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def fit(self, X: Any, y: Any) -> ScenarioClassifier:
        """Train.

        Raises:
            ValueError: the table or the labels do not fit, or as `msmtrec.run` (it is a `UserError` too).
        """
        frame = self._table(X, reset=True)
        labels = self._labels(y, frame.height)
        random = check_random_state(self.random_state)
        column = None if isinstance(self.validation, float) else self.validation
        if column is None and not 0 < float(self.validation) < 1:
            raise Refused(f"validation is {self.validation}; give a share between 0 and 1, or a column")
        plan = Plan.of(frame, self.scenario, self.group, column, features=self.features)
        scenarios, taken = plan.scenarios(frame), [*plan.features, *([plan.group] if plan.group else [])]
        split = (
            drawn_split(scenarios, labels.values, float(self.validation), random)
            if plan.split is None
            else frame[plan.split]
        )
        added = {f"label {name}": pl.Series(labels.values[:, t]).fill_nan(None) for t, name in enumerate(labels.names)}
        added |= {"split": split, "scenario": scenarios}
        names = {name: free(name, taken) for name in added}
        rows = frame.select(*dict.fromkeys(taken), *(found.alias(names[name]) for name, found in added.items()))
        first = int(random.randint(2**31 - 1 - self.seeds))
        try:
            self._run(rows, plan, self._data(plan, labels.tasks(scenarios.to_list()), names), first)
        except UserError as error:
            raise Refused(str(error)) from error
        self.plan_, self.tasks_, self.single_ = plan, labels.names, labels.single
        self.classes_ = labels.classes if labels.single else [np.array([0, 1]) for _ in labels.names]
        return self

    def _data(self, plan: Plan, tasks: Mapping[str, list[str]], names: Mapping[str, str]) -> dict[str, Any]:
        """The config's data, but for its file."""
        return {
            "source": "tabular",
            "scenario": names["scenario"],
            "tasks": {name: {"column": names[f"label {name}"], "scenarios": own} for name, own in tasks.items()},
            "features": plan.features,
            "split": {"column": names["split"]},
            "group": plan.group,
            "allow_one_class": True,
        }

    def _run(self, rows: pl.DataFrame, plan: Plan, data: dict[str, Any], first: int) -> None:
        cautions: list[str] = []
        with TemporaryDirectory() as place:
            path = Path(place) / "rows.parquet"
            rows.write_parquet(path)
            config = self._config(plan, alone=rows[data["scenario"]].n_unique() == 1)
            config |= {"data": {**data, "files": str(path)}, "seeds": list(range(first, first + self.seeds))}
            folder = Path(self.folder) if self.folder is not None else Path(place) / "run"
            finished = run(config, out=folder, cache=False, caution=cautions.append)
            self.predictors_ = {
                name: finished.predictor(
                    name, contender=finished.contenders[0], calibration=self.calibration, caution=cautions.append
                )
                for name in finished.scenarios
            }
            self.results_, self.cautions_ = finished.results, tuple(cautions)

    def _config(self, plan: Plan, *, alone: bool) -> dict[str, Any]:
        """All but data and seeds; with one scenario the method is `local`."""
        if self.method not in METHODS:
            raise Refused(f"there is no method '{self.method}'; {nearest(self.method, METHODS)}")
        options = dict(self.options or {})
        if self.method == "pf-msmtrec" and not any(found.get("shared") for found in plan.features.values()):
            options = {"embeddings": "local", **options}
        method = {"method": "local"} if alone else {"method": self.method, "options": options}
        settings = dict(self.settings or {})
        length = {"local_epochs": 1.0} if self.local_steps is None else {"local_steps": self.local_steps}
        train = {"rounds": self.rounds, "batch_size": self.batch_size, "learning_rate": self.learning_rate, **length}
        return {
            "name": "estimator",
            **settings,
            "train": {**train, **settings.get("train", {})},
            "methods": {method["method"]: method},
        }

    def predict_proba(self, X: Any) -> Any:
        """[N, 2] probabilities of the classes; of several tasks a list of them, NaN where a scenario lacks the task.

        Raises:
            ValueError: the table does not fit, or has a scenario that was not fitted.
        """
        found = self._probabilities(X)
        pairs = [np.stack([1 - p, p], 1) for p in found.T]
        return pairs[0] if self.single_ else pairs

    def predict(self, X: Any) -> NDArray[Any]:
        """[N] the likelier class; of several tasks [N, T] 0 or 1, 0 where a scenario lacks the task."""
        likely = self._probabilities(X) > 0.5
        return np.asarray(self.classes_[likely[:, 0].astype(int)] if self.single_ else likely.astype(int))

    def score(self, X: Any, y: Any) -> float:
        """Mean AUC over scenario × task, of those whose rows have both classes; NaN where none has."""
        found = self._probabilities(X)
        classes = self.classes_ if isinstance(self.classes_, np.ndarray) else None
        labels = self._labels(y, len(found), classes)
        names = self.plan_.scenarios(self._table(X)).to_numpy()
        areas = []
        for name in np.unique(names):
            for t in range(found.shape[1]):
                known = (names == name) & ~np.isnan(labels.values[:, t]) & ~np.isnan(found[:, t])
                areas.append(auc(found[known, t], labels.values[known, t]))
        there = [area for area in areas if not np.isnan(area)]
        return float(np.mean(there)) if there else float("nan")

    def _probabilities(self, X: Any) -> NDArray[np.float64]:
        """[N, T], NaN where a scenario lacks the task."""
        check_is_fitted(self)
        frame = self._table(X)
        scenarios = self.plan_.scenarios(frame)
        unknown = [name for name in scenarios.unique(maintain_order=True) if name not in self.predictors_]
        if unknown:
            raise Refused(
                f"scenario '{unknown[0]}' was not there when the model was fitted; it knows"
                f" {', '.join(self.predictors_)}"
            )
        found = np.full((frame.height, len(self.tasks_)), np.nan)
        for name in scenarios.unique(maintain_order=True):
            predictor, own = self.predictors_[name], (scenarios == name).to_numpy()
            try:
                scores = predictor.probabilities(frame.filter(pl.Series(own)))
            except UserError as error:
                raise Refused(str(error)) from error
            found[np.ix_(own, [self.tasks_.index(task) for task in predictor.tasks])] = scores
        return found

    def _table(self, X: Any, *, reset: bool = False) -> pl.DataFrame:
        columns = getattr(X, "columns", None)
        if columns is not None and all(isinstance(name, str) for name in columns):
            validate_data(self, X, reset=reset, skip_check_array=True)
            try:
                frame = table_of(X)
            except UserError as error:
                raise Refused(str(error)) from error
        else:
            frame = table_of(validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"))
        return frame

    def _labels(self, y: Any, rows: int, classes: NDArray[Any] | None = None) -> Labels:
        if y is None:
            raise Refused("ScenarioClassifier requires y to be passed, but the target y is None")
        values = np.asarray(y)
        if len(values) != rows:
            check_consistent_length(np.empty(rows), values)
        if values.ndim == 2 and values.shape[1] > 1:
            names = [str(name) for name in getattr(y, "columns", [f"y{t}" for t in range(values.shape[1])])]
            values = values.astype(np.float64)
            if not (np.isnan(values) | (values == 0) | (values == 1)).all():
                raise Refused("the labels of several tasks must be 0, 1 or NaN")
            return Labels(tuple(names), values, classes=np.array([0, 1]), single=False)
        flat = column_or_1d(values, warn=True)
        if classes is None:
            check_classification_targets(flat)
            classes = np.unique(flat)
            if len(classes) > 2:
                kind = type_of_target(flat)
                raise Refused(f"Only binary classification is supported. The type of the target is {kind}.")
            if len(classes) < 2:
                raise Refused(f"y has one class only ({classes[0]!r}); two are needed (n_samples={rows})")
        if not np.isin(flat, classes).all():
            raise Refused(f"y has other classes than {' and '.join(map(str, classes))}, which the model was fitted to")
        name = str(getattr(y, "name", None) or "y")
        ones = (flat == classes[1]).astype(np.float64)
        return Labels((name,), ones[:, None], classes=classes, single=True)
