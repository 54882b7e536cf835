"""Lazy Adam: the rows of tables that a batch uses, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from data.encoding.test_encoder import own_logs
from federation.test_folds import unequal
from federation.test_stack import CPU, RESIDUAL, SMALL, Leaves, difference, even, jobs, plain_training, train
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData
from msmtrec.federation import touched
from msmtrec.federation.deck import Deck
from msmtrec.methods.phases import Adam
from msmtrec.models import folding
from msmtrec.models.base import Batch
from msmtrec.models.settings.mmoe import MMoESettings

LAZY = Adam(1e-2, lazy=True)


def lazily(leaves: Leaves) -> Any:
    """torch's SparseAdam for tables, and its Adam for all else."""
    tables = [leaf for name, leaf in leaves.items() if name.endswith("embedding")]

    class Both(torch.optim.Adam):
        sparse = torch.optim.SparseAdam(tables, lr=1e-2, eps=1e-30)

        def step(self) -> None:  # type: ignore[override]
            for table in tables:
                assert table.grad is not None
                rows = table.grad.abs().sum(1).nonzero().squeeze(1)
                table.grad = torch.sparse_coo_tensor(
                    rows.unsqueeze(0), table.grad[rows], table.shape, check_invariants=True
                )
            super().step()
            self.sparse.step()
            for table in tables:
                table.grad = None

    return Both([leaf for name, leaf in leaves.items() if not name.endswith("embedding")], lr=1e-2)


@pytest.mark.parametrize("overhead", [1e30, -1e30], ids=["plain", "folded"])
@pytest.mark.parametrize(
    ("share", "settings"), [(True, SMALL), (False, SMALL), (True, RESIDUAL)], ids=["shared", "private", "residual"]
)
def test_steps_equal_torchs_sparse_adam(
    share: bool, settings: MMoESettings, overhead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folded fields read all their values, and train those that the batch has. SparseAdam has its epsilon elsewhere."""
    monkeypatch.setattr(touched, "EPS", 1e-30)
    monkeypatch.setattr(folding, "OVERHEAD", overhead)
    data = encode(unequal(), share=share)
    model, deck = settings.build(data.layout), Deck(data, torch.float64, CPU)
    job = even(data, model, deck, 6, 16)[0]
    ours = train(model, [job], deck, 1e-2, rule=LAZY)[job.member].memory.whole("model", deck.used["scenario-0"])
    wanted = plain_training(data, model, job, deck, lazily)
    for n, value in wanted.items():
        assert torch.allclose(ours[n], value, atol=1e-12), n
    dense = train(model, [job], deck, 1e-2, rule=Adam(1e-2))[job.member].memory.model
    assert not torch.allclose(dense["embedding"], wanted["embedding"], atol=1e-4)


@pytest.mark.parametrize("settings", [SMALL, RESIDUAL], ids=["shared", "residual"])
@pytest.mark.parametrize("overhead", [1e30, -1e30], ids=["plain", "folded"])
def test_stacks_of_members_with_clocks_of_their_own(
    tmp_path: Path, overhead: float, settings: MMoESettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "OVERHEAD", overhead)
    for data in (encode(own_logs(tmp_path), share=True), encode(unequal(), share=False)):
        model, deck = settings.build(data.layout), Deck(data, torch.float64, CPU)
        steps = {name: 5 - place for place, name in enumerate(data.scenarios)}
        batch = {name: 20 - 6 * place for place, name in enumerate(data.scenarios)}  # rows that fill up train nothing
        work = jobs(data, model, deck, steps, batch)
        rule = Adam(1e-2, decay=0.01, lazy=True)
        first = train(model, work, deck, 1e-2, rule=rule)
        again = [type(job)(job.member, first[job.member].memory, job.received, job.batch, steps=3) for job in work]
        together = train(model, again, deck, 1e-2, rule=rule)
        for job in again:
            alone = train(model, [job], deck, 1e-2, rule=rule)[job.member].memory
            assert difference(together[job.member].memory, alone) < 1e-10


def test_rows_without_a_value_in_the_batch_stay(synthetic: EncodedData, deck: Deck) -> None:
    model = RESIDUAL.build(synthetic.layout)
    job = even(synthetic, model, deck, 1, 8)[0]
    found = train(model, [job], deck, 1e-2, rule=LAZY)[job.member]
    used = synthetic.tables["scenario-0"].splits["train"].ids[found.rows.numpy()]
    for name, columns in (
        ("embedding", slice(0, deck.private_columns)),
        ("shared_embedding", slice(deck.private_columns, None)),
        ("residual_embedding", slice(deck.private_columns, None)),
    ):
        if name not in job.memory.model:
            continue
        moved = (found.memory.model[name] != job.memory.model[name]).any(1).nonzero().squeeze(1).tolist()
        assert set(moved) == set(used[:, columns].flatten().tolist()) - {-1}


def test_tables_of_the_same_ids_are_trained_together(synthetic: EncodedData, deck: Deck) -> None:
    """Of one alone the batch's ids would be those of its rows, and the other would be asked with them."""
    model = RESIDUAL.build(synthetic.layout)
    work = even(synthetic, model, deck, 1, 8)
    with pytest.raises(AssertionError, match="tables of the same ids are trained together"):
        train(model, work, deck, 1e-2, rule=LAZY, roles=frozenset({Role.SHARED_EMBEDDING}))
    train(model, work, deck, 1e-2, rule=Adam(1e-2), roles=frozenset({Role.SHARED_EMBEDDING}))


def test_a_phase_with_a_term_on_all_rows_steps_with_all_rows(synthetic: EncodedData, deck: Deck) -> None:
    model = SMALL.build(synthetic.layout)
    work = even(synthetic, model, deck, 2, 8)
    tables = [name for name, role in model.roles().items() if role in TABLES]

    def nearness(leaves: Any, work: Any) -> torch.Tensor:
        total = sum(leaves["model"][name].square().sum() for name in tables)
        return total * torch.ones(len(work.steps), dtype=torch.float64)

    lazy = train(model, work, deck, 1e-2, rule=LAZY, extra=nearness)
    dense = train(model, work, deck, 1e-2, rule=Adam(1e-2), extra=nearness)
    assert all(difference(lazy[m].memory, dense[m].memory) == 0 for m in lazy)


@pytest.mark.parametrize("residual", [False, True])
def test_ids_and_folds_count_within_the_rows_that_are_read_however_many_tables_are_asked_with_them(
    residual: bool,
) -> None:
    """One field of ids 0 … 9, looked up, and one of 10 … 12, folded: all values of that are read, two are trained."""
    roles = {"shared_embedding": Role.SHARED_EMBEDDING}
    roles |= {"residual_embedding": Role.RESIDUAL_EMBEDDING} if residual else {}
    ids, none = torch.tensor([[[7, 11], [3, 12], [-1, 10]]]), torch.empty(1, 3, 0)
    where = folding.Folding((folding.Run(1, 1, 3),), (True,), first=torch.tensor([[10]]), last=torch.tensor([[12]]))
    valid = torch.tensor([[True, True, False]])
    batch = Batch(none.long(), ids, none, torch.zeros(1, 3), valid=valid, folding=where)
    found = touched.Touched(batch, roles, list(roles))
    assert found.batch.shared_ids.tolist() == [[[1, 3], [0, 4], [-1, 2]]]
    assert found.batch.folding is not None
    assert (found.batch.folding.first.item(), found.batch.folding.last.item()) == (2, 4)
    assert found.rows.keys() == found.used.keys() == roles.keys()
    for name in roles:
        assert found.rows[name].tolist() == [3, 7, 10, 11, 12]
        assert found.used[name].tolist() == [True, True, False, True, True]
