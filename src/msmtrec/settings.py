"""The base of every settings class: frozen, and unknown keys are refused."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings; unknown keys and wrong types are errors (config.py words them)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def data_directory() -> Path:
    """`MSMTREC_DATA`, else ./data."""
    return Path(os.environ.get("MSMTREC_DATA") or "data")
