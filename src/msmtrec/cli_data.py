"""`msmtrec data …`: look at logs, check and fetch them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from msmtrec.console import ConfigArgument, SetOption, config_path, err, out, table_of
from msmtrec.errors import UserError, nearest

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs
    from msmtrec.data.table import EncodedData

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Look at logs, check and fetch them.")


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

    logs = load_config(config_path(config), tuple(set_ or ())).data.load()
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

    loaded = load_config(config_path(config), tuple(set_ or ()))
    logs = loaded.data.load()
    encoded, shared = _encode_both(logs)
    found = [f"[bold yellow]leakage?[/] {escape(sentence)}" for sentence in leaks(logs)]
    warnings = [
        *loaded.data.cautions(),
        *(outside(shared) if shared else ()),
        *unknown_batches(chain(*loaded.rows), encoded.scenarios),
    ]
    found += [f"[bold yellow]warning:[/] {escape(sentence)}" for sentence in warnings]
    for sentence in found:
        out.print(sentence, soft_wrap=True, highlight=False)
    rows = sum(len(part) for part in encoded.whole.values())
    out.print(f"{len(encoded.tables)} scenarios, {rows:,} rows: usable" + (f", {len(found)} warnings" if found else ""))


@data_app.command("cache")
def data_cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove it: it is made again when it is needed.")] = False,
    unused: Annotated[
        float, typer.Option("--unused", metavar="DAYS", help="With --clear: only what was not opened for so long.")
    ] = 0,
) -> None:
    """Encoded data sets that are kept for the next run: how large they are, and when they were last used.

    Example: `msmtrec data cache --clear --unused 30`
    """
    from msmtrec.data.cache import entries, remove
    from msmtrec.settings import cache_directory

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
    from msmtrec.data.encode import Variant, encode_all
    from msmtrec.settings import cache_directory

    variants = {"private": Variant()}
    if any(feature.shared for feature in logs.schema.features):
        variants["shared"] = Variant(share=True)
    found = encode_all(logs, variants, cache=cache_directory())
    return found["private"], found.get("shared")
