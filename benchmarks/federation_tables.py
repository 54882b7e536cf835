"""Figures of a deployment's cost, from what its pieces have answered."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from results import Result, Results, absent

SHOWN = ("server", "SuperLink", "SuperNode", "resident process", "ClientApp")
"""Kinds of processes in the table of memory."""


def results(script: str, found: Sequence[Mapping[str, Any]], quick: bool, busy: list[float]) -> Results:
    """What is said of all pieces that there are. busy: the machine's load before the first."""
    about = (
        "Server and nodes share the machine: fedavg, one step of 16 rows a round, a checkpoint after every round."
        " *Empty* is the same deployment with a ClientApp that answers at once with as many bytes."
    )
    made = Results(script, "What a deployment costs", about, quick, load_before=busy)
    there = [piece for piece in found if "missing" not in piece]
    for piece in found:
        name = f"{piece['scenarios']:,} scenarios of {piece['megabytes']:g} MB"
        target = 2.0 if (piece["scenarios"], piece["megabytes"]) == (4, 2) else None
        if piece["kind"] == "simulated":
            made.results.append(_simulation(piece))
        elif "missing" in piece:
            made.results.append(absent(f"{name}: an exchange", target, "s", piece["missing"]))
        elif target is not None:
            made.results.append(_over_empty(f"{name}: an exchange over an empty one, local work aside", target, piece))
    deployed = [piece for piece in there if piece["kind"] == "deployed"]
    if deployed:
        made.tables += [_seconds(deployed), _memory(deployed)]
    for few, many in _pairs(deployed):
        more = (many["up"] - few["up"]) * many["scenarios"]
        grown = many["peaks"]["server"] - few["peaks"]["server"]
        name = f"{many['scenarios']} scenarios: what the server holds more, over what all of them upload more"
        note = f"from {few['megabytes']:g} to {many['megabytes']:g} MB"
        made.results.append(Result(name, None, "x", grown / more, note=note))
    return made


def _over_empty(name: str, target: float, piece: Mapping[str, Any]) -> Result:
    """Medians; the least and the most are of the deployed rounds alone."""
    aside = _mean(piece["together"]) + middle(piece["empty"])
    spent = piece["rounds"]
    figures = (statistics.median(spent) - aside, min(spent) - aside, max(spent) - aside)
    return Result(name, target, "s", *figures, better="less")


def _simulation(piece: Mapping[str, Any]) -> Result:
    name = f"{piece['scenarios']:,} simulated scenarios on {piece['nodes']} nodes, {piece['rounds_asked']} rounds"
    if "missing" in piece:
        return absent(name, None, "minutes", piece["missing"])
    whole = piece["first"] + sum(piece["rounds"]) + piece["last"]
    note = f"{middle(piece):.1f} s a round, {piece['whole'] / 1e9:.1f} GB"
    return Result(name, None, "minutes", whole / 60, note=note)


def _seconds(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    head = [
        "scenarios × upload",
        "nodes",
        "one process",
        "deployed",
        "empty",
        "over empty, local work aside",
        "rest of a run",
    ]
    table = [[head[0], head[1], *(f"{name}, s" for name in head[2:])]]
    for piece in found:
        own, empty, spent = _mean(piece["together"]), middle(piece["empty"]), middle(piece)
        rest = piece["first"] + piece["last"] - spent  # there is a round in the first
        times = [
            f"{own:.2f}",
            _spread(piece["rounds"]),
            _spread(piece["empty"]["rounds"]),
            f"{spent - own - empty:.1f}",
        ]
        table.append([_name(piece), str(piece["nodes"]), *times, f"{rest:.0f}"])
    return table


def _memory(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Peaks; of nodes' processes the largest."""
    table = [["peak memory, GB", "one process", *SHOWN, "all at once"]]
    for piece in found:
        held = [piece["together"]["peaks"]["one process"], *(piece["peaks"][kind] for kind in SHOWN), piece["whole"]]
        table.append([_name(piece), *(f"{value / 1e9:.2f}" for value in held)])
    return table


def _pairs(found: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Of as many scenarios on as many nodes: the smallest upload and the largest."""
    alike: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for piece in found:
        alike.setdefault((piece["scenarios"], piece["nodes"]), []).append(piece)
    ordered = [sorted(own, key=lambda piece: piece["megabytes"]) for own in alike.values() if len(own) > 1]
    return [(own[0], own[-1]) for own in ordered]


def _name(piece: Mapping[str, Any]) -> str:
    return f"{piece['scenarios']} × {piece['up'] / 1e6:.3g} MB"


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} ({min(seconds):.1f} … {max(seconds):.1f})"


def middle(found: Mapping[str, Any]) -> float:
    """Seconds a round."""
    return statistics.median(found["rounds"])


def _mean(found: Mapping[str, Any]) -> float:
    """The same of rounds that are short beside the tenth of a second between two looks."""
    return statistics.fmean(found["rounds"])
