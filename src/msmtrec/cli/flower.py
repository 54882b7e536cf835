"""Flower's ServerApp: a federation's run as `flwr run` starts it. `federation` of the run's config names its file."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from rich.markup import escape

from msmtrec.cli.console import err, out
from msmtrec.cli.progress import PlainLines
from msmtrec.cli.running import print_run
from msmtrec.cli.schema import print_told
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.checking import lines
from msmtrec.deployed.fit import fitting
from msmtrec.deployed.flower_link import FlowerLink, connected
from msmtrec.deployed.server import Federation
from msmtrec.deployed.settings import FederationSettings
from msmtrec.record.directory import CONFIG
from msmtrec.serving.finished import Run

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """The whole run; where its directory has one that was interrupted, what is left of it.

    With `only` of the run's config as `check` or `schema` nothing is trained.
    """
    path = Path(str(context.run_config["federation"]))
    settings, tell = FederationSettings.load(path), PlainLines(err)
    agreed = parse_agreed(settings.agreed, path.stem)
    ids, seconds = connected(grid, settings), settings.connect_within
    link = FlowerLink(grid, ids, agreed.name, within=settings.answer_within, connect_within=seconds, tell=tell)
    federation = Federation(agreed, settings.scenarios, link, settings.folder, quorum=settings.quorum, observer=tell)
    only = context.run_config.get("only")
    if only == "check":
        for line in lines(federation.check()):
            out.print(escape(line), soft_wrap=True, highlight=False)
        return
    if only == "schema":
        told = federation.ask().told
        print_told(told)
        fitting(told)
        return
    results = federation.run(resume=(settings.folder / CONFIG).exists())
    print_run(Run(settings.folder, results))
