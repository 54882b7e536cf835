"""Contenders side by side, one process each, as many as asked for."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.contender import run_contender
from msmtrec.record import directory
from msmtrec.record.events import Event, Observer
from msmtrec.runtime.allocator import keep_freed_memory
from msmtrec.runtime.parent import end_with_parent

_GUARD = (
    "with jobs above 1 every process reads your script again: put the call of msmtrec.run under"
    ' if __name__ == "__main__": in a file, or set jobs: 1'
)


@dataclass(frozen=True)
class ContenderTask:
    """One contender and where it goes; `on_to` as in `run_contender`."""

    contender: Contender
    data: EncodedData
    seeds: tuple[int, ...]
    folder: Path
    _: KW_ONLY
    on_to: int = 0

    @property
    def folders(self) -> dict[str, Path]:
        """Column of the table -> its folder."""
        return column_folders(self.contender, self.folder)

    @property
    def over(self) -> bool:
        """Whether it was trained before, well or badly."""
        return all(directory.ended(folder) for folder in self.folders.values())

    def train(self, tell: Observer, threads: int) -> None:
        """As `run_contender`, in this process."""
        run_contender(self.contender, self.data, self.seeds, self.folder, tell, threads, self.on_to)


def run_tasks(
    tasks: list[ContenderTask],
    jobs: int,
    threads: int,
    observer: Observer,
    ended: Callable[[ContenderTask], None] = lambda _: None,
) -> None:
    """Run all contenders.

    With `jobs` = 1 they run here, one after the other, else each in a process of its own. `threads` are those of a
    contender that does not set its own. `observer` takes what they tell, always in this process. `ended` is told of
    each that is over; what it raises stops the others.

    Raises:
        UserError: as the contender raised it; the others are stopped and can be resumed.
    """
    here: list[ContenderTask] = []
    elsewhere: list[ContenderTask] = []
    for task in tasks:
        (here if jobs == 1 or task.over else elsewhere).append(task)
    for task in here:
        task.train(observer, threads)
        ended(task)
    _run_in_processes(elsewhere, jobs, threads, observer, ended)


def _run_in_processes(
    tasks: list[ContenderTask], jobs: int, threads: int, observer: Observer, ended: Callable[[ContenderTask], None]
) -> None:
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: dict[Connection, tuple[ContenderTask, SpawnProcess]] = {}
    begun: set[Connection] = set()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(task, threads, sender), daemon=True)
                _start(process)
                sender.close()
                running[receiver] = (task, process)
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                task, process = running[ready]
                try:
                    kind, content = ready.recv()
                except EOFError:
                    process.join()
                    raise UserError(_why_ended(task, process.exitcode, ready in begun)) from None
                begun.add(ready)
                if kind == "begun":
                    continue
                if kind == "event":
                    observer(content)
                    continue
                if kind == "warning":
                    warnings.warn(content, stacklevel=1)
                    continue
                del running[ready]
                process.join()
                if kind == "user error":
                    raise UserError(content)
                if kind == "error":
                    raise RuntimeError(f"contender '{task.contender.title}' failed:\n{content}")
                ended(task)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _why_ended(task: ContenderTask, code: int | None, begun: bool) -> str:
    """Of a process that ended without a word. One that was killed has a negative exit code."""
    if not begun and code is not None and code > 0:
        return f"the process of contender '{task.contender.title}' did not get as far as training; {_GUARD}"
    return (
        f"the process of contender '{task.contender.title}' ended with exit code {code} (out of memory?); continue with"
        " --resume, or with jobs: 1"
    )


def refuse_within_import() -> None:
    """A process of ours that reads the user's script again must not begin the whole run again.

    Raises:
        UserError: this is such a process, and it is still reading.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # what multiprocessing itself asks
        raise UserError(_GUARD)


def _start(process: SpawnProcess) -> None:
    """Deaf to Ctrl-C from its first moment: the parent hears it too, and ends the process."""
    if threading.current_thread() is not threading.main_thread():  # may not touch signals
        process.start()
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _work(task: ContenderTask, threads: int, sender: Connection) -> None:
    end_with_parent()
    keep_freed_memory()
    sender.send(("begun", None))

    def tell(event: Event) -> None:
        sender.send(("event", event))

    def warn(message: Warning | str, *_: object) -> None:  # one process writes on the standard error
        sender.send(("warning", str(message)))

    warnings.showwarning = warn  # type: ignore[assignment]
    message: tuple[str, Any] = ("done", None)
    try:
        task.train(tell, threads)
    except UserError as error:
        message = ("user error", str(error))
    except Exception:  # noqa: BLE001 - handed to the parent, which raises it
        message = ("error", traceback.format_exc())
    sender.send(message)
