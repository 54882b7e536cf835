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
    from msmtrec.config.parse import MODELS

    table = table_of("model", "what")
    for name, settings in MODELS.items():
        table.add_row(name, (sys.modules[settings.__module__].__doc__ or "").strip())
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
    """Every key of a config, of a contender, of `train`, `model`, `fine_tune`, options and own features.

    Example: `msmtrec list settings`
    """
    from msmtrec.base.explain import explain
    from msmtrec.config.keys import CONTENDER, TOP
    from msmtrec.config.train import FineTune, TrainSettings
    from msmtrec.logs.sources.tabular_settings import Column
    from msmtrec.methods.fedavg import FedAvgSettings
    from msmtrec.methods.pf_msmtrec import PFSettings
    from msmtrec.models.mmoe import MMoESettings

    table = table_of("key", "default", "what")
    for key, settings in (
        ("{}", TOP),
        ("methods.NAME.{}", CONTENDER),
        ("train.{}", explain(TrainSettings)),
        ("model.{}", explain(MMoESettings)),
        ("fine_tune.{}", explain(FineTune)),
        ("options.{} (pf-msmtrec)", explain(PFSettings)),
        ("options.{} (fedavg)", explain(FedAvgSettings)),
        ("data.features.NAME.{}", explain(Column)),
    ):
        for setting in settings:
            table.add_row(key.format(setting.name), escape(setting.default), escape(setting.meaning))
        table.add_section()
    out.print(table)
    out.print(
        "[dim]options belong to a contender, as in methods.NAME.options.clip; the rest of data.* is in"
        " docs/own-logs.md[/]"
    )
