"""A run that is begun again, scenarios that come and go, and who takes part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from flwr.app import MetricRecord

from msmtrec.base.errors import Diverged, UserError

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from deployed.strategy.memory_grid import MemoryGrid
from deployed.strategy.test_same import same
from deployed.strategy.two_layers import NAMES, ROLES, Scenario, grid_of, net, strategy
from msmtrec.flower import MSMTrecStrategy


def scenarios() -> list[Scenario]:
    return [Scenario(name, 40 + 30 * number) for number, name in enumerate(NAMES)]


def trained_in(grid: MemoryGrid, number: int) -> list[int]:
    """Nodes that were asked to train in a round."""
    asked = [m.metadata for m in grid.asked if m.metadata.message_type == "train"]
    return [one.dst_node_id for one in asked if one.group_id == str(number)]


@pytest.mark.parametrize("preset", ["recommended", "paper"])
def test_begun_again_it_goes_on_to_the_bit(preset: str, tmp_path: Path) -> None:
    """With other numbers of nodes too, as a simulation has after a restart."""
    whole, parts = scenarios(), scenarios()
    strategy(preset=preset).start(grid_of(whole), num_rounds=4)
    grid = grid_of(parts)
    strategy(preset=preset, folder=tmp_path).start(grid, num_rounds=2)
    later = MemoryGrid({node + 100: app for node, app in reversed(grid.apps.items())})
    later.contexts = {node + 100: context for node, context in grid.contexts.items()}
    again = strategy(preset=preset, folder=tmp_path)
    rounds = list[int]()

    def seen(number: int, _: object) -> MetricRecord:
        rounds.append(number)
        return MetricRecord({"seen": number})

    result = again.start(later, num_rounds=4, evaluate_fn=seen)
    assert [message.content["config"]["server-round"] for message in later.asked if "config" in message.content] == [
        *[3] * 3,
        *[3] * 3,
        *[4] * 3,
        *[4] * 3,
    ]
    assert rounds == [2, 3, 4]
    for one, other in zip(whole, parts, strict=True):
        assert len(other.trained) == 4
        assert all(same(first, second) for first, second in zip(one.trained, other.trained, strict=True))
    assert again.start(later, num_rounds=4).train_metrics_clientapp == {}
    assert result.arrays.keys() == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert [path.name for path in tmp_path.iterdir()] == ["round-00004"]


@pytest.mark.parametrize("broken_off", ["before", "after"])
def test_with_folders_a_new_run_goes_on_to_the_bit(
    broken_off: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New processes and contexts everywhere, what never leaves among it; also where a round has to be done again."""

    def played(place: Path, *rounds: int, off: int = 0) -> list[Scenario]:
        own = scenarios()
        for one in own:
            one.folder = place / one.name
        for number in rounds:
            found = strategy(folder=place / "server", options={"penalty": 0.01})
            grid = grid_of(own)  # nothing is in the contexts
            grid.away = {12} if number == 2 else set()
            if number == off:
                monkeypatch.setattr(found.federation, "save", interrupted)
                off = 0
                with pytest.raises(KeyboardInterrupt):
                    found.start(grid, num_rounds=number)
            else:
                found.start(grid, num_rounds=number)
        return own

    def interrupted() -> None:
        raise KeyboardInterrupt

    whole = played(tmp_path / "whole", 1, 2, 4)
    parts = played(tmp_path / "parts", 1, 2, 3, 3, 4, off=3) if broken_off == "before" else None
    parts = parts or played(tmp_path / "parts", 1, 2, 3, 4)
    for one, other in zip(whole, parts, strict=True):
        assert all(same(first, second) for first, second in zip(one.trained[-2:], other.trained[-2:], strict=True))
        assert len(other.trained) == len(one.trained) + (broken_off == "before")
        assert torch.equal(one.received[-1]["own"], one.trained[-2]["own"])
        kept = sorted(path.name for path in (tmp_path / "parts" / one.name).iterdir())
        assert kept == ["round-00003.safetensors", "round-00004.safetensors"]


def test_a_damaged_or_a_full_folder_of_a_scenario_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = scenarios()
    own[1].folder = tmp_path
    grid, found = grid_of(own), strategy()
    found.start(grid, num_rounds=1)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:20])
    found.start(grid, num_rounds=2)
    assert any(f"scenario 'be' failed: {file} is damaged" in line for line in caplog.messages)
    file.write_bytes(whole)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("msmtrec.deployed.strategy.kept.save_file", full)
    found.start(grid, num_rounds=3)
    assert any(f"scenario 'be' failed: cannot write into {tmp_path}" in line for line in caplog.messages)


def test_a_folder_of_another_federation_is_refused(tmp_path: Path) -> None:
    strategy(folder=tmp_path).start(grid_of(scenarios()), num_rounds=1)
    for changes in ({"options": {"coordination": 0.2}}, {"method": "fedavg"}, {"tasks": ("like", "click")}):
        with pytest.raises(UserError, match="round-00001 is of a federation with other roles, options or tasks"):
            strategy(folder=tmp_path, **changes)


@pytest.mark.parametrize("method", ["pf-msmtrec", "fedavg"])
def test_who_was_away_trains_from_what_it_holds(method: str) -> None:
    """Averages are fetched anew, personal parameters are those of its own last round."""
    own = scenarios()
    grid, found = grid_of(own), strategy(method=method)
    found.start(grid, num_rounds=1)
    before = {name: value.clone() for name, value in found.federation.holds("be")["model"].items()}
    grid.away = {12}
    found.start(grid, num_rounds=2)
    grid.away = set()
    found.start(grid, num_rounds=3)
    means = found.federation.standing.holds["nl"]["model"]
    assert len(own[1].received) == 2
    personal = method == "pf-msmtrec"
    assert torch.equal(own[1].received[-1]["2.weight"], before["2.weight"]) == personal
    assert torch.equal(own[1].received[-1]["2.weight"], own[0].received[-1]["2.weight"]) != personal
    assert found.diagnostics["staleness"] == {"nl": 0, "be": 1 if personal else 0, "fr": 0}
    assert means.keys() == before.keys()


def test_who_was_away_too_long_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    own = scenarios()
    grid, found = grid_of(own), strategy(max_staleness=1)
    found.start(grid, num_rounds=1)
    grid.away = {12}
    found.start(grid, num_rounds=3)
    grid.away = set()
    found.start(grid, num_rounds=4)
    assert found.diagnostics["stale"] == ["be"]
    assert list(found.diagnostics["update_norms"]) == ["nl", "fr"]
    assert "round 4: scenario 'be' was away too long; it begins anew" in caplog.messages
    consensus = found.federation.standing.server.method.consensus
    assert torch.equal(found.federation.holds("be")["model"]["2.weight"], consensus["2.weight"])


def test_a_newcomer_begins_with_the_consensus() -> None:
    own = scenarios()
    grid, found = grid_of(own), strategy()
    grid.away = {13}
    result = found.start(grid, num_rounds=2)
    grid.away = set()
    found.start(grid, num_rounds=3)
    (first,) = own[2].received
    for name in ("0.weight", "2.bias"):
        assert torch.equal(first[name], torch.from_numpy(result.arrays[name].numpy()))
        assert not torch.equal(first[name], net().state_dict()[name])
    assert found.diagnostics["staleness"]["fr"] == 0


def test_an_offer_that_nobody_answers_leaves_the_scenario_where_it_was(caplog: pytest.LogCaptureFixture) -> None:
    own = scenarios()
    grid, found = grid_of(own), strategy()
    grid.change[12] = lambda answer: None if "tensors" in answer.content else answer
    found.start(grid, num_rounds=2)
    assert caplog.messages.count("scenario 'be' has not answered") == 2
    assert same(*({name: one[name] for name in ("0.weight", "2.bias")} for one in own[1].received))
    assert not torch.equal(own[0].received[0]["0.weight"], own[0].received[1]["0.weight"])
    assert "be" not in found.diagnostics["beta/experts"]


def test_a_share_of_the_scenarios() -> None:
    """Drawn from (seed, round), so that a run can be repeated; at least as many as are wanted."""
    chosen = {}
    for seed in (0, 0, 1):
        grid, found = grid_of(scenarios()), strategy(fraction_train=0.7, seed=seed, fraction_evaluate=0.0)
        found.start(grid, num_rounds=6)
        drawn = [trained_in(grid, number) for number in range(1, 7)]
        assert all(len(nodes) == 2 for nodes in drawn)
        assert chosen.setdefault(seed, drawn) == drawn
        assert "evaluate" not in {message.metadata.message_type for message in grid.asked}
    assert chosen[0] != chosen[1]
    assert len({tuple(sorted(nodes)) for nodes in chosen[0]}) > 1
    grid = grid_of(scenarios())
    strategy(fraction_train=0.1, min_train_nodes=3).start(grid, num_rounds=1)
    assert len(trained_in(grid, 1)) == 3


def test_it_waits_until_enough_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = grid_of(scenarios())
    grid.away = {12, 13}
    waited = list[float]()

    def slept(seconds: float) -> None:
        waited.append(seconds)
        grid.away.pop()

    monkeypatch.setattr("msmtrec.deployed.strategy.strategy.time.sleep", slept)
    strategy(min_available_nodes=3).start(grid, num_rounds=1)
    assert len(waited) == 2
    assert trained_in(grid, 1) == [11, 12, 13]
    assert len([m for m in grid.asked if m.content.config_records["msmtrec"].get("asks") == "who"]) == 3  # once each


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = grid_of(scenarios())
    grid.away = {12}
    monkeypatch.setattr("msmtrec.deployed.strategy.strategy.time.sleep", lambda _: None)
    with pytest.raises(UserError, match="scenarios that are there: nl, fr; 3 must be, and were not within the timeout"):
        strategy(min_available_nodes=3).start(grid, num_rounds=1, timeout=0.01)


def test_a_quorum_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    grid, found = grid_of(scenarios()), strategy(quorum=2, folder=tmp_path)
    found.start(grid, num_rounds=1)
    grid.change = {12: lambda _: None, 13: lambda _: None}
    with pytest.raises(UserError) as raised:
        found.start(grid, num_rounds=2)
    assert str(raised.value) == (
        "round 2: 1 of 3 scenarios sent an update that can be used, and 2 must (the others did not answer); begun"
        " again, it goes on"
    )
    assert not isinstance(raised.value, Diverged)
    grid.change = {}
    again = strategy(quorum=2, folder=tmp_path)
    again.start(grid, num_rounds=2)
    assert again.federation.round == 2


def test_registered_nodes_are_who_their_keys_are() -> None:
    """Nobody is asked, and other keys take no part."""
    grid = grid_of(scenarios())
    grid.names = {11: "fr", 12: "nl", 13: "other"}
    found = strategy(identity="registered")
    found.start(grid, num_rounds=1)
    assert list(found.diagnostics["update_norms"]) == ["nl", "fr"]
    assert trained_in(grid, 1) == [12, 11]
    assert [m for m in grid.asked if m.content.config_records["msmtrec"].get("asks") == "who"] == []


def test_without_a_list_whoever_is_there_takes_part() -> None:
    grid = grid_of(scenarios())
    found = strategy(scenarios=())
    found.start(grid, num_rounds=1)
    assert list(found.diagnostics["update_norms"]) == ["be", "fr", "nl"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tasks": "click"}, "tasks must be names, each once, not 'click'"),
        ({"tasks": ()}, "tasks is empty; name at least one"),
        ({"scenarios": ("nl", "nl")}, "scenarios must be names, each once"),
        ({"identity": "claims"}, "identity is 'claims'; did you mean 'claimed'?"),
        ({"quorum": 0}, "quorum must be at least 1"),
    ],
)
def test_arguments_that_cannot_be_used(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as found:
        strategy(**changes)
    assert str(found.value).startswith(sentence)


def test_it_says_what_travels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    MSMTrecStrategy(net().state_dict(), ROLES, tasks=("click", "like"), options={"coordination": 0}).summary()
    said = "\n".join(caplog.messages)
    assert "0.weight: expert.scenario, coordinate" in said
    assert "own: expert.private, local" in said
    assert "coordination 0 is plain averaging; null says so" in said
