"""Several finished runs on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import read_yaml
from msmtrec.record import directory
from msmtrec.record.results import Pair, Results
from msmtrec.record.summary import Finished, summarise, task_order

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OneRun:
    """One of them.

    Args:
        name: of its folder, and as much of the path before it as tells it from the others.
        config: as config.yaml has it.
        data: as data.json has it.
    """

    name: str
    folder: Path
    results: Results
    config: Mapping[str, Any]
    _: KW_ONLY
    data: Mapping[str, Any]

    def place(self, contender: str) -> Path:
        """Folder of a contender's chosen candidate."""
        return directory.contender_folder(self.folder, contender, self.results.chosen.get(contender, ""))

    def validation(self, contender: str) -> float:
        """Mean AUC over scenarios and seeds, each at its best round."""
        return Finished(self.place(contender)).validation_auc


@dataclass(frozen=True)
class Several:
    """Runs that were trained and tested on the same rows."""

    runs: Sequence[OneRun]

    @cached_property
    def counted(self) -> list[int]:
        """Lines that the mean of every run counts: all have an AUC there, of every contender and seed."""
        first = self.runs[0].results
        return [n for n in range(len(first.lines) - 1) if all(run.results.counted[n] for run in self.runs)]

    @property
    def same_training(self) -> bool:
        """Whether fingerprints say so; runs that encoded their rows in other ways (data.json) have none in common."""
        return all(set(run.data) & set(self.runs[0].data) for run in self.runs)

    @property
    def contenders(self) -> list[str]:
        """Of all runs, in order of appearance."""
        return list(dict.fromkeys(name for run in self.runs for name in run.results.cells))

    def per_seed(self, run: OneRun, contender: str) -> Array:
        """[S] mean test AUC over the counted lines, NaN where there is none."""
        cells = run.results.cells[contender]
        if not self.counted:
            return np.full(len(cells[0].auc), np.nan)
        return np.asarray(np.array([cells[n].auc for n in self.counted], float).mean(0))

    def columns(self) -> list[tuple[str, OneRun]]:
        """(contender, run), every contender of every run."""
        return [
            (contender, run) for contender in self.contenders for run in self.runs if contender in run.results.cells
        ]

    def table(self, columns: Sequence[tuple[str, OneRun]]) -> Array:
        """[counted lines, columns] mean test AUC over seeds."""
        return np.array([[run.results.cells[name][n].mean for name, run in columns] for n in self.counted], float)

    def against_first(self, contender: str) -> dict[str, Pair]:
        """Run -> the contender there minus the same contender in the first run that has it, on the mean line.

        With one interval from seeds and users together, as inside a run; not corrected. Empty where one run has it.

        Raises:
            UserError: the runs were not tested on the same rows.
        """
        runs = [run for run in self.runs if contender in run.results.cells]
        if len(runs) < 2:
            return {}
        finished = {run.name: Finished(run.place(contender)) for run in runs}
        found = summarise(contender, finished, task_order(runs[0].folder, runs[0].results), unit=runs[0].results.unit)
        pairs = {run.name: found.pair(run.name, runs[0].name) for run in runs[1:]}
        return {name: pair for name, pair in pairs.items() if pair is not None}

    def settings(self) -> list[tuple[str, list[Any]]]:
        """(key, its value in every run) of what differs in the configs, beside the name."""
        first = self.runs[0].config
        found: dict[str, list[Any]] = {}
        for n, run in enumerate(self.runs[1:], 1):
            for key, one, two in directory.differences(first, run.config):
                if key != "name":
                    found.setdefault(key, [one] * len(self.runs))[n] = two
        return list(found.items())


def read_several(folders: Sequence[Path]) -> Several:
    """Finished runs on the same rows.

    Raises:
        UserError: one is no finished run, is named twice, or was trained or tested on other rows than the first.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("a run is named twice; name every run once")
    runs = []
    for name, folder in zip(_names(folders), folders, strict=True):
        directory.check_finished(folder)
        results = Results.from_dict(directory.read_json(folder / directory.RESULTS))
        config, data = read_yaml(folder / directory.CONFIG), directory.read_json(folder / directory.DATA)
        runs.append(OneRun(name, folder, results, config, data=data))
    first = runs[0]
    rows = _test_rows(first)
    for run in runs[1:]:
        if why := next(_other_rows(first, run), None) or _other_tests(rows, _test_rows(run)):
            raise UserError(
                f"{run.folder} and {first.folder} are on different rows ({why}); only runs on the same rows can stand"
                " side by side"
            )
    return Several(runs)


def _other_rows(first: OneRun, run: OneRun) -> Iterator[str]:
    """Why the encoded data are not the same."""
    for variant, found in run.data.items():
        if variant in first.data and found["fingerprint"] != first.data[variant]["fingerprint"]:
            one, two = (raw["fingerprint"][:12] for raw in (found, first.data[variant]))
            yield f"fingerprints of the {variant} data: {one} and {two}; other rows, splits or features"
    if run.results.lines != first.results.lines:
        yield "their tables have other scenarios and tasks"
    if run.results.support != first.results.support:
        yield "their test rows are counted differently"


def _other_tests(first: Mapping[str, str], found: Mapping[str, str]) -> str:
    different = [name for name in {**first, **found} if first.get(name) != found.get(name)]
    return f"test rows of scenario '{different[0]}'" if different else ""


def _test_rows(run: OneRun) -> dict[str, str]:
    """scenario -> digest of labels, users and weights of its test rows, in order"""
    path = run.place(next(iter(run.results.cells))) / "scores.npz"
    try:
        with np.load(path) as file:
            found = {}
            for name in dict.fromkeys(scenario for scenario, _ in run.results.lines[:-1]):
                weights = [f"{name}/weights"] if f"{name}/weights" in file else []
                parts = [file[what].tobytes() for what in (f"{name}/labels", f"{name}/group", *weights)]
                found[name] = sha256(b"".join(parts)).hexdigest()
            return found
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(f"{path} is missing or damaged; is its folder a finished run?") from error


def _names(folders: Sequence[Path]) -> list[str]:
    """Of folders, with the folder before where two have the same."""
    parts = [folder.resolve().parts for folder in folders]
    count = 1
    while len({part[-count:] for part in parts}) < len(parts):
        count += 1
    return ["/".join(part[-count:]) for part in parts]
