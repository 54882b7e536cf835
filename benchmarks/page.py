"""docs/performance.md from what the benchmarks wrote: everything between two markers; the prose around it stays.

python benchmarks/page.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import ROOT
from results import FOLDER, Result, Results, count, figure, read

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: written by benchmarks/page.py -->", "<!-- end of what was measured -->"


def main(scripts: Sequence[str], folder: Path = FOLDER, page: Path = PAGE) -> None:
    """Replaces the measured part of the page. Figures of cut-down sizes are left out."""
    found = [read(folder / f"{name}.json") for name in scripts if (folder / f"{name}.json").exists()]
    whole = [entry for entry in found if not entry[0].quick]
    for results, _ in found:
        if results.quick:
            print(f"{results.script}: measured at cut-down sizes, not on the page")
    if not whole:
        print("nothing to write")
        return
    profiles = json.loads((folder / "profiles.json").read_text()) if (folder / "profiles.json").exists() else {}
    there = {results.script for results, _ in whole}
    page.write_text(
        replaced(page.read_text(), measured(whole, profiles, [name for name in scripts if name not in there]))
    )
    print(f"{page.name} written")


def replaced(text: str, part: str, begin: str = BEGIN) -> str:
    """The page with another measured part.

    Raises:
        ValueError: it lacks a marker.
    """
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the page has no '{begin}' and '{END}'")
    return f"{before}{begin}\n\n{part.strip()}\n\n{END}{after}"


def measured(
    found: list[tuple[Results, dict[str, Any]]], profiles: Mapping[str, list[list[str]]], lacking: Sequence[str] = ()
) -> str:
    """Machine, all targets, then script by script what is behind them.

    Args:
        lacking: scripts that have not been run.
    """
    every = [result for results, _ in found for result in results.results]
    parts = [
        "## The machine",
        machine_table(found),
        "## Targets",
        f"{count(every)}.",
        targets(results for results, _ in found),
    ]
    if lacking:
        parts.insert(-1, f"**Not measured yet**, and so not counted: {', '.join(f'`{name}`' for name in lacking)}.")
    for results, about in found:
        parts += [f"## {results.title}", results.about, figures(results)]
        parts += [table(rows) for rows in results.tables]
        parts.append(loads(results, about))
        own = {name: rows for name, rows in profiles.items() if name.startswith(f"{results.script} · ")}
        for name, rows in own.items():
            parts += [f"**Profile of {name.partition(' · ')[2]}**", table([["what", "of the time", "calls"], *rows])]
    return "\n\n".join(parts)


def machine_table(found: list[tuple[Results, dict[str, Any]]]) -> str:
    """Of the last measurement."""
    about = found[-1][1]
    rows = [
        ["processor", f"{about['cpu']}, {about['family']}"],
        ["cores", str(about["cores"])],
        ["caches of a core", about["caches"]],
        ["instructions", ", ".join(about["instructions"])],
        ["memory", f"{about['memory_gb']} GB"],
        ["system", f"{about['system']}, Python {about['python']}"],
        ["libraries", ", ".join(f"{name} {number}" for name, number in about["libraries"].items())],
        ["revision", ", ".join(sorted({one["revision"] for _, one in found}))],
    ]
    return table([["", ""], *rows])


def targets(every: Iterable[Results]) -> str:
    """Of all scripts; the first of each bears its title."""
    rows = [["of", "target", "", "wanted", "measured", "least … most"]]
    for results in every:
        title = results.title
        for result in results.results:
            if result.verdict:
                verdict = f"**{result.verdict}**"
                rows.append([title, result.name, verdict, _wanted(result), _measured(result), _spread(result)])
                title = ""
    return table(rows)


def figures(results: Results) -> str:
    """All lines of a script, those without a target too."""
    rows = [["what", "wanted", "measured", "least … most", "remark"]]
    for result in results.results:
        rows.append([result.name, _wanted(result), _measured(result), _spread(result), result.note])
    return table(rows)


def loads(results: Results, about: Mapping[str, Any]) -> str:
    before, after = (f"{load[0]:.1f}" for load in (results.load_before, about["load_after"]))
    return f"Processes that wanted a core: {before} before, {after} after."


def table(rows: list[list[str]]) -> str:
    """Markdown, the first row as its head."""
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _wanted(result: Result) -> str:
    return "" if result.wanted is None else f"{result.sign} {figure(result.wanted, result.unit)}"


def _measured(result: Result) -> str:
    return figure(result.measured, result.unit)


def _spread(result: Result) -> str:
    if result.least is None or result.most is None:
        return ""
    return f"{figure(result.least, '')} … {figure(result.most, '')}"


if __name__ == "__main__":
    from bench import SCRIPTS

    main(SCRIPTS)
