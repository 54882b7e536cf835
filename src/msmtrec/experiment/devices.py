"""Whether this machine has the device that a config asks for."""

from __future__ import annotations


def lacking(device: str) -> str:
    """Why this machine cannot train on a device; empty where it can."""
    if device == "cpu":
        return ""
    import torch  # not before it is needed: `data check` asks

    absent = device == "cuda" and not torch.cuda.is_available()
    return "train.device is cuda but torch sees no CUDA device; set train.device=cpu" if absent else ""
