"""msmtrec: federated multi-scenario multi-task recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msmtrec.errors import UserError

if TYPE_CHECKING:
    from msmtrec.config import Config, load_config
    from msmtrec.experiment import Run, run

__version__ = "0.1.0"
__all__ = ["Config", "Run", "UserError", "__version__", "load_config", "run"]


def __getattr__(name: str) -> Any:
    """Load torch and polars only when something that needs them is used."""
    if name in ("Config", "load_config"):
        from msmtrec import config

        return getattr(config, name)
    if name in ("Run", "run"):
        from msmtrec import experiment

        return getattr(experiment, name)
    raise AttributeError(f"module 'msmtrec' has no attribute '{name}'")
