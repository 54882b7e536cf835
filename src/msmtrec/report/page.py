"""report.html: one self-contained page from a run directory alone."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from msmtrec.base.errors import UserError
from msmtrec.record import directory
from msmtrec.record.reading import RunRecord, read_run
from msmtrec.record.standing import line_means
from msmtrec.report import gains, tables, told
from msmtrec.report.calibrated import calibrated
from msmtrec.report.costs import costs
from msmtrec.report.costs_figures import cost_figures
from msmtrec.report.curves import PANELS, Curves, learning_curves
from msmtrec.report.diagnosis import diagnose
from msmtrec.report.figure import Figure, embedded
from msmtrec.report.ranks import rank_figure
from msmtrec.report.relations import conflict_by_round, relations
from msmtrec.report.spread import spreads
from msmtrec.report.standing import standing
from msmtrec.report.words import gaps, verdicts

GENERATOR = b'<meta name="generator" content="msmtrec report">'
"""In the page's head: how a page of ours is known again."""
SAID = 14
"""Sentences worth a look that are open at once; the others are a click away."""


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Render the page; nothing on it needs a network.

    Args:
        out: where to; default: report.html in the run directory.

    Raises:
        UserError: the folder is no finished run, or the page cannot be written.
    """
    if out is not None:
        writable(out)
    return save(folder / directory.REPORT if out is None else out, render(read_run(folder)))


def render(run: RunRecord) -> str:
    """The page as text; the same for the same run."""
    main = gains.main_contender(run)
    curves, related, conflict, spread = learning_curves(run), relations(run), conflict_by_round(run), spreads(run)
    spent = [costs(contender) for contender in run.contenders.values()]
    cost = cost_figures(spent)
    right = calibrated(run)
    ranks = rank_figure("ranks", list(run.results.cells), line_means(run.results))
    figures = [*curves.panels, *conflict, *spread, *(f for f, _ in cost), *(f for _, found in related for f in found)]
    figures += [ranks] if ranks else []
    figures += [*right.panels, *right.more, right.table] if right else []
    ablation, expected = tables.ablation(run), tables.expected(run)
    figures += [found["table"] for found in (ablation, expected) if found]
    sentence, sign = told.verdict(run, main)
    return page(
        "page.html.j2",
        json=_json(run, figures, curves),
        run=run,
        results=run.results,
        main=main,
        verdict=sentence,
        sign=sign,
        story=list(told.story(run, main)),
        steps=told.next_steps(run, main),
        headline=gains.headline(run, main) if main else [],
        first=gains.FIRST,
        table=tables.auc_table(run),
        differences=tables.differences(run) if len(run.results.cells) > 1 else [],
        others=[name for name in run.results.cells if name != run.results.reference],
        lines=len(run.results.lines),
        tests=tables.tests(run.results),
        standing=standing(run.results),
        ranks=ranks,
        qualities=tables.qualities(run.results),
        verdicts=list(verdicts(run.results)),
        pairs=tables.pairs(run.results),
        said=SAID,
        curves=curves,
        panels=PANELS,
        relations=related,
        conflict=conflict,
        calibrated=right,
        spread=spread,
        costs=spent,
        cost_figures=cost,
        span=_steps,
        ablation=ablation,
        expected=expected,
        warnings=[*run.results.notes, *gaps(run.results), *diagnose(run)],
        data=tables.data_facts(run),
    )


def page(template: str, *, json: str, **values: Any) -> str:
    """A template with the style sheet, the script and the data in it."""
    environment = Environment(
        loader=PackageLoader("msmtrec.report"),
        autoescape=select_autoescape(["j2", "html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        style=_file("look.css"), script=_file("page.js"), json=Markup(json), **values
    )  # fmt: skip


def writable(path: Path) -> None:
    """A page may be written here: nothing is there, or an earlier page of ours.

    Raises:
        UserError: something else is, or the folder is missing.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it, such as {path / directory.REPORT}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"the folder {path.absolute().parent} does not exist; create it or choose another --out")
    try:
        if path.exists() and GENERATOR not in path.read_bytes()[:2048]:
            raise UserError(f"{path} exists and is no report; choose another --out or remove it")
    except OSError as error:
        raise UserError(f"cannot look at {path}: {error.strerror}; choose another --out") from error


def save(path: Path, text: str) -> Path:
    """All of the page or nothing.

    Raises:
        UserError: the place cannot be written.
    """
    try:
        directory.write_atomic(path, text)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; make room or choose another --out") from error
    return path


def _json(run: RunRecord, figures: list[Figure], curves: Curves) -> str:
    found: dict[str, Any] = {figure.key: figure.as_dict() for figure in [*figures, curves.chosen]}
    found["rows"] = tables.row_counts(run)
    return embedded(
        {"name": run.results.name, "figures": found, "table": gains.table_data(run.results, dict(run.sizes))}
    )


def _file(name: str) -> Markup:
    return Markup((resources.files("msmtrec.report") / "templates" / name).read_text(encoding="utf-8"))


def _steps(found: tuple[int, int]) -> str:
    low, high = found
    return f"{low:,}" if low == high else f"{low:,} – {high:,}"
