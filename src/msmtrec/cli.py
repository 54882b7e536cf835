"""Commands: parse, call, print."""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from msmtrec.cli_list import list_app
from msmtrec.console import err, out, table_of
from msmtrec.errors import UserError, nearest

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs
    from msmtrec.data.table import EncodedData

app = typer.Typer(
    name="msmtrec",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Federated multi-scenario multi-task recommendation. Start with: `msmtrec demo`",
)
data_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Look at logs, check and fetch them.")
app.add_typer(data_app, name="data")
app.add_typer(list_app, name="list")

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file, or a built-in name such as kuairand.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a key; repeatable.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run directory [default: runs/NAME].")]


def main() -> NoReturn:
    """Entry point: one sentence and exit code 2 for what a user can repair."""
    try:
        app()
    except UserError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)
    sys.exit(0)


@app.command()
def train(
    config: ConfigArgument,
    set_: SetOption = None,
    out_dir: OutOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run of the same config.")] = False,
) -> None:
    """Train every method of a config on every seed and compare them.

    Example: `msmtrec train kuairand --set seeds=5 --set train.rounds=10 --out runs/mine`
    """
    from msmtrec.config import load_config

    _run(load_config(_config_path(config), tuple(set_ or ())), out_dir, resume)


@app.command()
def demo(out_dir: OutOption = None, resume: Annotated[bool, typer.Option("--resume")] = False) -> None:
    """Reference rows and PF-MSMTrec on real logs, in about four minutes.

    Example: `msmtrec demo --out runs/demo`
    """
    from msmtrec.config import load_config
    from msmtrec.demo import built_in_config, choose_demo

    name = choose_demo(lambda line: out.print(f"[dim]{escape(line)}[/]", soft_wrap=True))
    folder = out_dir or Path("runs") / f"demo-{name}"
    if out_dir is None and not resume:
        folder = _free(folder)
    _run(load_config(built_in_config(name)), folder, resume)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, with both tests for every line.")] = False,
) -> None:
    """The tables of a finished run again.

    Example: `msmtrec show runs/demo-kuairand --markdown`
    """
    from msmtrec.experiment import Run
    from msmtrec.report.markdown import results_markdown

    finished = Run.open(run)
    if markdown:
        sys.stdout.write(results_markdown(finished.results))
    else:
        _print(finished)


@data_app.command("list")
def data_list() -> None:
    """Data sets, and which are present.

    Example: `msmtrec data list`
    """
    from msmtrec.data.catalogue import REMOTES, is_present
    from msmtrec.settings import data_directory

    table = table_of("data set", "present", "what", "licence")
    for name, remote in REMOTES.items():
        table.add_row(name, "yes" if is_present(name) else "no", remote.title, remote.licence)
    out.print(table)
    out.print(f"[dim]data directory: {data_directory()} (MSMTREC_DATA); fetch one: msmtrec data fetch NAME[/]")


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Download a public data set, checksummed.

    Example: `msmtrec data fetch movielens-1m`
    """
    from msmtrec.data.catalogue import REMOTES, fetch_named, is_present

    if name not in REMOTES:
        raise UserError(f"no data set '{name}' to fetch; {nearest(name, REMOTES)}")
    if is_present(name):
        out.print(f"{name} is there already")
        return
    out.print(f"{REMOTES[name].title}\nlicence: {REMOTES[name].licence}")
    with Progress(TextColumn(name), BarColumn(), TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task(name, total=None)
        origin = fetch_named(name, progress=lambda done, total: bar.update(task, completed=done, total=total or None))
    out.print(f"{name}: fetched from {origin}")


@data_app.command("describe")
def data_describe(config: ConfigArgument, set_: SetOption = None) -> None:
    """Scenarios, rows, label rates, vocabularies and unknown ids.

    Example: `msmtrec data describe kuairand`
    """
    from msmtrec.config import load_config
    from msmtrec.data.describe import describe, shared_unknown

    logs = load_config(_config_path(config), tuple(set_ or ())).data.load()
    encoded, shared = _encode_both(logs)
    outside = shared_unknown(shared) if shared else {}
    table = table_of("scenario", "train", "validation", "test")
    for task in encoded.schema.task_names:
        table.add_column(escape(task), justify="right")
    for name in ("groups", "vocabulary", "unknown in test", *(["worst shared field"] if shared else [])):
        table.add_column(name, justify="right")
    for p in describe(encoded):
        rates = [f"{p.rates[t]:.3f}" if t in p.rates else "–" for t in encoded.schema.task_names]
        counts = [f"{n:,}" for n in p.rows.values()]
        worst = [f"{share:.1%} outside {escape(name)}" for name, share in outside.get(p.scenario, {}).items()][:1]
        last = [f"{p.groups:,}", f"{p.vocabulary:,}", f"{p.unknown:.1%}", *worst]
        table.add_row(escape(p.scenario), *counts, *rates, *last)
    out.print(table)
    fields = ", ".join(f"{f.name}{' (shared)' if f.shared else ''}" for f in encoded.schema.features)
    out.print(f"[dim]{escape(encoded.schema.name)} from {escape(encoded.origin)}; features: {escape(fields)}[/]")
    for note in logs.notes:
        out.print(f"[dim]{escape(note)}[/]")


@data_app.command("check")
def data_check(config: ConfigArgument, set_: SetOption = None) -> None:
    """Everything that would stop or spoil a training run; exit code 2 if something would stop it.

    Example: `msmtrec data check configs/own-data.yaml`
    """
    from msmtrec.config import load_config, unknown_batches
    from msmtrec.data.describe import leaks, outside

    loaded = load_config(_config_path(config), tuple(set_ or ()))
    logs = loaded.data.load()
    encoded, shared = _encode_both(logs)
    found = [f"[bold yellow]leakage?[/] {escape(sentence)}" for sentence in leaks(logs)]
    warnings = [*(outside(shared) if shared else ()), *unknown_batches(chain(*loaded.rows), encoded.scenarios)]
    found += [f"[bold yellow]warning:[/] {escape(sentence)}" for sentence in warnings]
    for sentence in found:
        out.print(sentence, soft_wrap=True, highlight=False)
    rows = sum(len(part) for part in encoded.whole.values())
    out.print(f"{len(encoded.tables)} scenarios, {rows:,} rows: usable" + (f", {len(found)} warnings" if found else ""))


def _encode_both(logs: Logs) -> tuple[EncodedData, EncodedData | None]:
    """All fields private; and, where any is declared shared, those in their common id spaces."""
    from msmtrec.data.encode import default_cache, encode

    any_shared = any(feature.shared for feature in logs.schema.features)
    private = encode(logs, share=False, cache=default_cache())
    return private, encode(logs, share=True, cache=default_cache()) if any_shared else None


def _run(config: Any, folder: Path | None, resume: bool) -> None:
    from msmtrec.experiment import run

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        whole = bar.add_task("[bold]all rounds", total=None)
        rows = {name: bar.add_task(name, total=total, visible=False) for name, total in _rounds(config).items()}
        bar.update(whole, total=sum(_rounds(config).values()))

        def progress(row: str, done: int, total: int) -> None:
            bar.update(rows[row], completed=done, total=total, visible=done < total)
            bar.update(whole, completed=sum(task.completed for task in bar.tasks if task.id != whole))

        try:
            finished = run(
                config,
                out=folder,
                resume=resume,
                progress=progress,
                status=lambda text: bar.update(whole, description=f"[bold]{text}"),
                caution=lambda text: bar.console.print(
                    f"[yellow]note:[/] {escape(text)}", soft_wrap=True, highlight=False
                ),
            )
        except KeyboardInterrupt:
            bar.stop()
            err.print("interrupted; continue with the same command and --resume")
            raise typer.Exit(130) from None
        bar.update(whole, completed=sum(_rounds(config).values()))
    _print(finished)


def _rounds(config: Any) -> dict[str, int]:
    return {
        f"{row.name}/{row.candidate}" if row.candidate else row.name: row.train.rounds
        + (row.fine_tune.rounds if row.fine_tune else 0)
        for candidates in config.rows
        for row in candidates
    }


def _print(run: Any) -> None:
    from msmtrec.report.terminal import difference_table, pair_sentence, results_table

    out.print(results_table(run.results))
    if len(run.results.cells) > 1:
        out.print(difference_table(run.results))
    if sentence := pair_sentence(run.results):
        out.print(sentence, soft_wrap=True, highlight=False)
    out.print(f"run directory: {run.folder}   report: {run.folder / 'report.html'}", soft_wrap=True, highlight=False)


def _config_path(config: str) -> Path:
    from msmtrec.demo import built_in_config

    path = Path(config)
    return path if path.suffix in (".yaml", ".yml") or path.exists() else built_in_config(config)


def _free(folder: Path) -> Path:
    """The folder, or the first of folder-2, folder-3 … that is not taken."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
