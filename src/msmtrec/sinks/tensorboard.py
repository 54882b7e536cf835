"""TensorBoard: event files in the run directory, one folder per contender and seed."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.record.directory import TENSORBOARD
from msmtrec.record.events import ContenderStarted, Event, Round, RunFinished, RunStarted
from msmtrec.sinks.points import Points, parameters, round_points, series_name, test_points


class TensorBoard:
    """Writes tensorboard/CONTENDER/seedN/ in the run directory; a resumed run goes on in it.

    Raises:
        UserError: the package is missing.
    """

    def __init__(self) -> None:
        if find_spec("tensorboard") is None:
            raise UserError("logging to TensorBoard needs a package: pip install 'msmtrec[tensorboard]'")
        self._folder = Path()
        self._started: dict[str, ContenderStarted] = {}
        self._series: dict[str, _Series] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._folder = Path(event.folder) / TENSORBOARD
            case ContenderStarted():
                self._started[event.title] = event
            case Round():
                for seed, points in round_points(event):
                    name = series_name(event.contender, event.candidate, seed)
                    if name not in self._series:
                        self._series[name] = _Series(self._folder / name, parameters(self._started[event.title], seed))
                    self._series[name].add(event.round, points)
            case RunFinished():
                for name, points in test_points(event):
                    if name in self._series:
                        self._series[name].add(0, points)


class _Series:
    """One folder. Written in this thread: TensorBoard's own writer has one that prints its failures.

    The file is new in every start of a run, since the last one may end in half a record, and is not held open between
    two rounds, since there may be more of them than a process may open.

    Args:
        settings: kept as hyper-parameters, once.
    """

    def __init__(self, folder: Path, settings: dict[str, bool | int | float | str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        before = sorted(folder.glob("*tfevents*"))
        self._path = folder / f"events.out.tfevents.{int(time.time()):010d}.{len(before):04d}.{os.getpid()}.msmtrec"
        self._last = _last_steps(before)
        if not before:
            from tensorboard.plugins.hparams.summary_v2 import hparams_pb

            self._write(summary=hparams_pb(settings))

    def add(self, step: int, points: Points) -> None:
        """Points of a step, but for those that are there."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        new = {tag: value for tag, value in points.items() if step > self._last.get(tag, -1)}
        if new:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in new.items()]
            self._write(step=step, summary=Summary(value=values))
            self._last |= dict.fromkeys(new, step)

    def _write(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Entry
        from tensorboard.summary.writer.record_writer import RecordWriter

        now = time.time()
        entries = [Entry(wall_time=now, **content)]
        if not self._path.exists():
            entries.insert(0, Entry(wall_time=now, file_version="brain.Event:2"))
        with self._path.open("ab") as file:
            for entry in entries:
                RecordWriter(file).write(entry.SerializeToString())


def _last_steps(files: list[Path]) -> dict[str, int]:
    """Tag -> its last step; a record that was cut off ends its file."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found: dict[str, int] = {}
    for path in files:
        for entry in LegacyEventFileLoader(str(path)).Load():
            for value in entry.summary.value:
                found[value.tag] = max(entry.step, found.get(value.tag, -1))
    return found
