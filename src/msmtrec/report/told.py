"""The first screen in plain words: what happened, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from msmtrec.evaluation.compare import Comparison
from msmtrec.record.reading import RunRecord
from msmtrec.report.choices import grid_edge, rounds_exhausted
from msmtrec.report.words import baseline_titles, correction, drawn, p_text, points, span, told_apart, trained_on

_NAMED = 4
"""Contenders that a sentence names."""


@dataclass(frozen=True)
class Step:
    """What to do, and the part of the page that says why."""

    text: str
    section: str
    code: str = ""


def verdict(run: RunRecord, main: str | None) -> tuple[str, str]:
    """(the sentence above everything, its sign): the main contender on the mean line."""
    results = run.results
    if main is None:
        return f"Only {results.reference} was trained: there is nothing to compare it with.", ""
    pair = results.pair(main, results.reference)
    if pair is None:
        return f"{main} and {results.reference} are compared line by line only.", ""
    gain = f"{points(pair.compared)} AUC points"
    if not pair.compared.tested:
        return f"{main} is {gain} from {results.reference} on average; not tested ({pair.compared.untested}).", ""
    told = {"up": "is better than", "down": "is worse than", "": "cannot be told from"}[pair.sign]
    return f"{main} {told} {results.reference}: {gain} on average, 95\u00a0% interval {span(pair.compared)}.", pair.sign


def story(run: RunRecord, main: str | None) -> Iterator[str]:
    """What happened, a sentence each."""
    results = run.results
    seeds = len(next(iter(results.cells.values()))[0].auc)
    data = next(iter(run.data.values()))["name"]
    yield (
        f"{_count(len(results.cells), 'contender')} on {data}: {_count(len(run.scenarios), 'scenario')},"
        f" {_count(len(run.tasks), 'task')} ({', '.join(run.tasks)}), {_count(seeds, 'seed')}."
    )
    settings = " and every setting" if any(results.chosen.values()) else ""
    yield f"Validation chose every model{settings}; the test rows were read once, at the end."
    if main is not None:
        cells = [cell for cell in results.cells[main][:-1] if cell.compared]
        above = sum(cell.mean_difference > 0 for cell in cells)
        up, down = (sum(cell.sign == sign for cell in cells) for sign in ("up", "down"))
        clearly = f", clearly above in {_none(up)}, clearly below in {_none(down)} (p below .05, not corrected)"
        tested = any(cell.compared.tested for cell in cells if cell.compared)
        yield (
            f"Line by line: above {results.reference} in {_none(above)} of {len(cells):,}{clearly if tested else ''}."
        )
        pair = results.pair(main, results.reference)
        if pair and pair.compared.tested:
            yield (
                f"The interval counts the luck of the seeds and of {drawn(results)} together;"
                f" p {p_text(pair.p_value)}, {correction(results)}."
            )
    if gained := list(trained_on(results)):
        yield f"What the new rows brought, on the mean line: {'; '.join(gained[:_NAMED])}."
    yield from _groups(run)


def _groups(run: RunRecord) -> Iterator[str]:
    """How many are better, worse, or not told apart, for each that the others are tested against."""
    results = run.results
    for name, what in baseline_titles(results).items() if results.tests else ():
        groups = told_apart(results, name)
        said = [
            f"{verb}: {_named(groups[sign])}" for sign, verb in (("up", "better"), ("down", "worse")) if groups[sign]
        ]
        if groups[""]:
            said.append(f"{_count(len(groups['']), 'contender')} not told apart")
        if said:
            yield f"Against {name}{f', {what} on validation' if what else ''}: {'; '.join(said)}."


def next_steps(run: RunRecord, main: str | None) -> list[Step]:
    """What to do, the most useful first."""
    return [*_of_the_comparison(run, main), *_of_the_settings(run), *_of_the_models(run, main)]


def _of_the_comparison(run: RunRecord, main: str | None) -> Iterator[Step]:
    results = run.results
    if main is None:
        yield Step("Add a method to compare with, for instance recommended: {method: pf-msmtrec}.", "run")
        return
    pair = results.pair(main, results.reference)
    if pair is None or len(results.cells[main][0].auc) < 2:
        yield Step("Train with several seeds: one says nothing about luck.", "tests", "--set seeds=5")
    elif not pair.compared.tested:
        yield Step(f"Nothing could be tested ({pair.compared.untested}): test on more rows.", "look")
    elif not pair.sign:
        yield Step(_narrower(pair.compared), "tests")
    few = sum(bool(support.few) for support in results.support)
    if few:
        yield Step(
            f"{few:,} of {len(results.support):,} lines have too few test rows of a class for a test: a longer"
            " test window helps.",
            "look",
        )


def _narrower(compared: Comparison) -> str:
    """Which luck the interval comes from, and so what would narrow it."""
    seeds, users = 100 * compared.se_seeds, 100 * compared.se_users
    errors = f"standard error {seeds:.2f} points from the seeds, {users:.2f} from the users"
    if users > seeds:
        return f"To tell them apart test on more users; more seeds help less ({errors})."
    return f"To tell them apart train more seeds ({errors})."


def _of_the_settings(run: RunRecord) -> Iterator[Step]:
    own = [contender for contender in run.contenders.values() if not run.repeats(contender.name)]
    if late := [contender.name for contender in own if any(rounds_exhausted(contender))]:
        yield Step(f"Raise train.rounds: the best round is among the last for {_named(late)}.", "curves")
    if edge := [contender.name for contender in own if any(grid_edge(contender))]:
        yield Step(f"Widen the grid: the chosen value is at its end for {_named(edge)}.", "look")
    lost = [note for note in run.results.notes if "came to nothing" in note]
    if lost:
        yield Step(f"{_count(len(lost), 'training')} came to nothing; see why below.", "look")


def _of_the_models(run: RunRecord, main: str | None) -> Iterator[Step]:
    name = main or run.results.reference
    asked = f"--scenario {quote(run.results.lines[0][0])} --contender {quote(name)}"
    yield Step(
        f"Score rows with the models of {name} (msmtrec export RUN writes them for other runtimes):",
        "run",
        f"msmtrec predict RUN {asked} --input rows.csv --output scores.csv",
    )
    yield Step("Put it beside another run on the same rows:", "run", "msmtrec report RUN OTHER --out both.html")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _none(count: int) -> str:
    return f"{count:,}" if count else "none"
