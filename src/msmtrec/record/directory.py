"""The run directory: what is written where, and how it is read again. Everything a report needs is in it.

config.yaml · candidates.json · environment.json · data.json · results.json · results.csv · report.html ·
calibration.json after `calibrate`
encoders/<variant>/<scenario>/ encoder.json · vocabularies.parquet · scalers.safetensors
ledgers/<variant>/<scenario>.safetensors, where contenders have statistics of ids: what newer rows are added to
contenders/<column>[/<candidate>]/ metrics.jsonl · rounds.jsonl · validation.json ·
models/<scenario>-seed<n>.safetensors · checkpoint/ while training; and for the chosen candidate only:
test.json · scores.npz · validation-scores.npz; failed.json in place of validation.json where training diverged
tensorboard/ and mlflow.json, where these were asked for
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from safetensors import SafetensorError

from msmtrec.base.errors import UserError, close
from msmtrec.base.member import Member
from msmtrec.base.yaml import dump_yaml, read_yaml

if TYPE_CHECKING:
    from msmtrec.evaluation.metrics import Measure

CONFIG, CANDIDATES, ENVIRONMENT, DATA, RESULTS, FIGURES, REPORT = (
    "config.yaml",
    "candidates.json",
    "environment.json",
    "data.json",
    "results.json",
    "results.csv",
    "report.html",
)
ENCODERS, LEDGERS = "encoders", "ledgers"
TENSORBOARD, MLFLOW = "tensorboard", "mlflow.json"
"""The event files; the ids of the run's MLflow runs."""
CHECKPOINT = "checkpoint"
VALIDATION, FAILED = "validation.json", "failed.json"
"""Either is written last in a contender's folder."""
CALIBRATION = "calibration.json"
TEST = "test.json"
SCORES, VALIDATION_SCORES = "scores.npz", "validation-scores.npz"
"""Logits of test and of validation rows."""
_NO_MATTER = ("jobs", "ablate.left_out", "expected")
"""Settings that change no figure."""
_SHOWN = 3
"""Differing settings that a sentence names."""


def open_run(folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
    """Create the directory, or check that it belongs to this config; figures of others are those of now.

    Raises:
        UserError: as `check_free`, or it is unwritable.
    """
    held = check_free(folder, config, resume=resume)
    if held is not None:
        if held.get("expected") == config.get("expected"):
            return
        config = {**held, "expected": config.get("expected")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / CONFIG, dump_yaml(json.loads(json.dumps(config))))
    except OSError as error:
        raise UserError(
            f"cannot write to the run directory {folder}: {error.strerror}; choose another --out"
        ) from error


def check_free(folder: Path, config: Mapping[str, Any], *, resume: bool) -> Mapping[str, Any] | None:
    """A run of this config may go into the directory; nothing is written.

    Returns:
        the config of the run that is there, None where none is.

    Raises:
        UserError: it already holds a run (without resume) or none (with it), one of another config, or something that
            is no run.
    """
    path = folder / CONFIG
    if folder.is_dir() and not path.exists() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise UserError(f"{folder} holds files but no run; choose another --out")
    if path.exists():
        if not resume:
            raise UserError(f"{folder} already holds a run; continue it with --resume or choose another --out")
        try:
            held: Mapping[str, Any] = read_yaml(path)
        except UserError as error:
            raise UserError(f"{path} is damaged, so the run cannot be continued; choose another --out") from error
        different = [key for key, _, _ in differences(held, json.loads(json.dumps(config)))]
        if different:
            more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
            raise UserError(
                f"{folder} holds a run of another config (differs in: {', '.join(different[:_SHOWN])}{more});"
                " choose another --out"
            )
        return held
    if resume:
        raise UserError(f"there is no run in {folder} to resume; {_meant(folder)}")
    return None


@contextmanager
def discarded_if_empty(folder: Path) -> Iterator[None]:
    """A run that a mistake ended before its first round leaves no directory in the way of the next try."""
    try:
        yield
    except UserError:
        if not (folder / "contenders").exists():
            for name in (CONFIG, CANDIDATES, ENVIRONMENT, DATA, ".lock"):
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder / ENCODERS, ignore_errors=True)
            shutil.rmtree(folder / LEDGERS, ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()
        raise


def _meant(folder: Path) -> str:
    """The run beside it whose name is near."""
    beside = folder.absolute().parent
    runs = [path.name for path in beside.iterdir() if (path / CONFIG).exists()] if beside.is_dir() else []
    found = close(folder.name, runs)
    return f"did you mean {folder.parent / found}?" if found else "start it without --resume"


def differences(one: Any, two: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(key, value in one, value in two) of what differs in two configs; None where one has no such key.

    What changes no figure is left out.
    """
    if place in _NO_MATTER:
        return
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted({*one, *two}, key=str):
            yield from differences(one.get(key), two.get(key), f"{place}.{key}" if place else str(key))
    elif one != two:
        yield place or "settings", one, two


def check_finished(folder: Path) -> None:
    """A folder holds a finished run.

    Raises:
        UserError: it does not; what to do.
    """
    if not (folder / CONFIG).exists():
        beside = _meant(folder) if folder.absolute().parent.is_dir() else ""
        hint = beside if beside.startswith("did you mean") else "name the folder that train wrote"
        raise UserError(f"there is no run in {folder}; {hint}")
    if not (folder / RESULTS).exists():
        raise UserError(
            f"the run in {folder} is not finished; continue it: msmtrec train {folder / CONFIG} --out {folder} --resume"
        )


@contextmanager
def writing(folder: Path, remedy: str = "free space, then continue with --resume") -> Iterator[None]:
    """A full disk, or a folder that may not be written, is said in a sentence.

    Raises:
        UserError: in place of an error of the operating system.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write to {folder}: {error}; {remedy}") from error


def write_atomic(path: Path, text: str) -> None:
    """All of the text or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """JSON as the standard has it.

    Raises:
        ValueError: a number is NaN or infinite, for which JSON has no word; None stands for what does not exist.
    """
    write_atomic(path, json.dumps(value, indent=1, default=str, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parsed JSON.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged; is its folder a finished run?") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines; an absent file has none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def contender_folder(run: Path, contender: str, candidate: str = "") -> Path:
    """Where a contender's candidate is; without tuning there is one and it has no name."""
    return run / "contenders" / contender / candidate if candidate else run / "contenders" / contender


def model_file(folder: Path, scenario: str, seed: int) -> Path:
    """Where a contender's folder has a scenario's chosen model."""
    return folder / "models" / f"{file_name(scenario)}-seed{seed}.safetensors"


def server_file(folder: Path, seed: int) -> Path:
    """Where a contender's folder has the server of the round with the best mean validation AUC."""
    return folder / "server" / f"seed{seed}.safetensors"


def encoder_folder(run: Path, variant: str, table: str) -> Path:
    """Where the encoder of a scenario, or of the pooled table, is."""
    return run / ENCODERS / variant / file_name(table)


def ledger_file(run: Path, variant: str, scenario: str) -> Path:
    """Where what a scenario has counted of its ids is."""
    return run / LEDGERS / variant / f"{file_name(scenario)}.safetensors"


def file_name(scenario: str) -> str:
    """A scenario's name as part of a file's; all but letters, digits, '-', '.', '~' and '_' is percent-encoded."""
    found = quote(scenario, safe="")
    return found.replace(".", "%2E") if found.startswith(".") else found


def failure(folder: Path) -> str | None:
    """Why the training in a contender's folder came to nothing, or None."""
    return str(read_json(folder / FAILED)["sentence"]) if (folder / FAILED).exists() else None


def ended(folder: Path) -> bool:
    """Whether the training in a contender's folder is over, well or badly."""
    return (folder / VALIDATION).exists() or (folder / FAILED).exists()


def standard(value: Any) -> Any:
    """With None for numbers that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: standard(item) for key, item in value.items()}
    return [standard(item) for item in value] if isinstance(value, list | tuple) else value


class Lines:
    """An append-only JSON-lines file that knows its length, so that a resumed run continues it exactly."""

    def __init__(self, path: Path, length: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.truncate(length)
        self._file = path.open("a")

    def append(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(standard(record), default=str, allow_nan=False) + "\n")

    def commit(self) -> int:
        """Flush to disk; the length in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        self._file.close()


def metric_records(
    round_number: int, stage: str, split: str, found: Mapping[Member, Iterable[Measure]]
) -> Iterator[dict[str, Any]]:
    """One record per scenario and task."""
    for member, measures in found.items():
        for m in measures:
            yield {"round": round_number, "stage": stage, "split": split, "seed": member.seed, **m.as_dict()}
