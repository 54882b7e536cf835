"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.events import Event, Progress, Round, RunFinished
from msmtrec.sinks import tensorboard as module
from msmtrec.sinks.tensorboard import TensorBoard
from sinks.runs import interrupted, trained, written

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2


def opened(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return found


def scalars(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in found.Scalars(tag)]


def check_series(folder: Path) -> None:
    """Every round of every series once, as the run directory has it."""
    whole = written(folder)
    places = {str(p.parent.relative_to(folder / "tensorboard")) for p in folder.glob("tensorboard/**/*tfevents*")}
    assert places == set(whole)
    for name, tags in whole.items():
        found = opened(folder / "tensorboard" / name)
        for tag, points in tags.items():
            assert scalars(found, tag) == [(step, pytest.approx(value, abs=1e-6)) for step, value in points], (
                name,
                tag,
            )
        rounds = [step for step, _ in next(iter(tags.values()))]
        for tag in ("auc/mean", "seconds", "bytes/up", "bytes/down"):
            assert [step for step, _ in scalars(found, tag)] == rounds, (name, tag)


def test_one_series_per_scenario_and_task_with_settings_and_test_figures(tmp_path: Path) -> None:
    finished = trained(tmp_path / "run", TensorBoard())
    check_series(tmp_path / "run")
    found = opened(tmp_path / "run" / "tensorboard" / "fedavg-all" / "seed1")
    assert {tag for tag in found.Tags()["scalars"] if tag.startswith("auc/")} == {
        "auc/mean",
        *(f"auc/scenario-{n}/{task}" for n in (0, 1) for task in ("click", "conversion")),
    }
    for n, (scenario, task) in enumerate(finished.results.lines[:-1]):
        value = finished.results.cells["fedavg-all"][n].auc[1]
        assert scalars(found, f"test/{scenario}/{task}") == [(0, pytest.approx(value, abs=1e-6))]
    assert scalars(found, "test/mean") == [
        (0, pytest.approx(finished.results.cells["fedavg-all"][-1].auc[1], abs=1e-6))
    ]
    plugin = found.SummaryMetadata("_hparams_/session_start_info").plugin_data
    settings = plugin_data_pb2.HParamsPluginData.FromString(plugin.content).session_start_info.hparams
    assert settings["train.rounds"].number_value == 4
    assert settings["seed"].number_value == 1
    assert settings["method"].string_value == "fedavg-all"


@pytest.mark.parametrize(
    "stop",
    [
        lambda event: isinstance(event, Round) and event.column == "fedavg-all" and event.round == 3,
        lambda event: isinstance(event, Progress) and event.title == "fedavg-all" and event.done == 3,
        lambda event: isinstance(event, Round) and event.column == "fedavg-all+ft",
        lambda event: isinstance(event, RunFinished),
    ],
)
def test_a_resumed_run_continues_the_series_without_double_points(stop: object, tmp_path: Path) -> None:
    interrupted(tmp_path / "run", TensorBoard(), stop)  # type: ignore[arg-type]
    finished = trained(tmp_path / "run", TensorBoard(), resume=True)
    check_series(tmp_path / "run")
    again = trained(tmp_path / "run", TensorBoard(), resume=True)
    assert again.results == finished.results
    check_series(tmp_path / "run")
    found = opened(tmp_path / "run" / "tensorboard" / "local" / "seed0")
    assert len(found.Scalars("test/mean")) == 1


def test_a_file_that_ends_in_half_a_record_spoils_nothing(tmp_path: Path) -> None:
    interrupted(tmp_path / "run", TensorBoard(), lambda event: isinstance(event, Round) and event.round == 3)
    files = sorted((tmp_path / "run" / "tensorboard").rglob("*tfevents*"))
    files[0].write_bytes(files[0].read_bytes()[:-7])
    trained(tmp_path / "run", TensorBoard(), resume=True)
    check_series(tmp_path / "run")


def test_a_sink_that_comes_with_the_resume_has_the_earlier_rounds(tmp_path: Path) -> None:
    interrupted(tmp_path / "run", lambda _: None, lambda event: isinstance(event, Round) and event.round == 3)
    trained(tmp_path / "run", TensorBoard(), resume=True)
    check_series(tmp_path / "run")


def test_candidates_have_folders_of_their_own(tmp_path: Path) -> None:
    tune = {"train.learning_rate": [0.01, 0.02]}
    run = trained(tmp_path / "run", TensorBoard(), methods=["local"], tune=tune)
    place = tmp_path / "run" / "tensorboard" / "local"
    assert {path.name for path in place.iterdir()} == {"learning_rate=0.01", "learning_rate=0.02"}
    have = {p.name: "test/mean" in opened(p / "seed0").Tags()["scalars"] for p in place.iterdir()}
    assert have == {name: name == run.results.chosen["local"] for name in have}


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'msmtrec\[tensorboard\]'"):
        TensorBoard()


def test_events_before_the_run_began_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from msmtrec.record.events import RunStopped

    monkeypatch.chdir(tmp_path)
    event: Event = RunStopped(reason="error", text="no")
    TensorBoard()(event)
    assert list(tmp_path.iterdir()) == []
