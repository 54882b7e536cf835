"""What a deployment costs: sizes of uploads, figures of pieces, the measured part of docs/deployment.md."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import federation_overhead
import federation_tables
import pytest
import yaml
from federation_made import NAME, Federation
from federation_watch import Watch

from msmtrec import run
from places import ROOT

PROSE = f"# Several machines\n\n{federation_overhead.BEGIN}\n\nold\n\n<!-- end of what was measured -->\n\nAfter.\n"


def piece(scenarios: int, megabytes: float, seconds: float, server: float) -> dict[str, Any]:
    """As `Piece.measure` gives it; server: gigabytes."""
    peaks = dict.fromkeys(federation_tables.SHOWN, 1e9) | {"server": server * 1e9}
    return {
        **{"kind": "deployed", "scenarios": scenarios, "megabytes": megabytes, "nodes": 4, "rounds_asked": 4},
        "together": {"rounds": [0.0, 0.25, 1.25], "peaks": {"one process": 5e8}},
        "empty": {"rounds": [4.0, 4.5, 5.0]},
        **{"rounds": [seconds, seconds - 0.5, seconds + 1], "first": 20.0, "last": 30.0},
        **{"peaks": peaks, "whole": 7e9, "up": round(megabytes * 1e6)},
    }


SIMULATED = {
    **{"kind": "simulated", "scenarios": 200, "megabytes": 0.2, "nodes": 200, "rounds_asked": 5},
    **{"rounds": [10.0, 12.0, 11.0, 13.0], "first": 40.0, "last": 34.0, "peaks": {}, "whole": 3.5e9, "up": 200_000},
}


def test_an_exchange_is_held_against_an_empty_one_with_local_work_aside() -> None:
    (found,) = federation_tables.results("x", [piece(4, 2, 6.5, 0.6)], False, [0.0]).results
    assert (found.measured, found.least, found.most) == (1.5, 1.0, 2.5)
    assert (found.wanted, found.verdict) == (2.0, "met")
    slow = federation_tables.results("x", [piece(4, 2, 7.25, 0.6)], False, [0.0]).results
    assert slow[0].verdict == "missed"


def test_the_server_s_memory_is_told_as_a_multiple_of_what_is_uploaded() -> None:
    both = [piece(16, 50, 9, 2.5), piece(16, 2, 6, 0.964), piece(64, 2, 6, 1)]
    (found,) = federation_tables.results("x", both, False, [0.0]).results
    assert found.measured == pytest.approx(2.0)
    assert found.name.startswith("16 scenarios: ")


def test_tables_have_seconds_and_memory() -> None:
    seconds, memory = federation_tables.results("x", [piece(4, 2, 6.5, 0.6)], False, [0.0]).tables
    assert seconds[1] == ["4 × 2 MB", "4", "0.50", "6.5 (6.0 … 7.5)", "4.5 (4.0 … 5.0)", "1.5", "44"]
    assert memory[1] == ["4 × 2 MB", "0.50", "0.60", "1.00", "1.00", "1.00", "1.00", "7.00"]


def test_a_simulation_says_how_long_it_took_and_what_it_held() -> None:
    (found,) = federation_tables.results("x", [SIMULATED], False, [0.0]).results
    assert (found.measured, found.unit, found.note) == (2.0, "minutes", "11.5 s a round, 3.5 GB")


def test_what_this_machine_is_too_small_for_is_said() -> None:
    lacking = {**piece(64, 50, 1, 1), "missing": "wants about 32 GB of memory"}
    (found,) = federation_tables.results("x", [lacking], False, [0.0]).results
    assert (found.measured, found.note) == (None, "wants about 32 GB of memory")
    assert "GB of memory" in federation_overhead.Piece("deployed", Federation(64, 5000, 4, 3)).lacking()
    assert federation_overhead.Piece("deployed", Federation(1, 0.001, 1, 3)).lacking() == ""


def test_the_page_is_written_between_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(PROSE)
    script = federation_overhead.SCRIPT
    federation_tables.results(script, [piece(4, 2, 6.5, 0.6)], False, [0.1]).write(tmp_path)
    federation_overhead.write_page(tmp_path, path)
    text = path.read_text()
    assert "old" not in text
    assert "| 4 × 2 MB | 4 | 0.50 | 6.5 (6.0 … 7.5) |" in text
    assert text.endswith("<!-- end of what was measured -->\n\nAfter.\n")


def test_the_project_s_page_has_the_markers() -> None:
    assert federation_overhead.BEGIN in (ROOT / "docs" / "deployment.md").read_text()


@pytest.mark.parametrize("megabytes", [1, 4])
def test_an_upload_has_the_size_that_is_asked_for(tmp_path: Path, megabytes: float) -> None:
    config = Federation(2, megabytes, 2, 1).write(tmp_path)
    run(config, out=tmp_path / "run", cache=False, caution=lambda _: None)
    (record,) = map(json.loads, (tmp_path / "run" / "contenders" / NAME / "rounds.jsonl").read_text().splitlines())
    assert sum(record["bytes_up"].values()) / 2e6 == pytest.approx(megabytes, rel=0.05)


def test_nodes_have_several_scenarios_each_and_rows_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="Flower is not installed: pip install 'msmtrec[flower]'")
    place = Federation(5, 0.1, 2, 1).deploy(tmp_path, 9000)
    federation = yaml.safe_load((place / "server" / "federation.yaml").read_text())
    shared = {node: entry["scenarios"] for node, entry in federation["nodes"].items()}
    assert shared == {
        "scenario-0": ["scenario-0", "scenario-1", "scenario-2"],
        "scenario-3": ["scenario-3", "scenario-4"],
    }
    for node, names in shared.items():
        own = yaml.safe_load((place / "nodes" / node / "node.yaml").read_text())
        assert own["scenarios"] == list(own["data"]["files"]) == names
        assert all(Path(path).exists() for path in own["data"]["files"].values())


def test_processes_of_a_folder_and_lines_of_a_file_are_seen(tmp_path: Path) -> None:
    code = (
        "import sys, time; held = b'x' * 200_000_000\n"
        "for _ in range(2): time.sleep(.4); print('{}', file=open(sys.argv[1], 'a'))\ntime.sleep(.4)"
    )
    with Watch(tmp_path, "lines.jsonl") as seen:
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "lines.jsonl"), "flwr-clientapp"], check=True)
    assert len(seen.at) == 2
    assert seen.spent[0] == pytest.approx(0.4, abs=0.3)
    assert set(seen.peaks) == {"ClientApp"}
    assert 2e8 < seen.peaks["ClientApp"] < 3e8
    assert 2e8 < seen.whole < 3e8
