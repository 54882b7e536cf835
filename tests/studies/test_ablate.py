"""What an ablation trains: its base, and variants that differ from it in one setting each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.ablate import parse_ablate
from msmtrec.config.parts import PARTS, Change
from msmtrec.record.directory import differences
from msmtrec.studies.ablate import expand
from studies.ablations import DATA, OURS, STATISTICS, config, expanded, named


def test_every_change_of_recommended_with_statistics() -> None:
    found = expanded({**OURS, "preset": "recommended", "statistics": STATISTICS})
    assert [(change.name, change.key, change.value) for change in found.changes] == [
        ("without-template", "model.template", False),
        ("private_experts-1", "model.private_experts", 1),
        ("private_experts-2", "model.private_experts", 2),
        ("residual_embeddings-0.3", "model.residual_embeddings", 0.3),
        ("residual_embeddings-1", "model.residual_embeddings", 1.0),
        ("normalization-tensor", "options.normalization", "tensor"),
        ("normalization-channel", "options.normalization", "channel"),
        ("normalization-literal", "options.normalization", "literal"),
        ("alignment-distance", "options.alignment", "distance"),
        ("alignment-cosine", "options.alignment", "cosine"),
        ("without-coordination", "options.coordination", None),
        ("coordination-0.1", "options.coordination", 0.1),
        ("coordination-0.2", "options.coordination", 0.2),
        ("coordination-0.8", "options.coordination", 0.8),
        ("without-rescale", "options.rescale", "none"),
        ("rescale-fedhca2", "options.rescale", "fedhca2"),
        ("personalization-hyper", "options.personalization", "hyper"),
        ("personalization-uniform", "options.personalization", "uniform"),
        ("towers-hyper", "options.towers", "hyper"),
        ("towers-uniform", "options.towers", "uniform"),
        ("towers-local", "options.towers", None),
        ("tolerance-0.5", "options.tolerance", 0.5),
        ("tolerance-1", "options.tolerance", 1.0),
        ("tolerance-2", "options.tolerance", 2.0),
        ("penalty-0.001", "options.penalty", 0.001),
        ("penalty-0.01", "options.penalty", 0.01),
        ("embeddings-local", "options.embeddings", "local"),
        ("embeddings-mixed", "options.embeddings", "mixed"),
        ("without-statistics", "statistics", False),
        ("statistics-own", "statistics.summed", False),
        ("statistics-user-alone", "statistics.summed", ["user"]),
        ("statistics-item-alone", "statistics.summed", ["item"]),
        ("with-inputs", "statistics.inputs", True),
    ]
    ((left, why),) = found.left_out
    assert (left.name, why.split(":")[1]) == ("without-wide", " wide")
    assert found.config.as_dict()["ablate"]["left_out"] == {"without-wide": why}
    assert list(named(found)) == ["local", "base", *(change.name for change in found.changes)]
    assert found.config.ablation is not None
    assert found.config.ablation.variants["fine_tune"] == ("base+ft",)
    assert list(found.config.ablation.variants) == [part for part in PARTS if part != "wide"]
    assert len(found.config.ablation.columns) == len(found.changes) + 1


def test_changes_of_the_paper_s_preset_where_they_differ() -> None:
    found = expanded({**OURS, "preset": "paper"})
    names = [change.name for change in found.changes]
    assert {"without-normalization", "personalization-held-out", "without-penalty", "embeddings-shared"} <= set(names)
    *without_effect, (left, why) = found.left_out
    assert [(one.name, reason.split(":")[0]) for one, reason in without_effect] == [
        (name, f"{name.partition('-')[0]} has no effect")
        for name in (
            "residual_embeddings-0.3",
            "residual_embeddings-1",
            "tolerance-0.5",
            "tolerance-1",
            "tolerance-2",
        )
    ]
    assert (left.name, why[:49]) == ("statistics-own", "statistics: no field has 100 values or more among")
    assert not {"wide", "inputs"} & {change.part for change in found.changes}


def test_a_base_without_statistics_gets_them_in_every_extent() -> None:
    found = expanded({**OURS, "preset": "paper"}, "statistics", data={**DATA, "users": 200, "items": 200, "rows": 900})
    assert [(change.name, change.key, change.value) for change in found.changes] == [
        ("statistics-own", "statistics", {"summed": False}),
        ("statistics-user-alone", "statistics", {"summed": ["user"]}),
        ("statistics-item-alone", "statistics", {"summed": ["item"]}),
        ("statistics-all", "statistics", {"summed": True}),
    ]


@pytest.mark.parametrize("statistics", [False, STATISTICS, {**STATISTICS, "inputs": True}], ids=["off", "on", "inputs"])
@pytest.mark.parametrize("preset", ["paper", "recommended"])
def test_a_variant_differs_from_its_base_in_one_setting(preset: str, statistics: Any) -> None:
    found = expanded({**OURS, "preset": preset, "statistics": statistics, "fine_tune": True})
    contenders = named(found)
    base = {**contenders["base"].resolved, "fine_tune": False}
    assert len(found.changes) > 20
    for change in found.changes:
        ((key, _, value),) = differences(base, contenders[change.name].resolved)
        assert key == change.key
        if change.key != "statistics":
            assert json.dumps(value) == json.dumps(change.value)


def test_sums_stay_where_embeddings_no_longer_travel() -> None:
    found = named(expanded({**OURS, "statistics": STATISTICS}, "embeddings"))
    assert found["base"].statistics is not None
    assert found["base"].statistics.summed is True
    assert found["embeddings-local"].statistics == found["base"].statistics
    assert found["embeddings-local"].shares_ids
    alone = named(expanded({"method": "fedavg", "statistics": STATISTICS}, "template"))["base"].statistics
    assert alone is not None
    assert alone.summed is False


def test_of_one_common_field_there_is_no_sum_alone() -> None:
    found = expanded({**OURS, "statistics": {"fields": ["user"]}}, "statistics")
    assert [change.name for change in found.changes] == ["without-statistics", "statistics-own"]


@pytest.mark.parametrize(
    ("base", "part", "left_out"),
    [
        (
            {**OURS, "options": {"personalization": "hyper"}},
            "normalization",
            dict.fromkeys(
                ("normalization-tensor", "normalization-channel", "normalization-literal"),
                "normalization has no effect: in hyper only the penalty refers to the consensus; set penalty above 0",
            ),
        ),
        (
            {**OURS, "options": {"coordination": None}},
            "rescale",
            dict.fromkeys(
                ("without-rescale", "rescale-fedhca2"), "rescale has no effect: it needs coordination above 0"
            ),
        ),
        (
            {**OURS, "options": {"coordination": None, "rescale": "none"}},
            "rescale",
            dict.fromkeys(
                ("rescale-identity", "rescale-fedhca2"), "rescale has no effect: it needs coordination above 0"
            ),
        ),
        (
            {"method": "emb-only"},
            "private_experts",
            dict.fromkeys(
                ("private_experts-1", "private_experts-2"), "private_experts has no effect: no expert travels"
            ),
        ),
        (
            {**OURS, "preset": "paper"},
            "residual_embeddings",
            dict.fromkeys(
                ("residual_embeddings-0.3", "residual_embeddings-1"),
                "residual_embeddings has no effect: no field of the contender's rows has common ids",
            ),
        ),
        (
            {"method": "emb-only"},
            "residual_embeddings",
            dict.fromkeys(("residual_embeddings-0.3", "residual_embeddings-1")),
        ),
        (
            {**OURS, "model": {"experts": 2}},
            "private_experts",
            {
                "private_experts-1": None,
                "private_experts-2": "model: private_experts must be less than experts, 2, not 2: the others are what"
                " scenarios learn together",
            },
        ),
        (
            {**OURS, "model": {"experts": 1}},
            "alignment",
            dict.fromkeys(
                ("alignment-distance", "alignment-cosine"),
                "alignment has no effect: the network has one expert to match",
            ),
        ),
        (
            {**OURS, "options": {"embeddings": "mixed"}},
            "towers",
            {
                f"towers-{choice}": "options: with personalization held-out and embeddings mixed, towers must be"
                f" held-out or null, not {choice}: these come later, and embeddings would be mixed at both downloads"
                for choice in ("hyper", "uniform")
            }
            | {"towers-local": None},
        ),
    ],
)
def test_what_is_not_possible_or_without_effect_is_left_out(
    base: dict[str, Any], part: str, left_out: dict[str, str | None]
) -> None:
    """None: it is not left out."""
    found = expanded(base, part, "fine_tune")  # so that something is left
    whys: dict[str, str | None] = {change.name: why for change, why in found.left_out}
    assert whys | {change.name: None for change in found.changes} == left_out


def test_an_ablation_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(UserError, match="ablate: of base nothing can be changed: linear makes the same of it"):
        expanded({"method": "linear", "statistics": STATISTICS}, "inputs")


def test_normalisation_has_an_effect_where_experts_are_matched_with_the_consensus() -> None:
    found = expanded({**OURS, "options": {"personalization": "hyper", "alignment": "cosine"}}, "normalization")
    assert len(found.changes) == 3


def test_without_common_ids_nothing_is_shared_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = ["user,item,place,click", *(f"u{n % 9},i{n % 7},{'ab'[n % 2]},{n // 3 % 2}" for n in range(200))]
    (tmp_path / "logs.csv").write_text("\n".join(lines))
    data = {"source": "tabular", "files": str(tmp_path / "logs.csv"), "scenario": "place", "tasks": {"click": None}}
    data |= {"features": {"user": None, "item": None}, "split": {"random": [0.6, 0.2, 0.2]}}
    base = {**OURS, "preset": "paper", "statistics": {"least": 2}}
    found = expanded(base, "embeddings", "statistics", "penalty", data=data)
    assert {change.name: why for change, why in found.left_out} == dict.fromkeys(
        ("embeddings-shared", "embeddings-mixed"), "no field is declared shared"
    )
    assert [change.name for change in found.changes] == ["without-penalty", "penalty-0.01", "without-statistics"]


def test_local_is_as_the_config_has_it_or_as_the_base_trains() -> None:
    model = {"experts": 2, "private_experts": 1, "residual_embeddings": 1}
    base = {**OURS, "model": model, "train": {"learning_rate": 0.05}}
    found = named(expanded({**base, "statistics": STATISTICS}, "penalty"))["local"]
    assert found.train.learning_rate == 0.05
    assert (found.resolved["model"]["experts"], found.resolved["model"]["private_experts"]) == (2, 0)
    assert found.resolved["model"]["template"] is False
    assert found.resolved["model"]["residual_embeddings"] == 0
    assert found.statistics is not None
    assert found.statistics.summed is False
    methods = {"base": base, "other": {"method": "fedavg"}, "local": {"train": {"learning_rate": 0.5}}}
    contenders = named(expanded(base, "penalty", methods=methods))
    assert contenders["local"].train.learning_rate == 0.5
    assert contenders["local"].statistics is None
    assert "other" not in contenders


def test_only_the_base_is_fine_tuned_and_only_if_that_is_a_part() -> None:
    base = {**OURS, "fine_tune": {"rounds": 7}}
    contenders = named(expanded(base, "penalty", "fine_tune", fine_tune=True))
    assert {name for name, one in contenders.items() if one.fine_tune} == {"base"}
    assert contenders["base"].fine_tune is not None
    assert contenders["base"].fine_tune.rounds == 7
    assert not any(one.fine_tune for one in named(expanded(base, "penalty")).values())
    assert list(named(expanded(OURS, "fine_tune"))) == ["local", "base"]


def test_names_that_are_taken_get_a_number() -> None:
    raw = config({**OURS, "options": {"penalty": 0.5}}, "penalty")
    raw["methods"] = {"without-penalty": raw["methods"]["base"]}
    found = expand(parse_ablate({**raw, "ablate": {"parts": ["penalty"]}}), cache=False)
    assert [change.name for change in found.changes] == ["without-penalty-2", "penalty-0.001", "penalty-0.01"]


def test_a_name_stands_for_one_variant_also_where_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields may be alike but for signs that names of contenders have not."""
    alike = [Change("private_experts", "x", "model.private_experts", number) for number in (8, 9, 1, 2)]
    monkeypatch.setattr("msmtrec.studies.ablate.changes", lambda *_: alike)
    found = expanded({**OURS, "model": {"experts": 4}}, "private_experts")
    assert found.config.ablation is not None
    assert list(found.config.ablation.left_out) == ["x", "x-2"]
    assert found.config.ablation.variants == {"private_experts": ("x-3", "x-4")}
