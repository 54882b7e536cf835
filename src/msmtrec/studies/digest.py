"""What a page of results needs of a finished run and its CSV of figures lacks, as JSON: no scores, no ids, no paths."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msmtrec.base.yaml import read_yaml
from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.ranks import Ranking
from msmtrec.record import directory
from msmtrec.record.columns import contender_of
from msmtrec.record.results import Results
from msmtrec.record.standing import Gain, by_task, effect, gains, on_mean, ranking
from msmtrec.record.summary import Finished, summarise, task_order
from msmtrec.studies.folder import ASKED, TRIED

FORMAT = 1
OWN_STATISTICS = "local-stats"
"""By convention the contender that trains alone, with statistics of its own rows: the second one to do no harm to."""
_SMALL = ("p", "holm")
_WIDE = 240


def digest(folder: Path, results: Results) -> dict[str, Any]:
    """Of a run directory; None stands for what does not exist.

    Only what the run kept is read. Against `local-stats`, where it is there, lines are compared anew, from the kept
    scores of test rows.

    Raises:
        UserError: the directory is incomplete.
    """
    found = ranking(results)
    told = {
        "format": FORMAT,
        "data": _data(folder),
        "environment": _environment(folder),
        "tuning": _tuning(folder),
        "seeds": len(next(iter(results.cells.values()))[0].auc),
        "reference": results.reference,
        "baselines": results.baselines,
        "tests": results.tests,
        "unit": results.unit,
        "users": results.users,
        "rows": results.rows,
        "lines": [_line(results, n) for n in range(len(results.lines) - 1)],
        "ranks": {"lines": found.lines, "distance": found.distance, "p": found.p_value} if found else None,
        "contenders": _contenders(folder, results, found),
    }
    return {key: _short(value) for key, value in told.items()}


def _contenders(folder: Path, results: Results, found: Ranking | None) -> dict[str, Any]:
    settings = _settings(folder, results)
    references = {results.reference: results, **_against_own_statistics(folder, results)}
    baselines = list(dict.fromkeys(results.baselines.values()))
    return {
        name: {
            "chosen": settings[name],
            "mean": on_mean(results, name),
            "tasks": by_task(results, name),
            "rank": found.ranks[name] if found else None,
            "tests": {other: _test(results, name, other) for other in baselines if other != name},
            "lines": {
                reference: [_gain(gain) for gain in gains(table, name)]
                for reference, table in references.items()
                if reference != name
            },
        }
        for name in results.cells
    }


def text_of(found: Mapping[str, Any]) -> str:
    """JSON with what fits in a line in one line."""
    return _laid_out(found, "") + "\n"


def _laid_out(value: Any, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, dict | list) or len(indent) + len(line) <= _WIDE:
        return line
    inner = f"{indent} "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(item, inner)}" for key, item in value.items()]
    else:
        parts = [_laid_out(item, inner) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{last}"


def _short(value: Any, key: str = "") -> Any:
    """Plain values: three digits of a p, which may be tiny, and six decimals of everything else."""
    if isinstance(value, Mapping):
        return {name: _short(item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    if isinstance(value, float):
        return None if not math.isfinite(value) else float(f"{value:.3g}") if key in _SMALL else round(value, 6)
    return value


def _against_own_statistics(folder: Path, results: Results) -> dict[str, Results]:
    """`local-stats` -> the table with it as the reference; empty where it is not there, or is the reference."""
    if OWN_STATISTICS not in results.cells or results.reference == OWN_STATISTICS:
        return {}
    finished = {
        name: Finished(directory.contender_folder(folder, name, results.chosen.get(name, ""))) for name in results.cells
    }
    tasks = task_order(folder, results)
    table = summarise(results.name, finished, tasks, unit=results.unit, reference=OWN_STATISTICS)
    return {OWN_STATISTICS: table}


def _line(results: Results, number: int) -> dict[str, Any]:
    scenario, task = results.lines[number]
    rests = results.support[number]
    return {
        "scenario": scenario,
        "task": task,
        "rows": rests.rows,
        "positives": rests.positives,
        "users": rests.users,
        "counted": results.counted[number],
        "few": rests.few,
    }


def _test(results: Results, name: str, other: str) -> dict[str, Any] | None:
    pair = results.pair(name, other)
    if pair is None:
        return None
    return {**_compared(pair.compared), "holm": pair.p_value, "effect": effect(results, name, other)}


def _gain(gain: Gain) -> dict[str, Any]:
    return {**_compared(gain.compared), "holm": gain.p_value}


def _compared(one: Comparison) -> dict[str, Any]:
    found = {"difference": one.difference, "low": one.low, "high": one.high, "p": one.p_value}
    return {**found, "untested": one.untested} if one.untested else found


def _data(folder: Path) -> dict[str, Any]:
    """Rows by scenario and split; of the pooled table where nothing else is there."""
    variants = directory.read_json(folder / directory.DATA)
    one = next((found for name, found in variants.items() if name != "pooled"), next(iter(variants.values())))
    rows = {name: scenario["rows"] for name, scenario in one["scenarios"].items()}
    return {"name": one["name"], "rows": rows, "fingerprints": {n: v["fingerprint"] for n, v in variants.items()}}


def _environment(folder: Path) -> dict[str, Any]:
    found = directory.read_json(folder / directory.ENVIRONMENT)
    return {key: found.get(key) for key in ("git", "python", "packages", "device", "cores", "jobs")}


def _tuning(folder: Path) -> dict[str, Any] | None:
    """The numbers of a benchmark; None of another run."""
    if not (folder / ASKED).exists():
        return None
    found: dict[str, Any] = read_yaml(folder / ASKED)["bench"]
    return found


def _settings(folder: Path, results: Results) -> dict[str, Any]:
    """Column -> what was chosen: of a benchmark its settings, of another run the candidate's name."""
    if not (folder / TRIED).exists():
        return dict(results.chosen)
    tried = directory.read_json(folder / TRIED)
    found = {}
    for name in results.cells:
        own = tried[contender_of(name)]
        found[name] = own["candidates"][own["chosen"]]["settings"] if own["chosen"] else {}
    return found
