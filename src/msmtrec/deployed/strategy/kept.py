"""What a scenario keeps between two messages: in Flower's context, or in a folder, which outlives a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from flwr.app import ConfigRecord, Context
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from msmtrec.base.errors import UserError
from msmtrec.base.packing import on_host
from msmtrec.base.parameters import Parameters
from msmtrec.deployed.strategy.records import OWN, PLAIN, arrays_of, tensors_of

NETWORK = "msmtrec.network"
"""In the context's state."""


@dataclass(frozen=True)
class Kept:
    """A scenario after a round.

    Args:
        network: all of it.
        tasks: that it has.
        betas: mixtures that the second exchange remembers.
    """

    network: Parameters = field(default_factory=dict)
    _: KW_ONLY
    tasks: tuple[str, ...] = ()
    betas: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Keeper:
    """Args:
    folder: of this scenario alone. It has its last two rounds: a server that is begun again may ask for the last one
        once more. None keeps the last round in the context, for as long as the node's process and the run last.
    """

    context: Context
    folder: Path | None

    def after(self, round_number: int) -> Kept:
        """The last that was kept of rounds up to this one.

        Raises:
            UserError: it is damaged.
        """
        if self.folder is None:
            state = self.context.state
            if NETWORK not in state.array_records:
                return Kept()
            return _kept(tensors_of(state.array_records[NETWORK]), str(state.config_records[OWN][PLAIN]))
        known = sorted(number for number in self._rounds() if number <= round_number)
        if not known:
            return Kept()
        path = self._file(known[-1])
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                return _kept(tensors, file.metadata()[PLAIN])
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({type(error).__name__}: {error}); remove it") from error

    def keep(self, round_number: int, kept: Kept) -> None:
        """After a round.

        Raises:
            UserError: it cannot be written.
        """
        plain = json.dumps({"tasks": kept.tasks, "betas": kept.betas})
        if self.folder is None:
            self.context.state[NETWORK] = arrays_of(kept.network)
            self.context.state[OWN] = ConfigRecord({PLAIN: plain})
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            half = self.folder / "half.tmp"
            save_file(on_host(kept.network), half, metadata={PLAIN: plain})
            half.rename(self._file(round_number))
            known = sorted(self._rounds())
            last_two = [number for number in known if number <= round_number][-2:]
            for number in known:
                if number not in last_two:
                    self._file(number).unlink()
        except OSError as error:
            raise UserError(f"cannot write into {self.folder}: {error}") from error

    def _rounds(self) -> list[int]:
        assert self.folder is not None
        return [int(path.stem.removeprefix("round-")) for path in self.folder.glob("round-*.safetensors")]

    def _file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"round-{number:05d}.safetensors"


def _kept(network: Parameters, plain: str) -> Kept:
    found = json.loads(plain)
    betas = {label: tuple(own) for label, own in found["betas"].items()}
    return Kept(network, tasks=tuple(found["tasks"]), betas=betas)
