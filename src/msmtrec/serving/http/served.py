"""One run as it is served: a scorer for every scenario, all of one version."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnxruntime

from msmtrec.base.errors import UserError, nearest
from msmtrec.data.encoding.derived import only_read
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.serving.card import model_card
from msmtrec.serving.finished import Run
from msmtrec.serving.http.graphs import Choice, Maker, graph_file
from msmtrec.serving.http.scorer import FAILURES, Scorer
from msmtrec.serving.http.settings import Settings
from msmtrec.serving.onnx.inputs import Input
from msmtrec.serving.predictor import Predictor

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Served:
    """What answers requests until a newer one takes its place.

    Args:
        folder: the run's, with links followed.
        contender: column of the result table.
        digest: of all its models; two servers with the same give the same scores.
    """

    folder: Path
    contender: str
    seeds: tuple[int, ...]
    digest: str
    _: KW_ONLY
    scorers: Mapping[str, Scorer]

    @property
    def identity(self) -> dict[str, Any]:
        """Which model answers, for answers and logs."""
        return {
            "run": self.folder.name,
            "contender": self.contender,
            "seeds": list(self.seeds),
            "version": self.digest,
        }


@dataclass(frozen=True)
class Plan:
    """A run that was looked at, whose graphs are not loaded yet.

    Args:
        digests: scenario -> of its models.
        graphs: folder of the exported graphs.
    """

    run: Run
    choice: Choice
    digests: Mapping[str, str]
    graphs: Path

    @classmethod
    def of(cls, settings: Settings) -> Plan:
        """What is served when the settings' run is opened now; errors as `opened`, for every scenario."""
        run, choice = opened(settings)
        digests = {scenario: choice.digest(run, scenario) for scenario in run.scenarios}
        return cls(run, choice, digests, settings.graphs or run.folder / "serving")

    @property
    def digest(self) -> str:
        return sha256("".join(self.digests.values()).encode()).hexdigest()[:12]

    def file(self, scenario: str) -> Path:
        """Of a scenario's graph."""
        return graph_file(self.graphs, scenario, self.digests[scenario])

    def check_succeeds(self, old: Served) -> None:
        """Whoever asks the old run can ask this one.

        Raises:
            UserError: a scenario or task is gone, or rows would need another column or another kind of value.
        """
        for name, before in old.scorers.items():
            if name not in self.digests:
                near = nearest(name, self.digests)
                raise UserError(f"{self.run.folder} has no scenario '{name}', which is being served; {near}")
            _check_alike(before, self.choice.predictor(self.run, name), str(self.run.folder))

    def export(self, maker: Maker, done: Progress) -> None:
        """Make the graphs that are missing; errors as `Maker.make`."""
        missing = {name: self.file(name) for name in self.digests if not self.file(name).exists()}
        if missing:
            maker.make(self.run.folder, self.choice, missing, done)

    def load(self, done: Progress) -> Served:
        """All scenarios, once their graphs are there; `done` is told each.

        Raises:
            UserError: a graph is damaged, or as `Run.predictor`.
        """
        scorers: dict[str, Scorer] = {}
        seeds: tuple[int, ...] = ()
        for scenario in self.digests:
            predictor = self.choice.predictor(self.run, scenario)
            session = _session(self.file(scenario))
            held = json.loads(session.get_modelmeta().custom_metadata_map["msmtrec"])
            scorers[scenario] = Scorer(
                scenario,
                predictor.tasks,
                predictor.encoder,
                session,
                inputs={name: Input.from_dict(one) for name, one in held["inputs"].items()},
                card=model_card(self.run, predictor),
            )
            scorers[scenario].warm()
            seeds = tuple(predictor.models)
            done(scenario)
        return Served(self.run.folder, str(self.choice.contender), seeds, self.digest, scorers=scorers)


def opened(settings: Settings) -> tuple[Run, Choice]:
    """The run, with links followed, and which of its models are served.

    Raises:
        UserError: it is absent, unfinished or damaged, or lacks the contender or seed.
    """
    run = Run(settings.run.resolve() if settings.run.exists() else settings.run)
    choice = Choice(settings.contender or run.best, settings.seed, settings.calibration)
    choice.predictor(run, run.scenarios[0])
    return run, choice


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # it writes to stderr what is raised anyway
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except FAILURES as error:
        raise UserError(f"{path} is damaged; remove it, and it is made again") from error


def _check_alike(old: Scorer, new: Predictor, folder: str) -> None:
    where = f"in scenario '{old.scenario}'"
    for task in old.tasks:
        if task not in new.tasks:
            raise UserError(f"{folder} has no task '{task}' {where}, which is being served")
    for column in new.columns:
        if column not in old.columns:
            raise UserError(f"{folder} needs a column '{column}' {where}, which requests do not have to bring yet")
        before, after = kind_in(old.encoder, column), kind_in(new.encoder, column)
        if before != after:
            raise UserError(f"{folder}: column '{column}' {where} holds {after}, and requests bring {before}")


def kind_in(encoder: Encoder, column: str) -> str:
    """What a raw column holds, in a word or two."""
    if any(feature.name == column for feature in encoder.schema.numeric):
        return "numbers"
    for feature in encoder.schema.vectors:
        if feature.name == column:
            return f"vectors of {feature.size} numbers"
    for feature in encoder.schema.weighted:
        if feature.name == column:
            return f"lists of id{feature.weight_separator}weight"
    if read_as := only_read(encoder.schema).get(column):
        return read_as
    kind = encoder.kinds.get(column) or "text"
    kind = "ids" if kind in ("text", "numbers") else kind
    listed = any(feature.name == column and feature.has_lists for feature in encoder.schema.features)
    return f"lists of {kind}" if listed else kind
