"""The server's half of a deployed experiment: its run directory has no rows, no models and no scores."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.base.schema import Schema
from msmtrec.base.version import __version__
from msmtrec.config.agreed import Agreed
from msmtrec.config.contender import Contender
from msmtrec.config.parse import check_batches
from msmtrec.data.encoding.layout import make_layout
from msmtrec.deployed.checking import Asked, doubts
from msmtrec.deployed.far import Far, FarCheckpoint, Nodes
from msmtrec.deployed.fit import fitting
from msmtrec.deployed.joining import begun_with, check_may_join, check_networks, newcomers, note_joined, rows_of
from msmtrec.deployed.link import Link, all_of
from msmtrec.deployed.messages import Begin, End, Ended, Facts, Key, Know, Known, Score, Scored, Weigh, Weighed
from msmtrec.deployed.trust import check_evidence, check_said, declared, own_alone, records
from msmtrec.experiment.choice import Chosen, check_goes_on, choose, lost
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.described import environment, unit_of, versions
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.known import network
from msmtrec.experiment.results import write_results
from msmtrec.experiment.run import candidates_of, finished_columns, run_started, stop_told
from msmtrec.experiment.scenarios import Ground, members_of
from msmtrec.experiment.sites import common_parameters
from msmtrec.experiment.training import ending, first_standing, measured_once, started, told_again, train
from msmtrec.federation import checkpoint as snapshots
from msmtrec.federation.messages import Order
from msmtrec.federation.standing import grown
from msmtrec.models.beside import widened
from msmtrec.record import directory
from msmtrec.record.directory import CHECKPOINT, TEST, write_json
from msmtrec.record.events import Note, Observer, Phase, RunFinished, ignore
from msmtrec.record.evidence import Evidence
from msmtrec.record.lock import locked
from msmtrec.record.results import Results
from msmtrec.record.summary import Finished, summarise
from msmtrec.statistics.exchange import Said

_ENDS = 60.0
"""Seconds in which the process of an earlier run ends, where its SuperLink was killed: it notices that by and by."""


@dataclass(frozen=True)
class FarTask:
    """Implements `choice.Training`."""

    contender: Contender
    folder: Path

    @property
    def key(self) -> Key:
        return Key(self.contender.name, self.contender.candidate)

    @property
    def folders(self) -> dict[str, Path]:
        return column_folders(self.contender, self.folder)


class Federation:
    """A deployed run from the server's side.

    Args:
        agreed: what is trained.
        nodes: who has which scenarios, in table order.
        link: how they are reached.
        folder: its run directory.
        quorum: nodes that must answer in an exchange of a round.

    Raises:
        UserError: batch sizes are given by scenario, and not for those that there are.
    """

    def __init__(
        self,
        agreed: Agreed,
        nodes: Nodes,
        link: Link,
        folder: Path,
        *,
        quorum: int = 1,
        observer: Observer = ignore,
    ) -> None:
        self.agreed, self.nodes, self.link, self.folder = agreed, nodes, link, folder
        self.quorum, self.observer = quorum, observer
        self.scenarios = tuple(name for names in nodes.values() for name in names)
        self.owner = {name: node for node, names in nodes.items() for name in names}
        check_batches((one for candidates in agreed.contenders for one in candidates), self.scenarios)

    def run(self, *, resume: bool = False) -> Results:
        """All of it; where it was interrupted, what is left.

        Raises:
            UserError: a node refuses, does not answer, or declares its rows otherwise than the others.
        """
        with stop_told(self.observer):
            directory.open_run(self.folder, self.agreed.as_dict(), resume=resume)
            with locked(self.folder, within=_ENDS), directory.discarded_if_empty(self.folder):
                self.observer(run_started(self.agreed, 1, self.folder, resume))
                self.observer(Phase(phase=f"asking {len(self.nodes)} nodes for their rows"))
                tasks = [FarTask(one, self._folder(one)) for own in self.agreed.contenders for one in own]
                schema, rows = self._begin(tasks)
                self.observer(Phase(phase="training"))
                for task in tasks:
                    self._contender(task, schema, rows)
                    check_goes_on(tasks, ())
                self.observer(Phase(phase="comparing"))
                results = self._table(schema, tasks)
                self.observer(RunFinished(folder=str(self.folder), seeds=self.agreed.seeds, results=results))
        return results

    def _folder(self, contender: Contender) -> Path:
        return directory.contender_folder(self.folder, contender.name, contender.candidate)

    def ask(self) -> Asked:
        """The first question; nothing is trained, and nothing written here.

        Raises:
            UserError: a node refuses, does not answer, or speaks for others.
        """
        config, first = json.dumps(self.agreed.as_dict()), begun_with(self.folder, self.scenarios)
        begin, began = Begin(__version__, config, self.scenarios, first), time.time()
        facts = all_of(self.link, dict.fromkeys(self.nodes, begin), Facts)
        own = {node: declared(node, self.nodes[node], one) for node, one in facts.items()}
        return Asked(facts, {name: own[self.owner[name]] for name in self.scenarios}, began, time.time())

    def check(self) -> Asked:
        """The first question and what follows from its answers; errors as `run`."""
        asked = self.ask()
        fitting(asked.told)
        for doubt in doubts(asked, {name: version for name, version in versions().items() if version}):
            self.observer(Note(text=doubt))
        return asked

    def _begin(self, tasks: Sequence[FarTask]) -> tuple[Schema, dict[str, int]]:
        """(what all rows mean, scenario -> training rows)"""
        new = newcomers(self.folder, self.scenarios)
        if new:
            check_may_join(new, tasks, self.folder)
        asked = self.check()
        if new:
            layout = make_layout(asked.schema, share=False, scenarios=self.scenarios)
            check_networks(new, tasks, layout)
            self.observer(Note(text=f"from now on with {', '.join(new)}"))
        self._describe(asked.schema, asked.facts, new)
        return asked.schema, {name: asked.facts[self.owner[name]].rows[name]["train"] for name in self.scenarios}

    def _describe(self, schema: Schema, facts: Mapping[str, Facts], new: tuple[str, ...]) -> None:
        """What the directory of a run has beside its contenders, as far as a server knows it.

        Raises:
            UserError: rows have changed since the run was begun.
        """
        rows = {name: {"rows": dict(facts[self.owner[name]].rows[name])} for name in self.scenarios}
        contenders = self.agreed.contenders
        kinds = dict.fromkeys(variant(one) for candidates in contenders for one in candidates)
        known = {"name": schema.name, "origin": f"{len(self.nodes)} nodes", "fingerprint": "", "notes": []}
        found = {kind: {**known, "scenarios": rows} for kind in kinds}
        place = self.folder / directory.DATA
        if place.exists() and rows_of(directory.read_json(place)) != rows_of(found, new):
            raise UserError(
                f"rows of a node have changed since {self.folder} was begun; give the federation another folder"
            )
        if new:
            note_joined(self.folder, new)
        write_json(place, found)
        write_json(self.folder / directory.CANDIDATES, candidates_of(contenders))
        write_json(self.folder / directory.ENVIRONMENT, environment(1, torch.get_num_threads(), "cpu"))

    def _contender(self, task: FarTask, schema: Schema, rows: Mapping[str, int]) -> None:
        over = all(directory.ended(place) for place in task.folders.values())
        if over:
            told_again(task.contender, self.agreed.seeds, task.folders, self.observer)
        else:
            ground = self._know(task, schema, rows)
            with ending(task.folders):
                self._train(task, ground)
            shutil.rmtree(task.folder / CHECKPOINT, ignore_errors=True)
        for event in finished_columns(task, earlier=over):
            self.observer(event)

    def _know(self, task: FarTask, schema: Schema, rows: Mapping[str, int]) -> Ground:
        """What scenarios come to know of their ids together; then the network and the method stand."""
        contender, key, heard = task.contender, task.key, list[Said]()
        while True:
            answers = all_of(self.link, dict.fromkeys(self.nodes, Know(key, tuple(heard), rows)), Known)
            said = {name: step for answer in answers.values() for name, step in answer.said.items()}
            if not said:
                break
            heard.append(self._summed(said))
        counted = {name: count for answer in answers.values() for name, count in answer.counted.items()}
        for node, answer in answers.items():
            own_alone(node, self.nodes[node], answer.counted, "has counted rows of")
        sent = [both for answer in answers.values() for both in answer.sent.values()]
        layout = make_layout(schema, share=variant(contender) == "shared", scenarios=self.scenarios)
        model = network(contender, widened(layout, next(iter(answers.values())).more))
        return Ground(
            contender.settings.build(model.declare()),
            model,
            {name: counted[name] for name in self.scenarios},
            (sum(up for up, _ in sent), sum(down for _, down in sent)),
        )

    def _summed(self, said: Mapping[str, Said]) -> Said:
        """What all scenarios have said, together."""
        if set(said) != set(self.scenarios):
            raise UserError("nodes are at different steps before the first round; do all run the same version?")
        check_said(said)
        try:
            return Said.together([said[name] for name in self.scenarios])
        except ValueError as error:
            raise UserError(f"what nodes say before the first round does not fit together: {error}") from error

    def _train(self, task: FarTask, ground: Ground) -> None:
        seeds, contender, folder = self.agreed.seeds, task.contender, task.folder
        far = partial(Far, self.link, self.nodes, task.key, quorum=self.quorum, tell=self.observer)
        if contender.entry.alone:
            shutil.rmtree(folder, ignore_errors=True)
            self.observer(started(contender, seeds, 0))
            orders = dict.fromkeys(ground.members(seeds), Order(1, measure=0))
            measured_once(contender, contender.name, far(), orders, folder, self.observer)
            return
        place = snapshots.newest(folder / CHECKPOINT)
        if place is None:
            shutil.rmtree(folder, ignore_errors=True)
            common = common_parameters(contender, ground.model, seeds)
            scenarios, standing, lengths = far(), first_standing(contender, ground, common), None
        else:
            kind: Any = FarCheckpoint[ground.method.state_type]  # type: ignore[name-defined]
            saved = snapshots.read(place, kind)
            scenarios = far(after=dict(saved.after), number=saved.number)
            standing, lengths = grown(ground.method, saved.standing, ground.rows), saved.lengths
        train(contender, ground, scenarios, standing, folder=folder, tell=self.observer, lengths=lengths)

    def _score(self, column: str, found: Chosen[FarTask]) -> None:
        """The test rows are read where they are; their figures come here."""
        if (found.folder / TEST).exists():
            return
        asked = dict.fromkeys(self.nodes, Score(found.task.key, column))
        answers = all_of(self.link, asked, Scored)
        seeds = self.agreed.seeds
        found_there = [one for n, own in answers.items() for one in records(n, self.nodes[n], seeds, own.records)]
        place = {member: n for n, member in enumerate(members_of(seeds, self.scenarios))}
        found_there.sort(key=lambda record: place[Member(record["seed"], record["scenario"])])
        write_json(found.folder / TEST, found_there)

    def _table(self, schema: Schema, tasks: Sequence[FarTask]) -> Results:
        """As on one machine, but that users of two nodes are taken for different ones; then nodes can be used."""
        chosen = choose(tasks)
        for column, found in chosen.items():
            self._score(column, found)
        candidates = {column: found.task.contender.candidate for column, found in chosen.items()}
        weighed = all_of(self.link, dict.fromkeys(self.nodes, Weigh(candidates)), Weighed)
        columns = {
            column: Finished(found.folder, candidates[column], found.task.contender.kind)
            for column, found in chosen.items()
        }
        for node, answer in weighed.items():
            check_evidence(node, self.nodes[node], answer.found)
        evidence = Evidence.together([answer.found for answer in weighed.values()])
        notes, unit = tuple(lost(tasks)), unit_of(schema.group)
        results = summarise(self.agreed.name, columns, schema.task_names, notes, unit, found=evidence)
        all_of(self.link, dict.fromkeys(self.nodes, End(candidates)), Ended)
        write_results(self.folder, results)
        return results
