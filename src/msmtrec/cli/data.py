"""`msmtrec data …`: look at logs, check and fetch them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from msmtrec.base.errors import UserError
from msmtrec.cli.console import ConfigArgument, SetOption, config_path, err, out, table_of
from msmtrec.cli.synthesize import data_synthesize

if TYPE_CHECKING:
    from msmtrec.config.parse import Config
    from msmtrec.data.findings.finding import Finding
    from msmtrec.data.logs import Logs
    from msmtrec.data.table import EncodedData

HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write a profile: one self-contained page.")
]
data_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Look at logs, check and fetch them.")
data_app.command("synthesize")(data_synthesize)


@data_app.command("list")
def data_list() -> None:
    """Public data sets: which are there, how large they are, under which licence, and how to get them.

    Example: `msmtrec data list`
    """
    from msmtrec.base.settings import data_directory
    from msmtrec.logs.releases.catalogue import RELEASES, state
    from msmtrec.logs.releases.remotes import Remote
    from msmtrec.logs.remote.disk import in_words

    table, notes = table_of("data set", "state", "size", "scenarios × tasks", "licence", "get"), []
    for name, release in RELEASES.items():
        found, fetched = state(name), isinstance(release, Remote)
        size = in_words(release.size) if isinstance(release, Remote) else release.size
        table.add_row(
            name, found.word, size, release.scenarios, release.licence.name, "fetch" if fetched else "by hand"
        )
        if found.word != "absent" and found.missing:
            notes.append(f"{name}: not in {data_directory() / release.folder}: {', '.join(found.missing)}")
        if found.kept:
            notes.append(f"{name}: {in_words(found.kept)} of {size} are fetched; msmtrec data fetch {name} goes on")
    out.print(table)
    for note in notes:
        out.print(note, soft_wrap=True, highlight=False, markup=False)
    out.print(
        f"[dim]data directory: {escape(str(data_directory()))} (MSMTREC_DATA). msmtrec data fetch NAME downloads one,"
        " or says how to get it by hand.[/]",
        highlight=False,
    )


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `msmtrec data list`.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Say yes to the licence without being asked.")
    ] = False,
) -> None:
    """Download a public data set: resumed if it broke off, verified by checksum, its licence shown first.

    Example: `msmtrec data fetch movielens-1m --accept-licence`
    """
    from msmtrec.base.settings import data_directory
    from msmtrec.logs.releases.catalogue import fetch_named, find, is_present, state
    from msmtrec.logs.releases.remotes import Manual
    from msmtrec.logs.remote.disk import in_words

    release = find(name)
    folder = data_directory() / release.folder
    there = f"{name} is in {folder}; next: {release.then}"
    if is_present(name):
        _say(f"{there} (nothing was fetched: it was there already)")
        return
    _say(f"{release.title}\nlicence: {release.licence.name}. {release.licence.terms}\n{release.licence.url}")
    if isinstance(release, Manual):
        for number, step in enumerate(release.steps, 1):
            _say(f"{number}. {step.format(folder=folder)}")
        _say(f"Then: msmtrec data list, and {release.then}")
        raise UserError(f"{name} was not fetched: {release.why}; do the steps above yourself")
    _consent(name, release.licence.consent and not accept_licence)
    size = f"{in_words(release.size)} to download, {in_words(release.unpacked)} unpacked"
    kept = state(name).kept
    _say(f"{size}{f', {in_words(kept)} are here already' if kept else ''}")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def progress(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done)

            origin = fetch_named(name, progress=progress)
    except KeyboardInterrupt:
        kept = state(name).kept
        err.print(f"interrupted; {in_words(kept)} are kept, continue with: msmtrec data fetch {name}", soft_wrap=True)
        raise typer.Exit(130) from None
    _say(f"fetched from {origin}\n{there}")


def _consent(name: str, needed: bool) -> None:
    if not needed:
        return
    if not sys.stdin.isatty():
        raise UserError(f"the licence of {name} needs your consent; read it, then add --accept-licence")
    if not typer.confirm("Do you accept this licence?", err=True):
        raise UserError(f"{name} was not fetched: its licence was not accepted")


def _say(text: str) -> None:
    out.print(text, soft_wrap=True, highlight=False, markup=False)


@data_app.command("describe")
def data_describe(config: ConfigArgument, set_: SetOption = None, html: HtmlOption = None) -> None:
    """Scenarios, rows, label rates, vocabularies and unknown ids; a full profile as a web page with --html.

    Example: `msmtrec data describe kuairand --html profile.html`
    """
    from msmtrec.config.parse import load_config_for_rows

    if html is not None:
        from msmtrec.profile.page.profile import writable

        writable(html)
    loaded = load_config_for_rows(config_path(config), tuple(set_ or ()))
    from msmtrec.data.encoding.shares import split_notes  # not before there are rows to look for
    from msmtrec.profile.describe import describe, shared_unknown

    logs = loaded.data.load()
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
    for note in (*logs.notes, *split_notes(encoded), _history(loaded, shared or encoded)):
        out.print(f"[dim]{escape(note)}[/]")
    if html is not None:
        from msmtrec.cli.checking import of_rows

        told = of_rows(loaded.data.cautions(), logs, encoded, shared, ())
        _write_profile(logs, told, html, " ".join([config, *(f"--set {change}" for change in set_ or ())]))


def _history(config: Config, data: EncodedData) -> str:
    """Of the first contender that has statistics, or as they would be by default."""
    from msmtrec.statistics.reach import reach
    from msmtrec.statistics.settings import StatisticsSettings

    asked = (contender.statistics for contender in chain(*config.contenders) if contender.statistics)
    try:
        return reach(data, next(asked, StatisticsSettings.model_validate({}))).sentence()
    except UserError as error:
        return str(error)


def _write_profile(logs: Logs, told: list[Finding], path: Path, config: str) -> None:
    from msmtrec.profile.page.profile import write_profile
    from msmtrec.profile.profile import profile

    with err.status("profile") as status:
        found = profile(logs, lambda step, rows: status.update(f"profile: {step}, {rows:,} rows"), told=told)
        status.update("profile: drawing")
        write_profile(found, path, config=config, made=datetime.now(UTC))
    out.print(f"profile: {escape(str(path))}; as confidential as the logs", soft_wrap=True, highlight=False)


@data_app.command("check")
def data_check(config: ConfigArgument, set_: SetOption = None) -> None:
    """Everything that would stop or spoil a training run; exit code 2 if something would stop it.

    Example: `msmtrec data check own-data.yaml`
    """
    from msmtrec.config.parse import incomplete_batches, load_config_for_rows

    loaded = load_config_for_rows(config_path(config), tuple(set_ or ()))
    from msmtrec.cli.checking import in_numbers, of_rows, of_training, say  # not before there are rows to look for
    from msmtrec.data.encoding.shares import split_notes
    from msmtrec.data.findings.finding import counted
    from msmtrec.profile.describe import leaks

    logs = loaded.data.load()
    encoded, shared = _encode_both(logs)
    found = of_rows(loaded.data.cautions(), logs, encoded, shared, leaks(logs))
    contenders = tuple(chain(*loaded.contenders))
    found += of_training(contenders, encoded.scenarios) if contenders else ()
    say(found)
    for note in split_notes(encoded):
        out.print(note, soft_wrap=True, highlight=False, markup=False)
    for sentence in incomplete_batches(contenders, encoded.scenarios):
        raise UserError(sentence)
    rows = sum(len(part) for part in encoded.whole.values())
    out.print(f"{counted(len(encoded.tables), 'scenario')}, {counted(rows, 'row')}: usable{in_numbers(found)}")


@data_app.command("cache")
def data_cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove it: it is made again when it is needed.")] = False,
    unused: Annotated[
        float, typer.Option("--unused", metavar="DAYS", help="With --clear: only what was not opened for so long.")
    ] = 0,
) -> None:
    """Encoded data sets and copies of remote files, kept for the next run: their sizes, and when they were last used.

    Example: `msmtrec data cache --clear --unused 30`
    """
    from msmtrec.base.settings import cache_directory
    from msmtrec.data.cache import entries, remove

    if unused and not clear:
        raise UserError("--unused says what --clear removes; add --clear")
    found = remove(unused) if clear else entries()
    table = table_of("removed" if clear else "data set", "size", "last used", "rows from")
    for entry in found:
        days = f"{entry.idle_days:.0f} days ago" if entry.idle_days >= 1 else "today"
        table.add_row(escape(entry.what), f"{entry.bytes / 1e6:,.1f} MB", days, escape(entry.origin))
    if found:
        out.print(table)
    total = f"{sum(entry.bytes for entry in found) / 1e9:,.2f} GB"
    where = f"{cache_directory()} (MSMTREC_CACHE)"
    out.print(f"{total} {'freed' if clear else 'used'} in {where}", soft_wrap=True, highlight=False)


def _encode_both(logs: Logs) -> tuple[EncodedData, EncodedData | None]:
    """All fields private; and, where any is declared shared, those in their common id spaces."""
    from msmtrec.base.settings import cache_directory
    from msmtrec.data.encode import Variant, encode_all

    variants = {"private": Variant()}
    if any(feature.shared for feature in logs.schema.features):
        variants["shared"] = Variant(share=True)
    found = encode_all(logs, variants, cache=cache_directory())
    return found["private"], found.get("shared")
