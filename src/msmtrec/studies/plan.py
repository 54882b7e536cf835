"""How much a benchmark trains, said before it begins; and from the first items on, how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

from msmtrec.config.bench import Bench
from msmtrec.experiment.processes import ContenderTask
from msmtrec.studies.candidates import Candidate
from msmtrec.studies.halving import left_after, rounds_at, rungs_of


@dataclass(frozen=True)
class Stage:
    """A contender's items in a rung, or its final seeds.

    Args:
        items: trainings.
        rounds: of each, at most; of a rung those that it adds to what the rung before has trained.
        seeds: of each.
    """

    items: int
    rounds: int
    seeds: int

    @property
    def work(self) -> int:
        """Rounds of one seed; what trains in no rounds takes the time of about one."""
        return self.items * max(1, self.rounds) * self.seeds

    @property
    def trained(self) -> int:
        """Rounds of one seed."""
        return self.items * self.rounds * self.seeds


@dataclass(frozen=True)
class Planned:
    """What one contender trains.

    Args:
        rungs: in order.
        final: the chosen candidate's seeds.
        whole: rounds of one seed of the table.
    """

    candidates: int
    rungs: tuple[Stage, ...]
    final: Stage
    _: KW_ONLY
    whole: int

    @property
    def seed_runs(self) -> float:
        """All of it, in trainings of one seed over all rounds; 0 where nothing trains."""
        return sum(stage.trained for stage in (*self.rungs, self.final)) / max(1, self.whole)


def plan(bench: Bench, candidates: Mapping[str, tuple[Candidate, ...]]) -> dict[str, Planned]:
    """Contender -> what it trains. Where candidates differ in their rounds, with those of the first."""
    found = {}
    for name, own in candidates.items():
        contender, seeds = own[0].contender, bench.settings
        count, stages, number, done = rungs_of(len(own), contender, seeds.rungs), list[Stage](), len(own), 0
        for rung in range(count):
            last = rung == count - 1
            rounds = contender.rounds if last else rounds_at(contender.train.rounds, rung, count)
            stages.append(Stage(number * seeds.folds, rounds - done, seeds.tune_seeds))
            number, done = left_after(number, rung, count), rounds
        final = Stage(1, contender.rounds, seeds.seeds)
        found[name] = Planned(len(own), tuple(stages), final, whole=contender.rounds)
    return found


def in_words(planned: Mapping[str, Planned]) -> str:
    """One sentence."""
    runs = {name: one.seed_runs for name, one in planned.items()}
    most = max(runs, key=lambda name: runs[name])
    items = sum(stage.items for one in planned.values() for stage in (*one.rungs, one.final))
    each = f"{items} training{'s' * (items != 1)}"
    return (
        f"{len(planned)} contender{'s' * (len(planned) > 1)}, {each}: as much as {sum(runs.values()):.0f}"
        f" trainings of one seed over all rounds, {runs[most]:.0f} for {most}"
    )


class Pace:
    """Time left, measured: a contender's own pace where it has one, else the mean of the others that train in rounds.

    Args:
        planned: what there is to do.
        jobs: trainings at the same time.
        clock: gives seconds.
    """

    def __init__(self, planned: Mapping[str, Planned], jobs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.jobs, self.clock = jobs, clock
        self.ahead = {
            (name, n): float(stage.work)
            for name, one in planned.items()
            for n, stage in enumerate((*one.rungs, one.final))
        }
        self.trains = {name for name, one in planned.items() if one.whole}
        self.begun: dict[str, float] = {}
        self.spent: dict[str, tuple[float, float]] = {}
        self.items = 0

    def not_needed(self, name: str) -> None:
        """A contender is left out."""
        self.ahead = {key: work for key, work in self.ahead.items() if key[0] != name}

    def stage(self, name: str, number: int, work: float) -> None:
        """What a contender really has to do in a stage."""
        self.ahead[name, number] = work

    def starts(self, title: str) -> None:
        """A training begins."""
        self.begun[title] = self.clock()

    def ended(self, task: ContenderTask, number: int, before: int = 0) -> None:
        """A training is over, in the stage of that number; `before` as in `work_of`."""
        name, done = task.contender.name, work_of(task, before)
        seconds = self.clock() - self.begun.get(task.contender.title, self.clock())
        spent, work = self.spent.get(name, (0.0, 0.0))
        self.spent[name] = spent + seconds, work + done
        self.ahead[name, number] = max(0.0, self.ahead.get((name, number), 0.0) - done)
        self.items += task.contender.rounds > 0

    def left(self) -> float | None:
        """Seconds; None before anything that trains in rounds has ended."""
        trained = [self.spent[name] for name in self.spent if name in self.trains]
        if not trained:
            return None
        rates = {name: seconds / work for name, (seconds, work) in self.spent.items()}
        mean = sum(seconds for seconds, _ in trained) / sum(work for _, work in trained)
        return sum(work * rates.get(name, mean) for (name, _), work in self.ahead.items()) / self.jobs


def work_of(task: ContenderTask, before: int = 0) -> int:
    """As `Stage.work`, of one training of which so many rounds were trained before."""
    return Stage(1, task.contender.rounds - before, len(task.seeds)).work
