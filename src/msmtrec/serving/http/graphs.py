"""Exported graphs of a run, each under the digest of what it is made of, so that a restart finds them again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.base.version import __version__
from msmtrec.data.snapshot import snapshot
from msmtrec.record.directory import file_name, writing
from msmtrec.serving.finished import Run
from msmtrec.serving.predictor import Predictor

_REMEDY = "name another folder with --graphs"
FORMAT = 2
"""Raised whenever graphs of earlier versions would score otherwise."""


@dataclass(frozen=True)
class Choice:
    """Which models of a run are served; everything that `Run.predictor` is told besides the scenario."""

    contender: str | None = None
    seed: int | None = None
    calibration: str | None = None

    def predictor(self, run: Run, scenario: str) -> Predictor:
        """Errors as `Run.predictor`. A task that is not calibrated for want of rows has no map in the model's card."""
        return run.predictor(
            scenario,
            contender=self.contender,
            seed=self.seed,
            calibration=self.calibration,
            caution=lambda _: None,
        )

    def digest(self, run: Run, scenario: str) -> str:
        """Of the files, and of what turns them into a graph; errors as `Run.files`."""
        files = run.files(scenario, contender=self.contender, seed=self.seed, calibration=self.calibration)
        key = [FORMAT, __version__, scenario, run.tasks[scenario], snapshot(files).digest]
        return sha256(repr((*key, *([self.calibration] if self.calibration else []))).encode()).hexdigest()[:16]


def graph_file(folder: Path, scenario: str, digest: str) -> Path:
    return folder / f"{file_name(scenario)}-{digest}.onnx"


class Maker:
    """Exports graphs in a process of its own: tracing a network takes seconds, in which a server would stand still."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None
        self._stopped = False

    def make(self, run: Path, choice: Choice, wanted: Mapping[str, Path], done: Callable[[str], None]) -> None:
        """Write the graph of each scenario to its path; `done` is told each.

        Raises:
            UserError: as `Run.predictor`; the folder cannot be written, or the process ends before its time.
        """
        for path in wanted.values():
            with writing(path.parent, _REMEDY):
                path.parent.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_make, args=(run, choice, dict(wanted), there), daemon=True)
        process.start()
        self._process = process
        there.close()
        try:
            if self._stopped:
                process.terminate()
            for scenario, sentence in _messages(here):
                if sentence is not None:
                    raise UserError(sentence)
                done(scenario)
        finally:
            process.join()
            self._process = None
        if process.exitcode:
            raise UserError(f"the process that exports the models of {run} was ended by {_ender(process.exitcode)}")

    def stop(self) -> None:
        """End it now, from any thread."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()


def _ender(code: int) -> str:
    return f"{signal.Signals(-code).name}; did it have enough memory?" if code < 0 else f"an error (exit code {code})"


def _messages(here: Connection) -> Iterator[tuple[str, str | None]]:
    while True:
        try:
            yield here.recv()
        except EOFError:
            return


def _make(run: Path, choice: Choice, wanted: Mapping[str, Path], there: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the server ends this process
    from msmtrec.serving.onnx.export import save_onnx

    finished = Run(run)
    for scenario, path in wanted.items():
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            predictor = choice.predictor(finished, scenario)
            with writing(path.parent, _REMEDY), Path(os.devnull).open("w") as nowhere:
                with redirect_stdout(nowhere), redirect_stderr(nowhere):  # what torch says while it traces
                    save_onnx(predictor, temporary, {"scenario": scenario})
                temporary.replace(path)
        except UserError as error:
            temporary.unlink(missing_ok=True)
            there.send((scenario, str(error)))
            return
        there.send((scenario, None))
