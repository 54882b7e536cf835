"""The server's side of a round: gather what came, aggregate, keep track of who holds what and who is owed what."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from torch import Tensor

from msmtrec.base.errors import Diverged
from msmtrec.base.finite import all_finite
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import SINGLE, Policy, Role
from msmtrec.federation.gather import Gathering
from msmtrec.methods.base import Answer, Gathered, Method, Offer, Reply, TableRows, Upload

S = TypeVar("S")


@dataclass(frozen=True)
class ServerState(Generic[S]):
    """One federation's server: plain data.

    Args:
        method: the method's own state.
        held: scenario -> round of its last download.
        owed: scenario -> what goes out with the next order to it.
    """

    method: S
    held: Mapping[str, int] = field(default_factory=dict)
    owed: Mapping[str, Reply] = field(default_factory=dict)

    def owing(self, replies: Mapping[str, Reply]) -> ServerState[S]:
        """With replies on top of what their scenarios are owed already."""
        owed = dict(self.owed)
        for scenario, reply in replies.items():
            before = owed.get(scenario, Reply({}))
            slots = {slot: {**before.slots.get(slot, {}), **tensors} for slot, tensors in reply.slots.items()}
            owed[scenario] = Reply({**before.slots, **slots})
        return replace(self, owed=owed)

    def handed_out(self, scenarios: Collection[str]) -> ServerState[S]:
        """After orders to these scenarios have carried what they were owed."""
        return replace(self, owed={name: reply for name, reply in self.owed.items() if name not in scenarios})


@dataclass(frozen=True)
class Step(Generic[S]):
    """What an aggregation gives back to the loop.

    Args:
        gathered: what took part, for `settle`; None where nothing did.
    """

    state: ServerState[S]
    gathered: Gathered | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)


def begin(method: Method[S], common: Parameters, rows: Mapping[str, int]) -> ServerState[S]:
    """The server before the first round; arguments as `Method.init`."""
    state = method.init(common, rows)
    first = {name: reply for name in rows if (reply := method.first(state, name)) is not None}
    return ServerState(state, owed=first)


def check_upload(
    method: Method[S], upload: Upload, expected: Mapping[str, Parameters], tables: Parameters
) -> str | None:
    """Why an upload cannot be used, or None. `expected`: slot -> parameters of the shapes wanted, tables apart."""
    roles, policies = {d.name: d.role for d in method.declarations}, method.policies()
    for slot, parameters in expected.items():
        seen = {name for name in parameters if policies[slot, roles[name]] in SINGLE}
        if fault := check_parameters(upload.scenario, upload.slots.get(slot, {}), parameters, seen):
            return fault
    for d in method.leaving():
        if d.role is Role.SHARED_EMBEDDING:
            if d.name not in upload.tables:
                return f"scenario '{upload.scenario}' sent no '{d.name}'"
            if fault := _check_rows(upload.tables[d.name], tables[d.name]):
                return f"scenario '{upload.scenario}' sent '{d.name}' {fault}"
    return None


def check_parameters(
    scenario: str, sent: Mapping[str, Tensor], expected: Mapping[str, Tensor], finite: Collection[str]
) -> str | None:
    """Why parameters cannot be used, or None. expected: of the shapes wanted; finite: names that must be numbers."""
    for name, value in expected.items():
        if name not in sent:
            return f"scenario '{scenario}' sent no '{name}'"
        if sent[name].shape != value.shape:
            shapes = f"{tuple(sent[name].shape)}, not {tuple(value.shape)}"
            return f"scenario '{scenario}' sent '{name}' of shape {shapes}"
        if name in finite and not all_finite(sent[name]):
            return f"scenario '{scenario}' sent '{name}' with NaN or infinite values"
    return None


def _check_rows(sent: TableRows, table: Tensor) -> str | None:
    """Why rows of a shared table cannot be used, or None."""
    count = len(sent.ids)
    if sent.rows.shape != (count, table.shape[1]) or sent.touches.shape != (count,):
        return f"with {count} ids, {tuple(sent.touches.shape)} counts and rows of shape {tuple(sent.rows.shape)}"
    if count and not (int(sent.ids.min()) >= 0 and int(sent.ids.max()) < len(table)):
        return f"with ids outside 0 … {len(table) - 1}"
    if count and int(sent.touches.min()) < 0:
        return "with counts below 0"
    if not all_finite(sent.rows):
        return "with NaN or infinite values"
    return None


class Collected(Generic[S]):
    """The uploads of a round as they come: looked at, and summed.

    A scenario whose last download is more than `max_staleness` rounds old is left out of the means and welcomed anew.

    Args:
        expected: slot -> parameters of the shapes that uploads must have, tables apart.
        tables: shared tables, for their shapes.
    """

    def __init__(
        self,
        method: Method[S],
        state: ServerState[S],
        *,
        expected: Mapping[str, Parameters],
        tables: Parameters,
        round_number: int,
        max_staleness: int,
    ) -> None:
        self.method, self.expected, self.tables, self.round = method, expected, tables, round_number
        self._max_staleness, self._held = max_staleness, state.held
        self._held_back: list[str] = []
        self._unusable: list[str] = []
        self._age: dict[str, int] = {}
        self._stale: list[str] = []
        self._gathering = Gathering(method, tables)

    def take(self, upload: Upload) -> None:
        """In table order. Scenarios look for numbers that are none themselves; here sums and singles are checked."""
        if fault := check_upload(self.method, upload, self.expected, self.tables):
            self._unusable.append(fault)
            return
        age = self._age[upload.scenario] = self.round - 1 - self._held.get(upload.scenario, 0)
        if age > self._max_staleness:
            self._stale.append(upload.scenario)
        else:
            self._gathering.take(upload)

    def refuse(self, sentence: str) -> None:
        """Of a scenario that held its upload back."""
        self._held_back.append(sentence)

    def aggregated(self, state: ServerState[S]) -> Step[S]:
        """The round's aggregation, once all have come.

        Raises:
            Diverged: a sum over scenarios is no finite number.
        """
        memory, diagnostics = state.method, dict[str, Any]()
        replies, offers, gathered = dict[str, Reply](), dict[str, Offer](), None
        if len(self._age) > len(self._stale):
            gathered = self._gathering.gathered(memory)
            _check_sums(gathered, self.round)
            outcome = self.method.aggregate(memory, gathered)
            memory, replies, offers = outcome.state, dict(outcome.replies), dict(outcome.offers)
            diagnostics = {"update_norms": dict(gathered.norms), **outcome.diagnostics}
        for name in self._stale:
            memory, replies[name] = self.method.welcome(memory, name)
        rejected = [*self._held_back, *self._unusable]
        diagnostics |= {"rejected": rejected, "stale": self._stale, "staleness": self._age}
        held = {**state.held, **dict.fromkeys((*replies, *offers), self.round)}
        return Step(ServerState(memory, held, {**state.owed, **replies}), gathered, diagnostics, offers)


def aggregate(
    method: Method[S],
    state: ServerState[S],
    uploads: Mapping[str, Upload],
    refused: Iterable[str],
    expected: Mapping[str, Parameters],
    tables: Parameters,
    round_number: int,
    max_staleness: int,
) -> Step[S]:
    """One round's aggregation of uploads that are all there, in table order; otherwise as `Collected`.

    refused: sentences of scenarios that held their upload back.
    """
    collected = Collected(
        method, state, expected=expected, tables=tables, round_number=round_number, max_staleness=max_staleness
    )
    for upload in uploads.values():
        collected.take(upload)
    for sentence in refused:
        collected.refuse(sentence)
    return collected.aggregated(state)


def _check_sums(gathered: Gathered, round_number: int) -> None:
    for sums in gathered.sums.values():
        for name, found in sums.items():
            if not all_finite(found.total):
                raise Diverged(
                    f"round {round_number}: the scenarios' sum of '{name}' is no finite number, though each has found"
                    " its own to be; do all of them run the same version?"
                )


def settle(
    method: Method[S], state: ServerState[S], gathered: Gathered, answers: Mapping[str, Answer]
) -> tuple[ServerState[S], Mapping[str, Any]]:
    """Close the second exchange: the new state and its diagnostics."""
    outcome = method.settle(state.method, gathered, answers)
    return replace(state, method=outcome.state).owing(outcome.replies), outcome.diagnostics


def catch_up(
    method: Method[S], state: ServerState[S], scenario: str, round_number: int
) -> tuple[ServerState[S], Reply | None]:
    """What a scenario that is new or missed the last round downloads before it trains; None where it missed nothing.

    A new one is welcomed: consensus and means. Else averages are fetched anew, so that no old weights enter a mean;
    personal parameters stay: their updates are relative to what the scenario last received, and they age.
    """
    if round_number == 1 or state.held.get(scenario) == round_number - 1 or not method.policies():
        return state, None
    if scenario not in state.held:
        memory, reply = method.welcome(state.method, scenario)
        return replace(state, method=memory, held={**state.held, scenario: round_number - 1}), reply
    personal = {Policy.COORDINATE, Policy.PERSONALISE} & set(method.policies().values())
    held = state.held[scenario] if personal else round_number - 1
    return replace(state, held={**state.held, scenario: held}), method.refresh(state.method)
