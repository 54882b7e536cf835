"""Contenders side by side, one process each, as many as asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from msmtrec.base.errors import UserError
from msmtrec.config.parse import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.contender import run_contender

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ContenderTask:
    """One contender and where it goes."""

    contender: Contender
    data: EncodedData
    seeds: tuple[int, ...]
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.contender.name}/{self.contender.candidate}" if self.contender.candidate else self.contender.name


def run_tasks(tasks: list[ContenderTask], jobs: int, threads: int, progress: Progress) -> None:
    """Run all contenders.

    With `jobs` = 1 they run here, one after the other, else each in a process of its own. `threads` are those of a
    contender that does not set its own.

    Raises:
        UserError: as the contender raised it; the others are stopped and can be resumed.
    """
    if jobs == 1:
        before = torch.get_num_threads()
        for task in tasks:
            run_contender(task.contender, task.data, task.seeds, task.folder, _named(progress, task.name), threads)
        torch.set_num_threads(before)
        return
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: dict[Connection, tuple[ContenderTask, SpawnProcess]] = {}
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
                    raise UserError(
                        f"the process of contender '{task.contender.name}' ended with exit code {process.exitcode}"
                        " (out of memory?); continue with --resume, or with jobs: 1"
                    ) from None
                if kind == "progress":
                    progress(task.name, *content)
                    continue
                del running[ready]
                process.join()
                if kind == "user error":
                    raise UserError(content)
                if kind == "error":
                    raise RuntimeError(f"contender '{task.contender.name}' failed:\n{content}")
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _named(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


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
    _end_with_parent()
    message: tuple[str, Any] = ("done", None)
    try:
        run_contender(
            task.contender,
            task.data,
            task.seeds,
            task.folder,
            lambda done, total: sender.send(("progress", (done, total))),
            threads,
        )
    except UserError as error:
        message = ("user error", str(error))
    except Exception:  # noqa: BLE001 - handed to the parent, which raises it
        message = ("error", traceback.format_exc())
    sender.send(message)


def _end_with_parent() -> None:
    """A killed parent must not leave a contender writing behind the back of a resumed run."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()

        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
