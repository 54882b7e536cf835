"""A scenario's memory: whole tables are put together from what was received and what was trained."""

from __future__ import annotations

from dataclasses import replace

import torch

from msmtrec.federation.memory import begin, load

USED, SHARED = torch.tensor([1, 3]), frozenset({"table"})
FIRST = torch.arange(5.0).unsqueeze(1)


def test_a_slot_holds_the_used_rows_and_shows_the_whole_table() -> None:
    memory = begin({"table": FIRST, "gate": torch.ones(2)}, USED, SHARED)
    assert memory.model["table"].flatten().tolist() == [1, 3]
    assert memory.whole("model", USED)["table"] is FIRST
    trained = replace(memory.put({"model": {"table": torch.tensor([[10.0], [30.0]])}}), apart=frozenset({"model"}))
    assert trained.whole("model", USED)["table"].flatten().tolist() == [0, 10, 2, 30, 4]
    assert FIRST.flatten().tolist() == [0, 1, 2, 3, 4]


def test_a_new_table_replaces_the_models_rows_and_is_the_ground_of_every_other_slot() -> None:
    memory = begin({"table": FIRST, "gate": torch.ones(2)}, USED, SHARED).put({"personal": {"table": FIRST[USED]}})
    new = FIRST + 100
    loaded = load(memory, {"model": {"table": new}}, USED, SHARED)
    assert loaded.whole("model", USED)["table"] is new
    assert loaded.whole("personal", USED)["table"].flatten().tolist() == [100, 1, 102, 3, 104]
    assert loaded.apart == {"personal"}
    again = load(replace(loaded, apart=loaded.apart | {"model"}), {"model": {"gate": torch.zeros(2)}}, USED, SHARED)
    assert again.apart == {"model", "personal"}  # a reply without a table leaves them as they are
    assert again.model["gate"].tolist() == [0, 0]


def test_a_slot_keeps_its_rows_of_the_tables_that_a_reply_leaves_out() -> None:
    tables = frozenset({"table", "own"})
    memory = begin({"table": FIRST, "own": torch.zeros(5, 1)}, USED, tables)
    trained = memory.put({"model": {"table": FIRST[USED] + 1, "own": torch.tensor([[7.0], [8.0]])}})
    loaded = load(replace(trained, apart=frozenset({"model"})), {"model": {"table": FIRST + 100}}, USED, tables)
    assert loaded.apart == {"model"}
    found = loaded.whole("model", USED)
    assert found["table"].flatten().tolist() == [100, 101, 102, 103, 104]
    assert found["own"].flatten().tolist() == [0, 7, 0, 8, 0]
