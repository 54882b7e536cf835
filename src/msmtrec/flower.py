"""For Flower's users: our methods as a Strategy, for networks and training loops of their own.

Server: `MSMTrecStrategy`. Scenario: `put`, `upload_of`, `answer`. docs/flower-strategy.md shows both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msmtrec.base.errors import UserError

try:
    import flwr  # noqa: F401
except ImportError as error:
    raise UserError("Flower is not installed: pip install 'msmtrec[flower]'") from error

from msmtrec.deployed.strategy.client import Received, answer, put, upload_of

if TYPE_CHECKING:
    from msmtrec.deployed.strategy.strategy import MSMTrecStrategy

__all__ = ["MSMTrecStrategy", "Received", "answer", "put", "upload_of"]


def __getattr__(name: str) -> Any:
    """Every message to a scenario begins a process, which needs nothing of the server's half."""
    if name == "MSMTrecStrategy":
        from msmtrec.deployed.strategy.strategy import MSMTrecStrategy

        return MSMTrecStrategy
    raise AttributeError(f"module 'msmtrec.flower' has no attribute '{name}'")
