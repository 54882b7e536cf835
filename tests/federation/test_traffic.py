"""What an exchange costs: bytes by role, seconds by phase, all by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import method, upload
from msmtrec.base.member import Member
from msmtrec.federation import traffic as traffic_module
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.server import ServerState
from msmtrec.federation.traffic import Clock, Stopwatch, Traffic
from msmtrec.methods.base import Answer, Offer, OfferPart, Reply

A, B = Member(0, "a"), Member(0, "b")
FOUR, THREE = torch.zeros(2, 2), torch.zeros(3, 1)


def tell(monkeypatch: pytest.MonkeyPatch, *times: float) -> None:
    monkeypatch.setattr(traffic_module, "perf_counter", iter(times).__next__)


def test_replies_and_offers_count_by_role_and_other_slots_by_their_name() -> None:
    found = Traffic(method("fedavg-all"))
    found.replies([Reply({"model": {"tower": FOUR, "shared_embedding": THREE}, "control": {"tower": FOUR}})] * 2)
    assert found.down == {"tower": 2 * 16, "shared-embedding": 2 * 12, "control": 2 * 16}
    offer = Offer((OfferPart("towers", {"tower": FOUR}), OfferPart("gates", {"gate": torch.zeros(2)})), None, 0.7)
    found.offers({A: Order(1, offer=offer), B: Order(1)})
    assert found.down == {"tower": 3 * 16, "shared-embedding": 2 * 12, "control": 2 * 16, "gate": 8}
    assert found.up == {}


def test_only_what_a_step_has_added_to_the_owed_replies_counts() -> None:
    found, old, new = Traffic(method("fedavg")), Reply({"model": {"tower": FOUR}}), Reply({"model": {"gate": FOUR}})
    before: ServerState[None] = ServerState(None, owed={"a": old, "b": old})
    found.owed(before, ServerState(None, owed={"a": old, "b": new, "c": new}))
    assert found.down == {"gate": 2 * 16}


def test_uploads_and_answers_go_up() -> None:
    m = method("fedavg-all")
    found = Traffic(m)
    sent = upload(m, "a", touches=(2, 0, 1))  # ids and counts of two rows: here 64-bit numbers
    three = {"experts": (0.5,), "towers": (0.5, 0.5)}
    answer = Answer(three, three, three, {})
    found.up_from(Report(upload=sent))
    found.up_from(Report(answer=answer))
    assert found.up.pop("mixtures") == 3 * 3 * 8
    assert found.up.pop("touch counts") == 2 * 2 * 8
    assert found.up == {"shared-embedding": 2 * 4, "expert.local": 8, "expert.scenario": 16, "gate": 32, "tower": 16}
    found.up_from(Report(answer=answer))
    assert found.up["mixtures"] == 3 * 3 * 8


def test_what_is_downloaded_before_the_first_round_counts_in_it() -> None:
    first, second = Federation(Case("apple"), 2).run().journal.records
    assert first["bytes_down"]["mixing"] == 3 * 3 * 8  # three scenarios, each the shares of three
    assert first["bytes_down"]["roster"] == 2 * 3 * 3 * 8
    assert "mixing" not in second["bytes_down"]


def test_the_servers_seconds_are_those_since_the_last_start_or_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, 1.0, 2.0, 5.0, 9.0)
    clock = Clock()
    clock.start()
    clock.lap("aggregate")
    clock.lap("write")
    clock.add({"aggregate": 0.5, "train": 7.0})
    assert clock.seconds == {"aggregate": 3.5, "write": 4.0, "train": 7.0}


def test_scenarios_share_a_phases_seconds_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, 1.0, 3.0, 6.0, 7.0, 9.0)
    watch = Stopwatch()
    watch.lap("train", [A, B])
    watch.lap("rest", [])
    watch.lap("train", [B])
    watch.lap("evaluate", [A])
    assert watch.shares == {A: {"train": 1.0, "evaluate": 2.0}, B: {"train": 1.0 + 1.0}}


def test_a_round_names_the_seconds_of_all_its_phases() -> None:
    first, second = Federation(Case("pf-msmtrec"), 2).run().journal.records
    assert set(first["seconds"]) == {"evaluate", "train", "aggregate", "second exchange"}
    assert set(second["seconds"]) - {"checkpoint"} == set(first["seconds"])
    plain: Mapping[str, float] = Federation(Case("fedavg"), 1).run().journal.records[0]["seconds"]
    assert set(plain) == {"evaluate", "train", "aggregate"}
