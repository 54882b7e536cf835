"""Training with folded first layers against training without, in float64."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.encoding.test_encoder import own_logs
from federation.test_stack import CPU, SMALL, difference, jobs
from msmtrec.base.member import Member
from msmtrec.config.parse import parse_data
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.federation.folds import stack_folding
from msmtrec.federation.packed import Packed
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.methods.phases import Adam, Phase
from msmtrec.models import folding
from msmtrec.models.settings.mmoe import MMoESettings


def trained(
    data: EncodedData, settings: MMoESettings, overhead: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[Member, Trained], Any]:
    """After steps of which not all members take equally many."""
    monkeypatch.setattr(folding, "OVERHEAD", overhead)
    model, deck = settings.build(data.layout), Deck(data, torch.float64, CPU)
    steps = {name: 4 - place for place, name in enumerate(data.scenarios[:3])}
    work = jobs(data, model, deck, steps, dict.fromkeys(steps, 30))
    packed = Packed(model.roles(), [job.memory for job in work], CPU)
    packed.slot("model")
    folds = stack_folding(model, deck, packed, [job.member.scenario for job in work], 30)
    return run_phase(model, Phase(rule=Adam(1e-2)), work, deck), folds


@pytest.mark.parametrize("changed", [{}, {"template": False}, {"residual_embeddings": 0.3}], ids=str)
@pytest.mark.parametrize("share", [True, False])
def test_training_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], share: bool
) -> None:
    """Fields of every kind, in private and shared tables, of scenarios with unequal vocabularies."""
    settings = SMALL.model_copy(update=changed)
    for data in (encode(own_logs(tmp_path), share=share), encode(unequal(), share=share)):
        plain, none = trained(data, settings, 1e30, monkeypatch)
        folded, folds = trained(data, settings, -1e30, monkeypatch)
        assert none is None
        assert folds.fields
        for member, found in plain.items():
            assert difference(found.memory, folded[member].memory) < 1e-10
            assert abs(found.loss - folded[member].loss) < 1e-10


def unequal() -> Any:
    return Synthetic(scenarios=3, rows=(400, 300, 200), users=40, items=30, overlap=0.3).load()


def test_rows_of_numbers_alone_have_nothing_to_fold(tmp_path: Path) -> None:
    lines = [
        "part,x,click",
        *(f"{part},{n % 7},{n % 2}" for part in ("train", "validation", "test") for n in range(20)),
    ]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    logs = parse_data(
        {
            "source": "tabular",
            "files": {"one": str(tmp_path / "log.csv")},
            "features": {"x": {"kind": "numeric"}},
            "tasks": {"click": {"column": "click"}},
            "split": {"column": "part"},
        }
    ).load()
    data = encode(logs, share=False)
    model, deck = SMALL.build(data.layout), Deck(data, torch.float64, CPU)
    work = jobs(data, model, deck, {"one": 2}, {"one": 8})
    assert run_phase(model, Phase(rule=Adam(1e-2)), work, deck)[work[0].member].loss > 0


def test_a_field_spans_the_ids_of_its_training_rows() -> None:
    data = encode(unequal(), share=False)
    deck = Deck(data, torch.float64, CPU)
    for name, table in data.tables.items():
        ids = table.splits["train"].ids
        for field, (low, high) in zip(data.layout.fields, deck.spans[name], strict=True):
            own = ids[:, field.start : field.start + field.width]
            assert (low, high) == (own[own >= 0].min(), own.max())
