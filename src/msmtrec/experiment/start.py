"""A finished run that training goes on from: its models in today's tables, its server, its encoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import FITTED, Role
from msmtrec.base.yaml import read_yaml
from msmtrec.config.contender import Contender
from msmtrec.config.parse import Config, parse_config
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.encoding.growing import private_places, private_sources
from msmtrec.data.table import EncodedData
from msmtrec.experiment.encoders import variant
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation.server import ServerState
from msmtrec.federation.standing import Standing
from msmtrec.methods.base import Method
from msmtrec.record.columns import AS_IT_WAS, FINE_TUNED
from msmtrec.record.directory import (
    CONFIG,
    DATA,
    contender_folder,
    encoder_folder,
    ledger_file,
    model_file,
    read_json,
    server_file,
)
from msmtrec.record.models import load_model
from msmtrec.record.summary import Finished
from msmtrec.serving.finished import Run
from msmtrec.serving.scoring import kept_encoder
from msmtrec.statistics.encoded import Known, Statistics
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.ledger_files import load_ledger
from msmtrec.statistics.looked_up import LookedUp
from msmtrec.statistics.units import unit_of

S = TypeVar("S")


@dataclass(frozen=True)
class Start:
    """What a finished run gives to a contender of the same name in the next one.

    Args:
        run: the finished run.
    """

    run: Run

    @classmethod
    def open(cls, folder: Path) -> Start:
        """Errors as `Run`."""
        return cls(Run(folder))

    @cached_property
    def config(self) -> Config:
        """Of the finished run."""
        return parse_config(read_yaml(self.run.folder / CONFIG))

    def served(self, name: str) -> tuple[str, str]:
        """(column, candidate): the better on validation of a contender's column and its fine-tuned one.

        Raises:
            UserError: the run has no such contender.
        """
        if name not in self.run.contenders:
            known = nearest(name, self.run.contenders)
            raise UserError(f"{self.run.folder} has no contender '{name}' to go on from; {known}")
        columns = [column for column in (name, f"{name}{FINE_TUNED}") if column in self.run.contenders]
        best = max(columns, key=self.score)
        return best, self.run.results.chosen.get(best, "")

    def score(self, column: str) -> float:
        """Mean validation AUC of a column."""
        return Finished(self._folder(column)).validation_auc

    def _folder(self, column: str) -> Path:
        return contender_folder(self.run.folder, column, self.run.results.chosen.get(column, ""))

    def contender(self, name: str) -> Contender:
        """The contender that was trained, with the candidate whose models are served; errors as `served`."""
        return self.settings(self.served(name)[0])

    def settings(self, column: str) -> Contender:
        """The contender behind a column of the table, with the candidate that stands there."""
        candidate = self.run.results.chosen.get(column, "")
        known = (c for candidates in self.config.contenders for c in candidates)
        return next(c for c in known if column in c.columns and c.candidate == candidate)

    def some_encoder(self, kind: str) -> Encoder:
        """Any scenario's, of a variant: all have the same features and tasks."""
        return Encoder.load(encoder_folder(self.run.folder, kind, next(iter(self._described[kind]))))

    @cached_property
    def _described(self) -> dict[str, dict[str, Any]]:
        """variant -> scenario -> what data.json says of it"""
        return {kind: found["scenarios"] for kind, found in read_json(self.run.folder / DATA).items()}

    def check(self, contender: Contender, data: EncodedData, seeds: Iterable[int]) -> None:
        """Whether training can go on.

        Raises:
            UserError: the run has no such contender or seed, or another method, network, type of numbers, or scenarios
                that the network counts on.
        """
        before, place = self.contender(contender.name), f"methods.{contender.name}"
        for what, old, new in (
            ("method", before.method, contender.method),
            ("options", before.settings, contender.settings),
            ("model", before.model, contender.model),
            ("train.dtype", before.train.dtype, contender.train.dtype),
            ("statistics", before.statistics, contender.statistics),
        ):
            if old != new:
                raise UserError(
                    f"{place}.{what} differs from the run it goes on from; leave it as in {self.run.folder / CONFIG}"
                )
        column, _ = self.served(contender.name)
        for seed in seeds:
            if seed not in (known := self.run.seeds(column)):
                raise UserError(
                    f"{self.run.folder} has no seed {seed} to go on from; it has {', '.join(map(str, known))}"
                )
        owners = {d.owners for d in contender.model.build(data.layout).declare() if d.owners}
        if owners and self._scenarios(contender) != data.scenarios:
            raise UserError(
                f"{place}: {contender.model.name} has weights for each scenario of {self.run.folder}; the new logs must"
                f" have the same scenarios in the same order: {', '.join(self._scenarios(contender))}"
            )

    def _scenarios(self, contender: Contender) -> tuple[str, ...]:
        return tuple(self._described[variant(contender)])

    def sentence(self, scenarios: Iterable[str]) -> str:
        """What a reader of the new run must know."""
        now = list(scenarios)
        new = [name for name in now if name not in self.run.scenarios]
        gone = [name for name in self.run.scenarios if name not in now]
        found = (
            f"goes on from {self.run.folder}: every scenario from the models it served, the server from the round with"
            f" the best mean validation AUC; columns that end in {AS_IT_WAS} are those models on the new rows"
        )
        found += f"; new: {', '.join(new)}" if new else ""
        return found + (f"; without new rows, and not in this run: {', '.join(gone)}" if gone else "")

    def encoders(self, kind: str, scenarios: Iterable[str]) -> dict[str, Encoder]:
        """Scenario -> encoder of a variant, for those that the run has."""
        folders = {name: encoder_folder(self.run.folder, kind, name) for name in scenarios}
        return {name: Encoder.load(folder) for name, folder in folders.items() if folder.exists()}

    def knows(self, contender: Contender, scenario: str) -> bool:
        """Whether it has a model of the scenario."""
        return scenario in self._described[variant(contender)]

    def parameters(
        self, contender: Contender, data: EncodedData, drawn: Mapping[Member, Parameters]
    ) -> dict[Member, Parameters]:
        """What each scenario served, in tables for today's ids; one that is new has the drawn parameters."""
        column, _ = self.served(contender.name)
        found, sources = dict(drawn), dict[str, Tensor]()
        for member in drawn:
            scenario = member.scenario
            if not self.knows(contender, scenario):
                continue
            served, card = load_model(model_file(self._folder(column), scenario, member.seed))
            if scenario not in sources:  # the same for all seeds
                before = kept_encoder(self.run.folder, card)
                sources[scenario] = torch.from_numpy(private_sources(before, encoder_of(data, scenario)))
            own = sources[scenario]
            trained = {n: v for n, v in served.items() if card.roles[n] not in FITTED}
            found[member] = {n: v[own] if card.roles[n] == Role.EMBEDDING else v for n, v in trained.items()}
        return found

    def ledgers(self, contender: Contender, data: EncodedData) -> dict[str, Ledger]:
        """Scenario -> what it had counted of its ids, as what came before its rows of today; {} without statistics.

        Of scenarios without rows today too: sums have a part of theirs.
        """
        if contender.statistics is None:
            return {}
        column, _ = self.served(contender.name)
        found = {}
        for scenario in self.counted(variant(contender)):
            _, card = load_model(model_file(self._folder(column), scenario, self.run.seeds(column)[0]))
            ledger = self.ledger(variant(contender), scenario, data)
            names = [name for name, *_ in card.statistics["counted"]]
            found[scenario] = replace(ledger, fields={name: ledger.fields[name] for name in names})
        return found

    def counted(self, kind: str) -> tuple[str, ...]:
        """Scenarios of a variant that have counted their ids."""
        return tuple(name for name in self._described[kind] if ledger_file(self.run.folder, kind, name).exists())

    def ledger(self, kind: str, scenario: str, data: EncodedData) -> Ledger:
        """Of one scenario, all fields; its private ids are rows of today's table."""
        found = load_ledger(ledger_file(self.run.folder, kind, scenario))
        if scenario not in data.tables:
            return found
        before = Encoder.load(encoder_folder(self.run.folder, kind, scenario))
        found = found.by(private_places(before, encoder_of(data, scenario)))
        if not data.ordered:
            return found.as_one()
        return found.without(unit_of(data.tables[scenario].splits["train"], ordered=True))

    def looked_up(self, contender: Contender, data: EncodedData, known: Mapping[str, Known]) -> Statistics:
        """What the served models look up of ids, for today's rows; of new scenarios what is `known` of them."""
        column, _ = self.served(contender.name)
        found = dict(known)
        for scenario in data.scenarios:
            if self.knows(contender, scenario):
                path = model_file(self._folder(column), scenario, self.run.seeds(column)[0])  # of all seeds
                served, card = load_model(path)
                sources = private_sources(kept_encoder(self.run.folder, card), encoder_of(data, scenario))
                found[scenario] = LookedUp.of(card.statistics, served, data.layout, sources)
        return Statistics(data.layout, found)

    def standing(
        self, contender: Contender, method: Method[S], seeds: Iterable[int], rows: Mapping[str, int]
    ) -> Standing[S]:
        """The servers of the rounds with the best mean validation AUC; every scenario is owed its first download."""
        column, _ = self.served(contender.name)
        servers: dict[int, ServerState[Any]] = {}
        for seed in seeds:
            state, replies = method.again(self.server(column, method, seed), rows)
            servers[seed] = ServerState(state, dict.fromkeys(rows, 0), replies)
        return Standing(servers, measured=False)

    def server(self, column: str, method: Method[S], seed: int) -> S:
        """The method's state after the round with the best mean validation AUC, of the training behind a column."""
        settings = self.settings(column)
        folder = contender_folder(self.run.folder, settings.name, settings.candidate)
        return checkpoints.load_server(server_file(folder, seed), method.state_type).server.method
