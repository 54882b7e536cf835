"""msmtrec: federated multi-scenario multi-task recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msmtrec.base.errors import Caution, UserError
from msmtrec.base.version import __version__

if TYPE_CHECKING:
    from msmtrec.config.parse import Config, load_config
    from msmtrec.experiment.estimator import ScenarioClassifier
    from msmtrec.experiment.run import run
    from msmtrec.serving.finished import Run
    from msmtrec.serving.finished import Run as load

__all__ = ["Caution", "Config", "Run", "ScenarioClassifier", "UserError", "__version__", "load", "load_config", "run"]


def __getattr__(name: str) -> Any:
    """Load torch and polars only when something that needs them is used."""
    if name in ("Config", "load_config"):
        from msmtrec.config import parse

        return getattr(parse, name)
    if name == "run":
        from msmtrec.experiment.run import run

        return run
    if name in ("Run", "load"):
        from msmtrec.serving.finished import Run

        return Run
    if name == "ScenarioClassifier":
        from msmtrec.experiment.estimator import ScenarioClassifier

        return ScenarioClassifier
    raise AttributeError(f"module 'msmtrec' has no attribute '{name}'")
