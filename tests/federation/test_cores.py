"""Stacks side by side on threads: the same numbers, each stack in its own order."""

from __future__ import annotations

import threading

import pytest
import torch

from federation.test_stack import CPU, SMALL, difference, even
from msmtrec.data.table import EncodedData
from msmtrec.federation import cores
from msmtrec.federation.cores import on_cores
from msmtrec.federation.deck import Deck
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods.phases import Adam, Phase
from msmtrec.runtime.threads import threads_set


def test_members_train_as_in_one_stack(synthetic: EncodedData) -> None:
    model, deck = SMALL.build(synthetic.layout), Deck(synthetic, torch.float64, CPU)
    work = even(synthetic, model, deck, 4, 32)
    used = set()

    def run(jobs: list[Job]) -> dict[object, object]:
        used.add((threading.get_ident(), torch.get_num_threads()))
        return dict(run_phase(model, Phase(rule=Adam(1e-2)), jobs, deck))

    alone = run(work)
    used.clear()
    with threads_set(2):
        found = on_cores(run, [work], lambda _: cores.LARGE)
        assert torch.get_num_threads() == 2
    assert [len(part) for part in found] == [2, 1]
    assert all(count == 1 for _, count in used)
    assert threading.get_ident() not in {thread for thread, _ in used}
    for part in found:
        for member, trained in part.items():
            assert difference(trained.memory, alone[member].memory) < 1e-10  # type: ignore[attr-defined]


@pytest.mark.parametrize(("threads", "products"), [(1, 1e30), (2, 1.0)])
def test_short_steps_and_single_threads_stay_as_they_are(threads: int, products: float) -> None:
    with threads_set(threads):
        found = on_cores(lambda stack: (list(stack), threading.get_ident()), [[1, 2], [3]], lambda _: products)
    assert found == [([1, 2], threading.get_ident()), ([3], threading.get_ident())]
    assert on_cores(len, [], lambda _: 1.0) == []


def test_an_error_of_one_stack_is_raised_and_threads_are_as_before() -> None:
    def fail(stack: list[int]) -> int:
        raise ValueError(f"{stack} failed")

    with threads_set(2):
        with pytest.raises(ValueError, match="failed"):
            on_cores(fail, [[1], [2]], lambda _: cores.LARGE)
        assert torch.get_num_threads() == 2
