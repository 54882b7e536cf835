"""A run directory as the report needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.record import directory
from msmtrec.record.results import Results

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ContenderRecord:
    """What one contender's chosen candidate wrote down.

    Args:
        metrics, rounds: JSON lines; chosen: the best round per seed and scenario.
    """

    name: str
    metrics: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    chosen: list[dict[str, Any]]

    def curve(self, scenario: str, task: str, stages: tuple[str, ...] = ("after", "fine-tune")) -> tuple[Array, Array]:
        """(rounds, mean validation AUC over seeds); a seed that has ended keeps its last value"""
        found: dict[int, dict[int, float]] = {}
        for m in self.metrics:
            if m["scenario"] == scenario and m["task"] == task and m["stage"] in stages and m["auc"] is not None:
                found.setdefault(m["seed"], {})[m["round"]] = m["auc"]
        return mean_of_seeds(found)

    def chosen_round(self, scenario: str) -> float:
        """Median over seeds."""
        return float(np.median([c["round"] for c in self.chosen if c["scenario"] == scenario]))

    def diagnostics(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(round, diagnostics) of every round and seed."""
        for record in self.rounds:
            for found in record["diagnostics"].values():
                yield record["round"], found


@dataclass(frozen=True)
class RunRecord:
    """A whole run."""

    results: Results
    contenders: dict[str, ContenderRecord]
    environment: dict[str, Any]
    data: dict[str, Any]
    config_text: str

    @property
    def scenarios(self) -> list[str]:
        return list(dict.fromkeys(scenario for scenario, _ in self.results.lines[:-1]))

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for _, task in self.results.lines[:-1]))


def read_run(folder: Path) -> RunRecord:
    """Raises:
    UserError: the folder is no finished run.
    """
    results = Results.from_dict(directory.read_json(folder / directory.RESULTS))
    contenders = {}
    for name in results.cells:
        place = directory.contender_folder(folder, name, results.chosen.get(name, ""))
        contenders[name] = ContenderRecord(
            name,
            directory.read_lines(place / "metrics.jsonl"),
            directory.read_lines(place / "rounds.jsonl"),
            directory.read_json(place / "validation.json"),
        )
    return RunRecord(
        results,
        contenders,
        directory.read_json(folder / directory.ENVIRONMENT),
        directory.read_json(folder / directory.DATA),
        (folder / directory.CONFIG).read_text(),
    )


def mean_of_seeds(found: Mapping[int, Mapping[int, float]]) -> tuple[Array, Array]:
    """(rounds, mean over seeds) of seed -> round -> value, each seed's last value carried on after its end."""
    rounds = sorted({number for values in found.values() for number in values})
    table = np.full((len(found), len(rounds)), np.nan)
    for line, values in zip(table, found.values(), strict=True):
        for n, number in enumerate(rounds):
            line[n] = values.get(number, line[n - 1] if n else np.nan)
    known = ~np.isnan(table)
    return np.array(rounds, float), np.where(known, table, 0).sum(0) / np.maximum(known.sum(0), 1)


def conflicts(contender: ContenderRecord, scenarios: list[str]) -> Array | None:
    """[N, N] mean cosine between the scenarios' expert updates over rounds and seeds; None without such figures."""
    total, count = (np.zeros((len(scenarios), len(scenarios))) for _ in range(2))
    for _, found in contender.diagnostics():
        if "cosine" in found:
            at = np.ix_(*[[scenarios.index(s) for s in found["scenarios"]]] * 2)
            total[at] += found["cosine"]
            count[at] += 1
    if not count.any():
        return None
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def listening(contender: ContenderRecord, scenarios: list[str]) -> Array | None:
    """[N, N] how much of scenario m's expert update is in what scenario n holds after the round, rounds' mean.

    held-out: (1 - beta_n) [n = m] + beta_n u_m; hyper: [n = m] + alpha_n u_m; uniform: u_m; u are the coefficients of
    the coordinated update.
    """
    total, count = (np.zeros((len(scenarios), len(scenarios))) for _ in range(2))
    for _, found in contender.diagnostics():
        if "coefficients" not in found:
            continue
        names = found["scenarios"]
        common, own = np.array(found["coefficients"]), np.eye(len(names))
        if "beta/experts" in found:
            beta = np.array([found["beta/experts"][n][0] for n in names])[:, None]
            matrix = (1 - beta) * own + beta * common
        elif found.get("alpha/experts"):
            alpha = np.array([np.mean(found["alpha/experts"][n]) for n in names])[:, None]
            matrix = own + alpha * common
        else:
            matrix = np.tile(common, (len(names), 1))
        at = np.ix_(*[[scenarios.index(s) for s in names]] * 2)
        total[at] += matrix
        count[at] += 1
    if not count.any():
        return None
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def personalisation(contender: ContenderRecord, scenarios: list[str]) -> tuple[str, Array, Array] | None:
    """(beta or alpha, rounds [R], values [N, R]): how much each scenario takes of the common part, mean over seeds."""
    for symbol, key in (("β", "beta/experts"), ("α", "alpha/experts")):
        found: dict[str, dict[int, dict[int, float]]] = {scenario: {} for scenario in scenarios}
        for record in contender.rounds:
            for seed, diagnostics in record["diagnostics"].items():
                for scenario, values in (diagnostics.get(key) or {}).items():
                    found[scenario].setdefault(seed, {})[record["round"]] = float(np.mean(values))
        rounds = sorted({r for seeds in found.values() for values in seeds.values() for r in values})
        if rounds:
            table = np.full((len(scenarios), len(rounds)), np.nan)
            for line, seeds in zip(table, found.values(), strict=True):
                known, values = mean_of_seeds(seeds)
                line[np.searchsorted(rounds, known)] = values
            return symbol, np.array(rounds, float), table
    return None
