"""Flower's ServerApp: `federation` of the run's config names the federation's file."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.flower_link import FlowerLink, connected
from msmtrec.deployed.server import Federation
from msmtrec.deployed.settings import FederationSettings
from msmtrec.record.directory import CONFIG
from msmtrec.record.events import Event, Note

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """The whole run; where its directory has one that was interrupted, what is left of it."""
    path = Path(str(context.run_config["federation"]))
    settings = FederationSettings.load(path)
    agreed = parse_agreed(settings.agreed, path.stem)
    link = FlowerLink(grid, connected(grid, settings), agreed.name, within=settings.answer_within, tell=_tell)
    federation = Federation(agreed, settings.scenarios, link, settings.folder, quorum=settings.quorum, observer=_tell)
    federation.run(resume=(settings.folder / CONFIG).exists())


def _tell(event: Event) -> None:
    if isinstance(event, Note):
        print(event.text, flush=True)
