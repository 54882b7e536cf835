"""msmtrec: federated multi-scenario multi-task recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msmtrec.base.errors import Caution, UserError
from msmtrec.base.version import __version__

if TYPE_CHECKING:
    from msmtrec.config.parse import Config, load_config
    from msmtrec.experiment.run import Run, run
    from msmtrec.serving.finished import FinishedRun
    from msmtrec.serving.finished import FinishedRun as load

__all__ = ["Caution", "Config", "FinishedRun", "Run", "UserError", "__version__", "load", "load_config", "run"]


def __getattr__(name: str) -> Any:
    """Load torch and polars only when something that needs them is used."""
    if name in ("Config", "load_config"):
        from msmtrec.config import parse

        return getattr(parse, name)
    if name in ("Run", "run"):
        from msmtrec.experiment import run as experiment

        return getattr(experiment, name)
    if name in ("FinishedRun", "load"):
        from msmtrec.serving.finished import FinishedRun

        return FinishedRun
    raise AttributeError(f"module 'msmtrec' has no attribute '{name}'")
