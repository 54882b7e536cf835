"""What the server of a deployed federation asks of a scenario's machine, and what it answers.

Plain data and tensors (`base.packing`), nothing that is ever executed. A machine, a *node*, has one scenario or a few.
Whatever is asked says which training it is of and on what it stands, so that a node that was killed can be asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from msmtrec.base.member import Member
from msmtrec.federation.messages import Order, Report
from msmtrec.record.evidence import Evidence
from msmtrec.statistics.exchange import Said


@dataclass(frozen=True)
class Key:
    """A training: a contender, and which of its candidates."""

    contender: str
    candidate: str = ""


@dataclass(frozen=True)
class Begin:
    """Read your rows.

    Args:
        version: of the server.
        config: JSON of what all agree on (`config.agreed`).
        scenarios: of the whole federation, in table order.
        first: those that it began with.
    """

    version: str
    config: str
    scenarios: tuple[str, ...]
    first: tuple[str, ...]

    def among(self, own: tuple[str, ...]) -> tuple[str, ...]:
        """Of which scenarios a node's are some: to those of the first round nothing changes when another one joins."""
        return self.first if set(own) <= set(self.first) else self.scenarios


@dataclass(frozen=True)
class Facts:
    """What a node says of its rows.

    Args:
        schema: JSON of what they mean (`Schema.as_dict`, `told.sealed`): names, kinds and agreed id spaces of features
            and tasks, digests where values are listed, and which of the scenarios has which tasks.
        rows: scenario -> split -> how many.
        timed: whether they have times.
        packages: name -> version of what computes.
        clock: seconds since 1970, when it answers.
    """

    schema: str
    rows: Mapping[str, Mapping[str, int]]
    timed: bool
    _: KW_ONLY
    packages: Mapping[str, str] = field(default_factory=dict)
    clock: float = 0.0


@dataclass(frozen=True)
class Know:
    """Come to know what your rows read of their ids (`statistics.exchange`), then be ready to train.

    Args:
        heard: all that was said together so far.
        rows: scenario -> training rows, of the whole federation.
    """

    key: Key
    heard: tuple[Said, ...]
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Known:
    """Args:
    said: scenario -> its next step; empty where it knows all, and then the rest is true.
    counted: scenario -> training rows that count.
    sent: scenario -> bytes up and down that its statistics took.
    more: inputs that networks read beside the numerics.
    """

    said: Mapping[str, Said]
    counted: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    more: int = 0


@dataclass(frozen=True)
class Do:
    """Carry out orders.

    Args:
        after: the exchange after which the node's memories are those that the orders mean; 0 is before the first.
        number: of this exchange.
        durable: the exchange that the server would begin again from; memories of earlier ones may go.
        orders: of members that the node has.
    """

    key: Key
    after: int
    number: int
    durable: int
    _: KW_ONLY
    orders: Mapping[Member, Order]


@dataclass(frozen=True)
class Done:
    reports: Mapping[Member, Report]


@dataclass(frozen=True)
class Keep:
    """Write the models of the best rounds. after: as in `Do`."""

    key: Key
    column: str
    after: int


@dataclass(frozen=True)
class Kept:
    """JSON of what `validation.json` says of them."""

    chosen: str


@dataclass(frozen=True)
class Score:
    """Read the test rows, once, with the models of a column."""

    key: Key
    column: str


@dataclass(frozen=True)
class Scored:
    """JSON of what `test.json` says of them."""

    records: str


@dataclass(frozen=True)
class Weigh:
    """Say how much luck of users is in differences of columns. chosen: column -> candidate, in table order."""

    chosen: Mapping[str, str]


@dataclass(frozen=True)
class Weighed:
    found: Evidence


@dataclass(frozen=True)
class End:
    """The run is over. chosen: column -> candidate."""

    chosen: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """A node's run can be used."""


@dataclass(frozen=True)
class Refused:
    """Why a node did not do it.

    Args:
        kind: `diverged`: the training came to nothing; `user`: somebody there can repair it; `fault`: nobody can.
        sentence: without anything of the rows; the node's own log may say more.
    """

    kind: Literal["diverged", "user", "fault"]
    sentence: str


ASKED: dict[str, tuple[type[Any], type[Any]]] = {
    "begin": (Begin, Facts),
    "know": (Know, Known),
    "do": (Do, Done),
    "keep": (Keep, Kept),
    "score": (Score, Scored),
    "weigh": (Weigh, Weighed),
    "end": (End, Ended),
}
"""What is asked -> its type, and that of the answer."""
Asked = Begin | Know | Do | Keep | Score | Weigh | End
Answer = Facts | Known | Done | Kept | Scored | Weighed | Ended | Refused


def kind_of(asked: Asked) -> str:
    return next(name for name, (kind, _) in ASKED.items() if isinstance(asked, kind))
