"""A run directory as the report needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.aggregation.summaries import largest
from msmtrec.base.errors import UserError
from msmtrec.base.yaml import read_yaml
from msmtrec.record import directory
from msmtrec.record.ablation import Variant, variants
from msmtrec.record.calibration import read_calibration
from msmtrec.record.columns import AS_IT_WAS, FINE_TUNED
from msmtrec.record.results import Results
from msmtrec.record.rounds import Federation, Round, read_rounds, seconds_of

Array = NDArray[np.float64]
METRICS = {
    "round": pl.Int64,
    "stage": pl.String,
    "seed": pl.Int64,
    "scenario": pl.String,
    "task": pl.String,
    "auc": pl.Float64,
    "rows": pl.Int64,
    "positives": pl.Int64,
}
"""What is kept of a line of metrics.jsonl."""
NEEDED = ("round", "stage", "seed", "scenario", "task")


@dataclass(frozen=True)
class ContenderRecord:
    """What one contender's chosen candidate wrote down.

    Args:
        metrics: columns as in `METRICS`, a line per round, stage, seed, scenario and task.
        chosen: the best round per seed and scenario.
        candidate: its name; "" where nothing was tuned.
        candidates: name -> settings of all candidates, as candidates.json has them.
        candidate_seconds: name -> seconds of all its rounds, for the candidates whose folders are there.
    """

    name: str
    metrics: pl.DataFrame
    rounds: list[Round]
    chosen: list[dict[str, Any]]
    _: KW_ONLY
    candidate: str = ""
    candidates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    candidate_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The chosen candidate's; empty where config.yaml does not know it."""
        return self.candidates.get(self.candidate, {})

    def curve(
        self, scenarios: str | Collection[str], task: str, stages: tuple[str, ...] = ("after", "fine-tune")
    ) -> tuple[Array, Array]:
        """(rounds, mean validation AUC over scenarios and seeds); who has ended keeps the last value."""
        wanted = [scenarios] if isinstance(scenarios, str) else list(scenarios)
        kept = self.metrics.filter(
            pl.col("scenario").is_in(wanted),
            pl.col("task") == task,
            pl.col("stage").is_in(stages),
            pl.col("auc").is_not_null(),
        )
        lines = kept.select(pl.struct("scenario", "seed").rank("dense")).to_series().to_numpy().astype(int) - 1
        rounds, places = np.unique(kept["round"].to_numpy(), return_inverse=True)
        table = np.full((int(lines.max(initial=-1)) + 1, len(rounds)), np.nan)
        table[lines, places] = kept["auc"].to_numpy()
        return rounds.astype(float), mean_carried_on(table)

    def at_choice(self, scenario: str, task: str) -> tuple[float, float] | None:
        """(median chosen round, validation AUC there), over seeds, each at its own round; None where there is none.

        The AUC is that of the models that are tested. It need not lie on the mean curve: seeds choose different rounds.
        """
        seeds = {c["seed"]: c["round"] for c in self.chosen if c["scenario"] == scenario}
        kept = self.metrics.filter(
            pl.col("scenario") == scenario,
            pl.col("task") == task,
            pl.col("stage") != "before",
            pl.col("auc").is_not_null(),
            pl.any_horizontal(
                pl.lit(value=False),
                *((pl.col("seed") == seed) & (pl.col("round") == number) for seed, number in seeds.items()),
            ),
        )
        if kept.is_empty():
            return None
        return float(np.median(kept["round"].to_numpy())), float(kept["auc"].to_numpy().mean())

    @cached_property
    def federations(self) -> list[Federation]:
        """Of all rounds and seeds."""
        return [federation for one in self.rounds for federation in one.federations]


@dataclass(frozen=True)
class RunRecord:
    """A whole run.

    Args:
        sizes: scenario -> training rows, in table order; validation rows where every contender is pooled.
        calibration: what calibration.json holds; None where nothing was calibrated.
        ablation: the lines of an ablation's table; empty where the run is none.
        expected: figures of others, as the config has them; None where it has none.
    """

    results: Results
    contenders: dict[str, ContenderRecord]
    environment: dict[str, Any]
    data: dict[str, Any]
    _: KW_ONLY
    config_text: str
    sizes: Mapping[str, int]
    calibration: Mapping[str, Any] | None = None
    ablation: Sequence[Variant] = ()
    expected: Mapping[str, Any] | None = None

    @property
    def scenarios(self) -> list[str]:
        return list(self.sizes)

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for _, task in self.results.lines[:-1]))

    def repeats(self, name: str) -> str | None:
        """The contender whose very rounds a fine-tuned column goes on from, and so repeats; None where it has its own.

        Each column chooses its own candidate: with another one the rounds are others. A column of models as they were
        has no rounds and stands with the contender that goes on from them.
        """
        if (start := name.removesuffix(AS_IT_WAS)) != name and start in self.contenders:
            return start
        base = self.contenders.get(name.removesuffix(FINE_TUNED))
        if base is None or base.name == name or base.candidate != self.contenders[name].candidate:
            return None
        return base.name

    def largest(self, count: int) -> list[str]:
        """The scenarios with the most rows, in table order; of equals the first."""
        names = self.scenarios
        return [names[n] for n in largest(list(self.sizes.values()), count)]


def read_run(folder: Path) -> RunRecord:
    """Everything the report needs.

    Raises:
        UserError: the folder is no finished run, or a file in it is damaged.
    """
    results = Results.from_dict(directory.read_json(folder / directory.RESULTS))
    data = directory.read_json(folder / directory.DATA)
    text, candidates = _text(folder / directory.CONFIG), directory.read_json(folder / directory.CANDIDATES)
    names = list(dict.fromkeys(scenario for scenario, _ in results.lines[:-1]))
    sizes = _training_rows(data, names)
    contenders = {}
    for name in results.cells:
        chosen = results.chosen.get(name, "")
        place = directory.contender_folder(folder, name, chosen)
        rounds = read_rounds(place / "rounds.jsonl", sizes)
        others = {c: directory.contender_folder(folder, name, c) / "rounds.jsonl" for c in candidates.get(name, {})}
        seconds = {c: seconds_of(path) for c, path in others.items() if c != chosen and path.exists()}
        contenders[name] = ContenderRecord(
            name,
            read_metrics(place / "metrics.jsonl"),
            rounds,
            directory.read_json(place / "validation.json"),
            candidate=chosen,
            candidates=candidates.get(name, {}),
            candidate_seconds=seconds | {chosen: sum(sum(one.seconds.values()) for one in rounds)},
        )
    if not any(sizes.values()):
        sizes |= _validation_rows(next(iter(contenders.values())).metrics, sizes)
    return RunRecord(
        results,
        contenders,
        directory.read_json(folder / directory.ENVIRONMENT),
        data,
        config_text=text,
        sizes=sizes,
        calibration=read_calibration(folder),
        ablation=variants(folder, results) if results.ablation else (),
        expected=read_yaml(folder / directory.CONFIG).get("expected"),
    )


def read_metrics(path: Path) -> pl.DataFrame:
    """metrics.jsonl with the columns of `METRICS`, names as categories; an absent file has no line.

    Raises:
        UserError: damaged, or of another version.
    """
    if not path.exists():
        return metric_table([])
    names = pl.col("stage", "scenario", "task").cast(pl.Categorical)
    try:
        table = pl.scan_ndjson(path, schema=METRICS).with_columns(names).collect()
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    for name in NEEDED:
        if table[name].null_count():
            raise UserError(f"{path} is from another version or damaged: a line has no '{name}'")
    return table


def metric_table(records: list[dict[str, Any]]) -> pl.DataFrame:
    """Records of metrics.jsonl as `read_metrics` gives them."""
    table = pl.DataFrame(records, schema=METRICS)
    return table.with_columns(pl.col("stage", "scenario", "task").cast(pl.Categorical))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged; is its folder a finished run?") from error


def _training_rows(data: Mapping[str, Any], names: list[str]) -> dict[str, int]:
    """scenario -> training rows; 0 where the rows of all scenarios were pooled."""
    own: Mapping[str, Any] = next((variant["scenarios"] for way, variant in data.items() if way != "pooled"), {})
    return {name: own[name]["rows"]["train"] if name in own else 0 for name in names}


def _validation_rows(metrics: pl.DataFrame, sizes: Mapping[str, int]) -> dict[str, int]:
    found = metrics.group_by("scenario").agg(pl.col("rows").max())
    return {name: rows or 0 for name, rows in found.iter_rows() if name in sizes}


def mean_of_seeds(found: Mapping[int, Mapping[int, float]]) -> tuple[Array, Array]:
    """(rounds, mean over seeds) of seed -> round -> value, each seed's last value carried on after its end."""
    rounds = sorted({number for values in found.values() for number in values})
    table = np.array([[values.get(number, np.nan) for number in rounds] for values in found.values()], float)
    return np.array(rounds, float), mean_carried_on(table.reshape(len(found), len(rounds)))


def mean_carried_on(table: Array) -> Array:
    """[L, R] -> [R]: mean over lines, in each the last value carried on; a line that has not begun is not counted."""
    known = ~np.isnan(table)
    last = np.maximum.accumulate(np.where(known, np.arange(table.shape[1]), -1), axis=1)
    filled = np.where(last >= 0, np.take_along_axis(table, np.maximum(last, 0), 1), 0.0)
    mean: Array = filled.sum(0) / np.maximum((last >= 0).sum(0), 1)
    return mean
