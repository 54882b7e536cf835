"""`msmtrec list …`: what a config may name."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from msmtrec.cli.console import out, table_of

list_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="What a config may name.")


@list_app.command("methods")
def list_methods() -> None:
    """Federated methods and reference contenders.

    Example: `msmtrec list methods`
    """
    from msmtrec.methods import METHODS

    table = table_of("method", "presets", "what")
    for name, entry in METHODS.items():
        table.add_row(name, ", ".join(entry.presets) or "–", entry.about)
    out.print(table)


@list_app.command("models")
def list_models() -> None:
    """Networks.

    Example: `msmtrec list models`
    """
    from msmtrec.models import MODELS

    table = table_of("model", "keys", "what")
    for name, settings in MODELS.items():
        keys = ", ".join(key for key in settings.model_fields if key != "name")
        table.add_row(name, keys, (sys.modules[settings.__module__].__doc__ or "").strip())
    out.print(table)


@list_app.command("datasets")
def list_datasets() -> None:
    """Sources that `data.source` may name.

    Example: `msmtrec list datasets`
    """
    from msmtrec.config.parse import SOURCES

    table = table_of("source", "what")
    for name, settings in SOURCES.items():
        table.add_row(name, (sys.modules[settings.__module__].__doc__ or "").strip().splitlines()[0])
    out.print(table)


@list_app.command("settings")
def list_settings() -> None:
    """Every key of a config: of contenders, training, networks, methods and logs.

    Example: `msmtrec list settings`
    """
    from msmtrec.config.reference import groups

    table = table_of("key", "default", "what")
    for group in groups():
        for setting in group.settings:
            table.add_row(escape(group.key(setting)), escape(setting.default), escape(setting.meaning))
        table.add_section()
    out.print(table)
    out.print("[dim]options belong to a contender, as in methods.NAME.options.clip[/]")
