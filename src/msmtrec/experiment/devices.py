"""The device that a config asks for, and whether this machine has it."""

from __future__ import annotations


def lacking(device: str) -> str:
    """Why this machine cannot train on a device; empty where it can."""
    if device != "cuda":
        return ""
    import torch  # not before it is needed: `data check` asks

    absent = not torch.cuda.is_available()
    return "train.device is cuda but torch sees no CUDA device; set train.device=cpu" if absent else ""


def automatic() -> str:
    """What `auto` is on this machine: cuda where torch sees a CUDA device."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
