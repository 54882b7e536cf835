"""Who watches a run that a command starts: the terminal, a log of JSON lines, TensorBoard, MLflow."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from msmtrec.base.errors import UserError
from msmtrec.cli.console import err

if TYPE_CHECKING:
    from msmtrec.record.events import Event, Observer


class LogFormat(StrEnum):
    """How a run speaks on the standard error."""

    text = "text"
    json = "json"


class Sink(StrEnum):
    """Where else its series go."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"


QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only errors and the final tables; notes are in the report.")
]
LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="json: one object a line on stderr for each event.")
]
LogToOption = Annotated[
    list[Sink] | None,
    typer.Option("--log-to", help="Series per scenario and task to TensorBoard or MLflow too; repeatable."),
]


@contextmanager
def watching(quiet: bool, log_format: LogFormat, log_to: list[Sink] | None) -> Iterator[Observer]:
    """An observer for `msmtrec.run`.

    With JSON lines the standard error has nothing else: errors and Python's warnings are events too.

    Raises:
        UserError: options that do not go together, or a package is missing.
        typer.Exit: with code 130 after Ctrl-C; with JSON lines also with code 2, for what is a `UserError` else.
    """
    from msmtrec.cli.progress import Bars, PlainLines
    from msmtrec.record.events import ignore
    from msmtrec.sinks.shared import Shared

    if log_format is LogFormat.json:
        if quiet:
            raise UserError("--quiet leaves out what --log-format json writes; give one of the two")
        with _json_alone() as lines:
            yield Shared(lines, sinks=_sinks(log_to))
        return
    try:
        shown = ignore if quiet else Bars(err) if err.is_interactive else PlainLines(err)
        yield Shared(shown, sinks=_sinks(log_to))
    except KeyboardInterrupt:
        err.print("interrupted; continue with the same command and --resume")
        raise typer.Exit(130) from None


def _sinks(log_to: list[Sink] | None) -> dict[str, Observer]:
    if not log_to:
        return {}
    from msmtrec.sinks.mlflow import MLflow  # not before one is wanted
    from msmtrec.sinks.tensorboard import TensorBoard

    makers: dict[Sink, Callable[[], Observer]] = {Sink.tensorboard: TensorBoard, Sink.mlflow: MLflow}
    return {str(name): makers[name]() for name in dict.fromkeys(log_to)}


@contextmanager
def _json_alone() -> Iterator[Observer]:
    from msmtrec.record.events import Note, RunStopped
    from msmtrec.sinks.json_lines import JsonLines

    lines, stopped = JsonLines(sys.stderr), False

    def observer(event: Event) -> None:
        nonlocal stopped
        lines(event)
        stopped = stopped or isinstance(event, RunStopped)

    def stop(reason: str, text: str, code: int) -> typer.Exit:
        if not stopped:  # it ended before the run began
            lines(RunStopped(reason=reason, text=text))
        return typer.Exit(code)

    def warn(message: Warning | str, *_: object) -> None:
        lines(Note(text=str(message)))

    with warnings.catch_warnings():
        warnings.showwarning = warn  # type: ignore[assignment]
        try:
            yield observer
        except UserError as error:
            raise stop("error", str(error), 2) from None
        except KeyboardInterrupt:
            raise stop("interrupted", "interrupted before the run began", 130) from None
