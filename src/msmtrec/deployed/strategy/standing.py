"""The server's side of a federation whose scenarios remember little: what each holds, between rounds and on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from msmtrec.base.errors import Diverged, UserError
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.deployed.strategy.role_table import RoleTable
from msmtrec.federation import checkpoint as snapshots
from msmtrec.federation import server
from msmtrec.federation.server import ServerState, Step
from msmtrec.methods.base import Answer, Method, Reply, Upload
from msmtrec.methods.phases import MODEL

S = TypeVar("S")
Slots = Mapping[str, Parameters]


@dataclass(frozen=True)
class Standing(Generic[S]):
    """Where the federation stands between two rounds.

    Args:
        about: which federation it is; a checkpoint of another one is refused.
        round: the last one that was aggregated.
        holds: scenario -> slot -> what it holds of all that travels, once it has what the last round gave.
    """

    about: str
    round: int
    server: ServerState[S]
    holds: Mapping[str, Slots]


class Federation:
    """Rounds of `federation.server` for scenarios that are sent, each time, all that they hold of what travels.

    So a scenario that remembers nothing goes on from where the server knows it to be.

    Args:
        max_staleness: rounds after which an update is too old to count.
        quorum: scenarios whose update must count in a round; all that are asked, where these are fewer.
        folder: of checkpoints; None writes none.

    Raises:
        UserError: the folder has a checkpoint of another federation, or a damaged one.
    """

    def __init__(
        self,
        table: RoleTable,
        method: Method[Any],
        about: str,
        *,
        max_staleness: int,
        quorum: int,
        folder: Path | None,
    ) -> None:
        self.method, self.max_staleness, self.quorum, self.folder = method, max_staleness, quorum, folder
        self.common = {name: table.first[name] for name in method.common_names()}
        shared = {d.name for d in table.declarations if d.role is Role.SHARED_EMBEDDING}
        self.tables = {name: value for name, value in self.common.items() if name in shared}
        self.expected = {MODEL: {name: value for name, value in self.common.items() if name not in shared}}
        self._begun: Slots = {MODEL: self.common, **method.begin(self.common)}
        self.standing = self._found(about) or Standing(about, 0, server.begin(method, self.common, {}), {})
        self._step: Step[Any] | None = None

    @property
    def round(self) -> int:
        """The last one that was aggregated."""
        return self.standing.round

    def holds(self, scenario: str) -> Slots:
        """What a scenario holds; one that never took part, what newcomers do."""
        return self.standing.holds.get(scenario) or self._first(scenario)

    def sent(self, scenario: str) -> Slots:
        """What a scenario trains on from in the next round."""
        state, reply = server.catch_up(self.method, self.standing.server, scenario, self.round + 1)
        self.standing = replace(self.standing, server=state)
        self._put({scenario: reply or Reply({})})
        return self.holds(scenario)

    def aggregate(self, uploads: Mapping[str, Upload], refused: Sequence[str], asked: int) -> Step[Any]:
        """One round's aggregation; its offers, where there are any, are settled afterwards.

        Args:
            uploads: in table order.
            refused: sentences on uploads that could not be read.
            asked: how many scenarios were.

        Raises:
            UserError: fewer than `quorum` updates count, or not all where fewer were asked.
        """
        number = self.round + 1
        step = server.aggregate(
            self.method,
            self.standing.server,
            uploads,
            list(refused),
            self.expected,
            self.tables,
            number,
            self.max_staleness,
        )
        counted = len(step.gathered.rows if step.gathered else ()) + len(step.diagnostics["stale"])
        if counted < (least := min(self.quorum, asked)):
            why = step.diagnostics["rejected"]
            raise (Diverged if why else UserError)(
                f"round {number}: {counted} of {asked} scenarios sent an update that can be used, and {least} must"
                f" ({why[0] if why else 'the others did not answer'});"
                f" {'begun again, it goes on' if self.folder else 'see that they run'}"
            )
        self._step, self.standing = step, replace(self.standing, server=step.state, round=number)
        self._brought(step.gathered.rows if step.gathered else {})
        return step

    def settle(self, answers: Mapping[str, Answer]) -> Mapping[str, Any]:
        """Close the second exchange of the round: its diagnostics."""
        assert self._step is not None
        assert self._step.gathered is not None
        state, found = server.settle(self.method, self.standing.server, self._step.gathered, answers)
        self.standing = replace(self.standing, server=state)
        self._brought(self._step.offers)
        return found

    def save(self) -> None:
        """After a round; nothing without a folder."""
        self._step = None
        if self.folder is not None:
            snapshots.write_round(self.folder, self.round, self.standing)

    def _brought(self, scenarios: Mapping[str, object]) -> None:
        """What scenarios are owed, and what the method knows that they hold, is what they will be sent."""
        owed = self.standing.server.owed
        self.standing = replace(self.standing, server=self.standing.server.handed_out(owed))
        self._put(owed)
        known = {name: self.method.back(self.standing.server.method, name) for name in scenarios}
        self._put({name: reply for name, reply in known.items() if reply is not None})

    def _put(self, replies: Mapping[str, Reply]) -> None:
        holds = dict(self.standing.holds)
        for name, reply in replies.items():
            holds[name] = _with(holds.get(name) or self._begun, reply)
        self.standing = replace(self.standing, holds=holds)

    def _first(self, scenario: str) -> Slots:
        _, reply = self.method.welcome(self.standing.server.method, scenario)
        return _with(self._begun, reply)

    def _found(self, about: str) -> Standing[Any] | None:
        place = snapshots.newest(self.folder) if self.folder is not None else None
        if place is None:
            return None
        if snapshots.plain_of(place)["about"] != about:  # before its state is taken for one of this method
            raise UserError(f"{place} is of a federation with other roles, options or tasks; name another folder")
        kind: Any = Standing[self.method.state_type]  # type: ignore[name-defined]
        found: Standing[Any] = snapshots.read(place, kind)
        return found


def _with(holds: Slots, reply: Reply) -> Slots:
    return {**holds, **{slot: {**holds.get(slot, {}), **new} for slot, new in reply.slots.items()}}
