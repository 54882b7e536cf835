"""The Strategy: Flower's rounds around our server, for a network and a training loop of somebody else's."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result
from torch import Tensor

from msmtrec.base.errors import UserError
from msmtrec.base.roles import Policy
from msmtrec.base.sentences import one_of
from msmtrec.base.streams import numpy_stream
from msmtrec.deployed.strategy import records
from msmtrec.deployed.strategy.choice import cautions, method_of, settings_of
from msmtrec.deployed.strategy.metrics import by_scenario, means
from msmtrec.deployed.strategy.nodes import Nodes
from msmtrec.deployed.strategy.records import OWN, SCENARIO, TASKS, Offered, arrays_of, packed, unpacked
from msmtrec.deployed.strategy.role_table import role_table
from msmtrec.deployed.strategy.stacked import split
from msmtrec.deployed.strategy.standing import Federation, Slots
from msmtrec.deployed.strategy.uploads import Reader, fault_of
from msmtrec.methods.base import Answer, Offer
from msmtrec.methods.pf_msmtrec import ANCHOR
from msmtrec.methods.phases import MODEL

log = logging.getLogger("flwr")
_LOOK = 3.0
"""Seconds between two looks at who is there."""


class MSMTrecStrategy(FedAvg):
    """A federated method of this package for any PyTorch network, in place of Flower's FedAvg.

    Every scenario gets a message of its own: the values that it holds of what travels. `result.arrays` of `start` are
    what a scenario that is new would get.

    Args:
        state: `model.state_dict()`, the first values; only what travels is sent.
        roles: pattern of names -> role (`role_table.role_table`), for every entry of the state_dict.
        tasks: names, in the order in which axes count them.
        method, preset, options: as in a config of msmtrec.
        scenarios: that may take part; without it whoever is there.
        identity: `claimed`: a scenario is who it says, to `client.answer`; `registered`: who its key was registered as.
        quorum: scenarios whose update must count in a round; with fewer the run ends, with one sentence.
        max_staleness: rounds after which an update is too old to count.
        folder: of checkpoints. Begun again with it, `start` goes on until `num_rounds` are done.
        seed: of who takes part in a round, where `fraction_train` is below 1.
        flower: as FedAvg of Flower: `fraction_train`, `fraction_evaluate`, `min_train_nodes`, `min_evaluate_nodes`,
            `min_available_nodes`, and how records and keys are called.

    Raises:
        UserError: roles or options cannot be used, or the folder has a checkpoint of another federation.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        roles: Mapping[str, str],
        *,
        tasks: Sequence[str],
        method: str = "pf-msmtrec",
        preset: str | None = None,
        options: Mapping[str, Any] | None = None,
        scenarios: Sequence[str] = (),
        identity: str = "claimed",
        quorum: int = 1,
        max_staleness: int = 10,
        folder: str | Path | None = None,
        seed: int = 0,
        **flower: Any,
    ) -> None:
        super().__init__(**{"train_metrics_aggr_fn": means, "evaluate_metrics_aggr_fn": means, **flower})
        for what, names in (("tasks", tasks), ("scenarios", scenarios)):
            if isinstance(names, str) or len(set(names)) < len(names):
                raise UserError(f"{what} must be names, each once, not {names!r}")
        if not tasks:
            raise UserError("tasks is empty; name at least one")
        one_of(identity, ("claimed", "registered"), "identity")
        if quorum < 1 or max_staleness < 0:
            raise UserError("quorum must be at least 1, and max_staleness at least 0")
        self.settings = settings_of(method, preset, options or {})
        self.table = role_table(state, roles, tuple(tasks))
        self.method = method_of(self.settings, self.table)
        self.named, self.seed = method, seed
        self.reader = Reader(
            self.table,
            tuple(self.method.common_names()),
            tuple(tasks),
            arrays=self.arrayrecord_key,
            rows=self.weighted_by_key,
        )
        about = json.dumps([method, self.settings.model_dump(mode="json"), self._shapes(), list(tasks)])
        place = None if folder is None else Path(folder)
        self.federation = Federation(
            self.table, self.method, about, max_staleness=max_staleness, quorum=quorum, folder=place
        )
        self.nodes = Nodes(tuple(scenarios), identity)
        self.diagnostics: Mapping[str, Any] = {}
        self._asked: dict[str, Message] = {}
        self._before: dict[str, Slots] = {}
        self._grid: Grid | None = None
        self._timeout = 3600.0

    def summary(self) -> None:
        """Say what travels, what stays, and what options mean less than they seem to."""
        policies = self.method.policies()
        log.info("\t├──> Method: %s", self.named)
        for d in self.table.declarations:
            what = policies.get((MODEL, d.role), Policy.LOCAL)
            log.info("\t│\t├── %s: %s, %s", d.name, d.role.value, what.value)
        for sentence in cautions(self.settings, self.method, len(self.nodes.scenarios) or self.min_available_nodes):
            log.warning("\t│\t├── %s", sentence)
        if self.federation.round:
            log.info("\t│\t└── goes on after round %d", self.federation.round)
        super().summary()

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord | None = None,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """As Flower's, until `num_rounds` are done, those before a restart among them, which the results do not have.

        Args:
            initial_arrays: none are needed, and none are used: first values are those of `state`.
        """
        self._timeout = timeout
        done = self.federation.round
        told = (lambda number, arrays: evaluate_fn(done + number, arrays)) if evaluate_fn else None
        left = max(0, num_rounds - done)
        return super().start(grid, self._newcomer(), left, timeout, train_config, evaluate_config, told)

    # training

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """To every scenario that is chosen, what it holds."""
        self._grid, self._asked, self._before = grid, {}, {}
        number = self.federation.round + 1
        for name, node in self._chosen("train", number, grid).items():
            self._before[name] = self.federation.sent(name)
            self._asked[name] = self._message("train", name, node, self._before[name], number, config)
        return list(self._asked.values())

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """A round of `federation.server`, with its second exchange where the method makes offers."""
        uploads, refused, number = {}, [], self.federation.round + 1
        answered = self._contents(self._asked, replies)
        if not self._asked:
            return None, None
        for name, content in answered.items():
            try:
                uploads[name] = self.reader.upload(name, content, dict(self._before[name][MODEL]))
            except ValueError as error:
                refused.append(str(error))
        step = self.federation.aggregate(uploads, refused, len(self._asked))
        found = dict(step.diagnostics)
        if step.offers:
            found |= self.federation.settle(self._second_exchange(step.offers, number))
        self.federation.save()
        self.diagnostics = found
        for sentence in found["rejected"]:
            log.warning("round %d: %s; the round goes on without it", number, sentence)
        for name in found["stale"]:
            log.warning("round %d: scenario '%s' was away too long; it begins anew", number, name)
        used = {name: content for name, content in answered.items() if name in found["staleness"]}
        return self._newcomer(), by_scenario(used, self.train_metrics_aggr_fn, self.weighted_by_key)

    def _second_exchange(self, offers: Mapping[str, Offer], number: int) -> dict[str, Answer]:
        """Answers of those that have one; who has none keeps what it had before the round."""
        assert self._grid is not None
        asked = {}
        for name, offer in offers.items():
            those = self.table.of({key for part in offer.parts for key in part.parameters})
            content = packed(Offered(number, offer, those, self.reader.tasks), records.OFFER)
            node = self._asked[name].metadata.dst_node_id
            asked[name] = Message(content, dst_node_id=node, message_type="query", group_id=str(number))
        replies = list(self._grid.send_and_receive(list(asked.values()), timeout=self._timeout))
        answers: dict[str, Answer] = {}
        for name, content in self._contents(asked, replies).items():
            try:
                answer = unpacked(Answer, content)
                if fault := fault_of(answer, offers[name], len(self.reader.tasks)):
                    raise ValueError(fault)
                answers[name] = answer
            except ValueError as error:
                log.warning("round %d: scenario '%s': %s; it goes on without the consensus", number, name, error)
        return answers

    # evaluation

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """To every scenario that is chosen, what it holds after the round."""
        self._asked, number = {}, self.federation.round
        for name, node in self._chosen("evaluate", number, grid).items():
            self._asked[name] = self._message("evaluate", name, node, self.federation.holds(name), number, config)
        return list(self._asked.values())

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Means by rows, and each scenario's own under `metric/scenario`."""
        found = self._contents(self._asked, replies)
        return by_scenario(found, self.evaluate_metrics_aggr_fn, self.weighted_by_key) if found else None

    # both

    def _chosen(self, what: str, number: int, grid: Grid) -> dict[str, int]:
        """Scenario -> node, once `min_available_nodes` are there.

        Raises:
            UserError: they are not within the time that replies have.
        """
        share, least = {
            "train": (self.fraction_train, self.min_train_nodes),
            "evaluate": (self.fraction_evaluate, self.min_evaluate_nodes),
        }[what]
        if share == 0:
            return {}
        wanted, end = max(least, self.min_available_nodes), time.monotonic() + self._timeout
        while len(there := self.nodes.present(grid, self._timeout)) < wanted:
            known = ", ".join(there) or "nobody"
            if time.monotonic() > end:
                raise UserError(f"scenarios that are there: {known}; {wanted} must be, and were not within the timeout")
            log.info("Waiting for %d scenarios; there: %s", wanted, known)
            time.sleep(_LOOK)
        count = max(int(len(there) * share), least)
        draw = numpy_stream(self.seed, "participation", what, number).permutation(len(there))[:count]
        names = list(there)
        return {name: there[name] for name in (names[place] for place in sorted(draw.tolist()))}

    def _message(self, kind: str, scenario: str, node: int, holds: Slots, number: int, config: ConfigRecord) -> Message:
        stacked = self.table.of(self.reader.leaving)
        own: dict[str, Any] = {
            "arrays": self.arrayrecord_key,
            "rows": self.weighted_by_key,
            "round": number,
            TASKS: list(self.reader.tasks),
            "tables": [one.name for one in self.reader.tables],
            "penalty": float(getattr(self.settings, "penalty", 0.0)),
        }
        content = RecordDict(
            {
                self.arrayrecord_key: arrays_of(split(stacked, holds[MODEL])),
                self.configrecord_key: ConfigRecord({**config, "server-round": number, SCENARIO: scenario}),
                OWN: ConfigRecord(own),
            }
        )
        if ANCHOR in holds:
            content[records.ANCHOR] = arrays_of(split(stacked, holds[ANCHOR]))
        return Message(content, dst_node_id=node, message_type=kind, group_id=str(number))

    def _contents(self, asked: Mapping[str, Message], replies: Iterable[Message]) -> dict[str, RecordDict]:
        """Scenario -> what it answered, in their order; a line for each that failed or did not."""
        owner = {message.metadata.message_id: name for name, message in asked.items()}
        found: dict[str, RecordDict] = {}
        for reply in replies:
            name = owner[reply.metadata.reply_to_message_id]
            if reply.has_error():
                log.warning("scenario '%s' failed: %s", name, reply.error.reason)
            else:
                found[name] = reply.content
        for name in asked:
            if name not in found:
                log.warning("scenario '%s' has not answered", name)
        return {name: found[name] for name in asked if name in found}

    def _newcomer(self) -> ArrayRecord:
        return arrays_of(split(self.table.of(self.reader.leaving), self.federation.holds("")[MODEL]))

    def _shapes(self) -> list[Any]:
        return [[d.name, d.role.value, list(d.shape), d.level] for d in self.table.declarations]
