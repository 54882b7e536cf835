"""The tables of the data profile's page, as texts and numbers that the template only has to place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.logs import SPLITS
from msmtrec.profile.drift import Shift
from msmtrec.profile.duplicates import Repeated
from msmtrec.profile.page.plots import heat_map
from msmtrec.profile.page.profile_plots import short
from msmtrec.profile.profile import Overlap, Profile
from msmtrec.profile.rows import Rate

UNKNOWN = 0.01
"""Share of unknown values from which a field is in the table."""
FEATURES = 25
"""Features in a table of drift."""


def share(value: float) -> str:
    """0.1234 as 12.3 %."""
    if math.isnan(value):
        return "–"
    if value in (0, 1):
        return f"{100 * value:.0f} %"
    return f"{100 * value:.2f} %" if value < 0.01 else f"{100 * value:.1f} %"


def many(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.0f}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def largest(profile: Profile, count: int) -> list[str]:
    """The largest scenarios, in table order."""
    ordered = sorted(profile.shown, key=lambda name: -profile.rows[name].total)[:count]
    return [name for name in profile.shown if name in ordered]


def _interval(rate: Rate) -> dict[str, str]:
    if not rate.rows:
        return {"rate": "–", "span": ""}
    low, high = rate.interval
    return {"rate": f"{rate.share:.3f}", "span": f"{low:.3f} – {high:.3f}"}


def rows_table(profile: Profile) -> list[dict[str, Any]]:
    group = profile.fields.get(profile.schema.group or "")
    return [
        {
            "scenario": name,
            "shown": name in profile.shown,
            "rows": counts.rows,
            "total": counts.total,
            "share": counts.total / max(profile.total, 1),
            "groups": group.distinct.count(name) if group else math.nan,
        }
        for name, counts in profile.rows.items()
    ]


def bins_table(profile: Profile, drawn: list[str]) -> list[dict[str, Any]]:
    """The figures over time as a table: rows and label rates of a bin, scenario by scenario."""
    lines = []
    for number, start in enumerate(profile.axis.starts()):
        cells = []
        for name in drawn:
            counts = profile.rows[name]
            rates = [
                f"{task} {positives[number] / known[number]:.3f}"
                for task, (known, positives) in counts.rates_by_bin.items()
                if known[number]
            ]
            cells.append({"rows": int(counts.by_bin[:, number].sum()), "rates": rates})
        lines.append({"start": start, "cells": cells})
    return lines


def labels_table(profile: Profile) -> list[dict[str, Any]]:
    """A line per scenario and task: rate, by split, and against all other scenarios."""
    lines = []
    for task in profile.schema.task_names:
        whole = sum((c.rate(task) for c in profile.rows.values() if task in c.labels), Rate())
        for name in profile.shown:
            counts = profile.rows[name]
            if task not in counts.labels:
                continue
            own = counts.rate(task)
            others = whole - own
            ratio = own.share / others.share if others.positives and own.rows else math.nan
            lines.append(
                {
                    "task": task,
                    "scenario": name,
                    "all": _interval(own),
                    "splits": [_interval(counts.labels[task][split]) for split in SPLITS],
                    "positives": counts.labels[task]["test"].positives,
                    "others": _interval(others)["rate"],
                    "ratio": "–" if math.isnan(ratio) else f"× {ratio:.2f}",
                }
            )
    return lines


def _matrix(names: Sequence[str], values: NDArray[np.float64]) -> list[dict[str, Any]]:
    return [{"name": name, "cells": [_number(v) for v in line]} for name, line in zip(names, values, strict=True)]


def overlap_part(profile: Profile, number: int, found: Overlap) -> dict[str, Any]:
    names = [short(name) for name in profile.shown]
    return {
        "field": found.field,
        "exact": found.exact,
        "figure": heat_map(found.matrix, names, f"Overlap of {found.field}", 0, 1, "Blues", key=f"overlap-{number}")
        if len(names) > 1
        else "",
        "matrix": _matrix(profile.shown, found.matrix),
    }


def coverage_table(profile: Profile) -> list[dict[str, Any]]:
    """Per overlapping field: the share of a scenario's test values that it, and that anyone, knows from training."""
    return [
        {
            "field": found.field,
            "exact": found.exact,
            "cells": [
                {"own": 1 - asked["test"].unknown, "anywhere": asked["test"].known_anywhere}
                if (asked := profile.fields[found.field].asked.get(name))
                else {"own": math.nan, "anywhere": math.nan}
                for name in profile.shown
            ],
        }
        for found in profile.overlaps
    ]


def _kind(feature: Feature) -> str:
    if feature.shared is not None:
        return f"shared: {feature.shared.kind}"
    return "private: hash" if feature.hash else "private"


def vocabulary_table(profile: Profile) -> dict[str, Any]:
    """Fields with many unknown values somewhere, the worst first; and the names of all others."""
    lines, quiet = [], []
    schema = profile.schema
    kinds = {feature.name: _kind(schema.owner(feature)) for feature in schema.categorical}
    for name, field in profile.fields.items():
        found = {s: field.asked[s] for s in profile.shown if s in field.asked}
        worst = max((a.unknown for asked in found.values() for a in asked.values() if a.values), default=0.0)
        if worst < UNKNOWN:
            quiet.append(name)
            continue
        kind = kinds.get(name, "group")
        cells = [
            {
                "distinct": field.distinct.count(s),
                "validation": found[s]["validation"].unknown if s in found else math.nan,
                "test": found[s]["test"].unknown if s in found else math.nan,
            }
            for s in profile.shown
        ]
        lines.append({"field": name, "kind": kind, "exact": field.distinct.bound.exact, "worst": worst, "cells": cells})
    return {"lines": sorted(lines, key=lambda line: (-line["worst"], line["field"])), "quiet": quiet}


def drift_part(profile: Profile, found: dict[str, dict[str, Shift]], title: str) -> dict[str, Any] | None:
    """Features by their largest PSI: a figure, and a table with what moves most."""
    if not found:
        return None
    worst = {
        name: max((s[name].psi for s in found.values() if not math.isnan(s[name].psi)), default=0.0)
        for name in next(iter(found.values()), {})
    }
    names = sorted(worst, key=lambda name: (-worst[name], name))[:FEATURES]
    if not names:
        return None
    matrix = np.array([[found[s][name].psi for s in profile.shown] for name in names])
    columns = [short(s, 14) for s in profile.shown]
    return {
        "figure": heat_map(matrix, [short(n) for n in names], f"PSI: {title}", 0, 0.5, "Blues", columns),
        "left_out": len(worst) - len(names),
        "lines": [{"feature": name, "cells": [_shift(found[s][name]) for s in profile.shown]} for name in names],
    }


def _shift(found: Shift) -> dict[str, Any]:
    label, here, there = found.most
    moves = f"{label[:40]}: {share(here)} → {share(there)}" if label and found.notable else ""
    return {"psi": _number(found.psi), "chance": _number(found.chance), "notable": found.notable, "moves": moves}


def apart_part(profile: Profile) -> dict[str, Any] | None:
    found = profile.apart
    if len(found.scenarios) < 2 or np.isnan(found.auc).all():
        return None
    names = [short(name) for name in found.scenarios]
    return {
        "figure": heat_map(found.auc, names, "AUC of a classifier between scenarios", 0.5, 1, "Blues"),
        "matrix": _matrix(found.scenarios, found.auc),
        "scenarios": found.scenarios,
    }


def duplicates_table(profile: Profile) -> list[dict[str, Any]]:
    def cell(found: Repeated, share: float, count: int) -> dict[str, Any]:
        return {"share": share, "count": count if found.exact else None}

    lines = []
    for name in profile.shown:
        rows, features = profile.repeats["rows"][name], profile.repeats["features"][name]
        cells = [
            cell(rows, rows.share, rows.repeats),
            cell(features, features.share, features.repeats),
            cell(features, features.contradiction, features.contradictory),
        ]
        if "pairs" in profile.repeats:
            pairs = profile.repeats["pairs"][name]
            cells += [cell(pairs, pairs.share, pairs.repeats), cell(pairs, pairs.contradiction, pairs.contradictory)]
        lines.append({"scenario": name, "cells": cells})
    return lines


def empty_table(profile: Profile) -> list[dict[str, Any]]:
    """Features that are constant or have missing values somewhere, the emptiest first."""
    lines = []
    for feature in profile.schema.features:
        cells = [profile.filled[name][feature.name] for name in profile.shown]
        most = max(cell.share_missing for cell in cells)
        if most or any(cell.constant for cell in cells):
            lines.append(
                {
                    "feature": feature.name,
                    "most": most,
                    "cells": [{"missing": c.share_missing, "constant": c.constant} for c in cells],
                }
            )
    return sorted(lines, key=lambda line: (-line["most"], line["feature"]))
