"""Properties that every federated method must have; each method's test file runs all of them.

`Case` says which method and options; a small federation (`methods.federation`) is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from methods.federation import Case, Federation
from methods.helpers import COMMON, DECLARATIONS, aggregate, settle, upload
from msmtrec.base.member import Member
from msmtrec.base.packing import pack, unpack
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Policy
from msmtrec.federation.checkpoint import Checkpoint
from msmtrec.federation.messages import Order, Report
from msmtrec.methods import METHODS
from msmtrec.methods.base import Answer, Method


def assert_order_of_scenarios_does_not_matter(case: Case) -> None:
    one, two = Federation(case, 2).run().served(), Federation(case, 2, order=(2, 0, 1)).run().served()
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=case.tolerance), name


def assert_identical_scenarios_get_the_same(case: Case) -> None:
    """Equal uploads give equal replies; where the method is an identity, what was sent."""
    m = case.build(DECLARATIONS)
    state = m.init({name: COMMON[name].double() for name in m.common_names()}, dict.fromkeys("abc", 5))
    generator = torch.Generator().manual_seed(1)
    values = {n: torch.randn(v.shape, generator=generator, dtype=torch.float64) for n, v in COMMON.items()}
    slots = {slot: {n: values[n] for n in m.network(slot)} for slot in m.leaving_slots()}
    table = {"shared_embedding": values["shared_embedding"]}
    sent = {name: upload(m, name, 5, slots={**slots, "model": {**slots.get("model", {}), **table}}) for name in "abc"}
    replies = _round(m, state, sent)
    for name in "abc":
        for slot, tensors in replies[name].items():
            for n, value in tensors.items():
                assert torch.allclose(value, replies["a"][slot][n], atol=1e-12), (slot, n)
                if case.identity and slot == "model" and n in values:
                    assert torch.allclose(value, values[n], atol=1e-12), n


def assert_one_scenario_gets_its_own_back(case: Case) -> None:
    m = case.build(DECLARATIONS)
    state = m.init({name: COMMON[name].double() for name in m.common_names()}, {"a": 5})
    values = {n: torch.full(v.shape, 2.0, dtype=torch.float64) for n, v in COMMON.items()}
    slots = {slot: {n: values[n] for n in m.network(slot)} for slot in m.leaving_slots()}
    slots["model"] = {**slots.get("model", {}), "shared_embedding": values["shared_embedding"]}
    for slot, tensors in _round(m, state, {"a": upload(m, "a", slots=slots)})["a"].items():
        for n, value in tensors.items():
            assert slot != "model" or torch.allclose(value, values[n], atol=1e-12), n


def assert_absent_scenarios_do_no_harm(case: Case) -> None:
    """With half of the scenarios away in a round the federation goes on, and everybody stays finite."""
    found = Federation(case, 5, participation=0.5).run()
    assert {len(record["took_part"][0]) for record in found.journal.records} != {3}
    assert all(bool(torch.isfinite(value).all()) for value in found.served().values())


def assert_a_missing_task_is_left_alone(case: Case) -> None:
    """What a scenario sends for a task that it lacks changes nobody's tower."""
    m = case.build(DECLARATIONS)
    state = m.init({name: COMMON[name].double() for name in m.common_names()}, dict.fromkeys("ab", 1))

    def sent(spoiled: float) -> dict[str, Any]:
        slots: dict[str, Any] = {}
        for slot in m.leaving_slots():
            slots[slot] = {n: torch.ones(COMMON[n].shape, dtype=torch.float64) for n in m.network(slot)}
        mine = torch.tensor([[1.0, 1.0], [spoiled, spoiled]], dtype=torch.float64)
        other = {slot: {n: mine if n == "tower" else v for n, v in held.items()} for slot, held in slots.items()}
        return {"a": upload(m, "a", slots=slots), "b": upload(m, "b", tasks=(True, False), slots=other)}

    one, two = (_round(m, state, sent(spoiled))["a"] for spoiled in (1.0, 100.0))
    averaged = {policy for (_, role), policy in m.policies().items() if role == "tower"} - {Policy.COLLECT, Policy.SUM}
    for slot, tensors in one.items():
        if averaged and "tower" in tensors:
            assert torch.equal(tensors["tower"], two[slot]["tower"])


def assert_state_is_never_changed_in_place(case: Case) -> None:
    watched = Federation(case, 3)
    seen: list[tuple[Any, list[Tensor]]] = []
    plain_aggregate = watched.method.aggregate

    def aggregate_(state: Any, gathered: Any) -> Any:
        kept = [value.clone() for value in pack(state)[0].values()]
        outcome = plain_aggregate(state, gathered)
        seen.append((state, kept))
        return outcome

    watched.method.aggregate = aggregate_  # type: ignore[method-assign]
    watched.run()
    assert seen or not watched.method.policies()
    for state, kept in seen:
        assert all(torch.equal(a, b) for a, b in zip(pack(state)[0].values(), kept, strict=True))


def assert_state_survives_being_written_down(case: Case) -> None:
    """Two rounds, everything through `pack` and `unpack`, two more: as four in a row."""
    through, whole = Federation(case, 2, participation=0.7).run(), Federation(case, 4, participation=0.7).run()
    tensors, plain = pack(Checkpoint(through.standing, through.runtime.memories, {}))
    kind: Any = Checkpoint[through.method.state_type]  # type: ignore[name-defined]
    back: Checkpoint[Any] = unpack(kind, tensors, plain)
    through.standing, through.runtime.memories = back.standing, dict(back.memories)
    through.plan = replace(through.plan, rounds=4)
    through.run()
    for name, value in whole.served().items():
        assert torch.equal(value, through.served()[name]), name


def assert_every_option_changes_the_result_or_a_caution_says_why_not(case: Case) -> None:
    entry = METHODS[case.name]
    assert set(entry.settings.model_fields) == {*case.changes, *case.silent}
    base = torch.cat(list(Federation(case, 3).run().served().values()))
    for option, value in case.changes.items():
        changed = torch.cat(list(Federation(case, 3, **{option: value}).run().served().values()))
        assert not torch.equal(base, changed), option
    for option, value in case.silent.items():
        changed = torch.cat(list(Federation(case, 3, **{option: value}).run().served().values()))
        assert torch.equal(base, changed), option
        settings = entry.settings(**{**entry.defaults, **case.options, option: value})
        assert any(option in sentence for sentence in settings.cautions()), option


def assert_nothing_leaves_that_the_policies_do_not_name(case: Case) -> None:
    found = Federation(case, 2)
    reports: list[Report] = []

    def listen(orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        answered = dict(found.runtime(orders))
        reports.extend(answered.values())
        return answered.items()

    found.run(listen)
    roles = {d.name: d.role for d in found.method.declarations}
    named = {key for key, policy in found.method.policies().items() if policy is not Policy.LOCAL}
    uploads = [report.upload for report in reports if report.upload is not None]
    assert bool(uploads) == bool(named)
    for sent in uploads:
        assert {(slot, roles[name]) for slot, held in sent.slots.items() for name in held} <= named
        assert all(named >= {("model", roles[name])} for name in sent.tables)


def assert_server_and_scenarios_agree_on_what_was_received(case: Case) -> None:
    """What the server takes as the base of the next update is what the scenario holds; also with long updates cut."""
    for clip in ({"clip": 0.5} if "clip" in METHODS[case.name].settings.model_fields else {}, {}):
        found = Federation(case, 2, **clip).run()
        try:
            last = {n: found.method.last(found.standing.servers[0].method, n) for n in found.plan.scenarios}
        except TypeError:  # the method needs no base
            return
        if not case.adopts:
            return
        for member, memory in found.runtime.memories.items():
            for name in found.method.network():
                assert torch.equal(last[member.scenario][name], memory.model[name]), (clip, name)


def _round(m: Method[Any], state: Any, sent: Mapping[str, Any]) -> dict[str, dict[str, Parameters]]:
    """What each scenario holds after a round, as far as it comes from the server: scenario -> slot -> name."""
    if not m.policies():
        return {name: {} for name in sent}
    tables = {name: value.double() for name, value in COMMON.items()}
    outcome = aggregate(m, state, sent, tables)
    held = {name: {slot: dict(v) for slot, v in reply.slots.items()} for name, reply in outcome.replies.items()}
    if outcome.offers:
        one = {"experts": (0.5,), "towers": (0.5, 0.5)}
        labels = {part.label for part in outcome.offers[next(iter(sent))].parts}
        half = {label: beta for label, beta in one.items() if label in labels}
        checked = {label: tuple(True for _ in beta) for label, beta in half.items()}
        settled = settle(m, outcome.state, sent, {name: Answer(half, half, half, checked) for name in sent}, tables)
        for name in sent:
            held[name].setdefault("model", {}).update(m.last(settled.state, name))
    return held


ALL: tuple[Callable[[Case], None], ...] = (
    assert_order_of_scenarios_does_not_matter,
    assert_identical_scenarios_get_the_same,
    assert_one_scenario_gets_its_own_back,
    assert_absent_scenarios_do_no_harm,
    assert_a_missing_task_is_left_alone,
    assert_state_is_never_changed_in_place,
    assert_state_survives_being_written_down,
    assert_every_option_changes_the_result_or_a_caution_says_why_not,
    assert_nothing_leaves_that_the_policies_do_not_name,
    assert_server_and_scenarios_agree_on_what_was_received,
)
