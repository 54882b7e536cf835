"""What stands out in a data profile, and what to do about it: a sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from msmtrec.data.logs import SPLITS
from msmtrec.profile.drift import LARGE, Shift
from msmtrec.profile.emptiness import Filled
from msmtrec.profile.profile import Profile

FEW_POSITIVES = 50
LITTLE, MUCH = 0.05, 0.3
"""Of one scenario's values that another has, on average over pairs."""
UNKNOWN = 0.2
"""Of a field's test values."""
REPEATED = 0.01
_LISTED = 3


@dataclass(frozen=True)
class Advice:
    """A finding and its remedy, in the section of the page that shows it."""

    section: str
    text: str


def advise(profile: Profile) -> list[Advice]:
    """What the rows' encoding found, the heaviest first; then what the page itself shows, in its order."""
    parts = {
        "check": _told,
        "rows": _rows,
        "labels": _labels,
        "overlap": _overlap,
        "unknown": _unknown,
        "drift": _drift,
        "apart": _apart,
        "duplicates": _duplicates,
        "features": _features,
    }
    return [Advice(section, text) for section, part in parts.items() for text in part(profile)]


def _told(profile: Profile) -> Iterator[str]:
    for found in profile.told:
        yield found.text[0].upper() + found.text[1:] + "."


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:_LISTED]) + more


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def _rows(profile: Profile) -> Iterator[str]:
    sizes = {name: counts.total for name, counts in profile.rows.items()}
    largest, smallest = max(sizes, key=lambda n: sizes[n]), min(sizes, key=lambda n: sizes[n])
    if sizes[largest] > 10 * max(sizes[smallest], 1):
        yield (
            f"'{largest}' has {sizes[largest] / max(sizes[smallest], 1):,.0f} times the rows of '{smallest}': means"
            f" over rows are mostly '{largest}' ({_percent(sizes[largest] / profile.total)} of all), so read every"
            " scenario's AUC, and compare with a method that does not weight scenarios by their rows."
        )
    lacking = sum(counts.without_time for counts in profile.rows.values())
    if lacking:
        yield f"{lacking:,} rows have no time and are in no bar; find out where they come from."
    if profile.axis.kind == "order":
        return
    by_bin = np.sum([profile.rows[name].by_bin for name in profile.shown], axis=0)
    train, test = by_bin[SPLITS.index("train")], by_bin[SPLITS.index("test")]
    later = train[int((test > 0).argmax()) + 1 :].sum() / max(train.sum(), 1) if test.any() else 0.0
    if later > REPEATED:
        yield (
            f"{_percent(later)} of training rows are later than the first test rows: training sees days that test"
            " rows come from. That is how a split within users works; a split at one date is nearer to production."
        )


def _labels(profile: Profile) -> Iterator[str]:
    for task in profile.schema.task_names:
        having = [n for n in profile.shown if task in profile.rows[n].labels and profile.rows[n].rate(task).rows]
        rates = {name: profile.rows[name].rate(task) for name in having}
        if len(rates) > 1:
            low, high = min(rates, key=lambda n: rates[n].share), max(rates, key=lambda n: rates[n].share)
            if rates[high].interval[0] > 1.5 * rates[low].interval[1]:
                times = rates[high].share / rates[low].share if rates[low].positives else float("inf")
                yield (
                    f"'{task}' is {times:.1f} times as frequent in '{high}' as in '{low}': keep towers local, so that"
                    " every scenario has its own level, and compare log loss only within a scenario."
                )
        moved = []
        for name in having:
            train, test = (profile.rows[name].labels[task][split] for split in ("train", "test"))
            apart = max(train.interval[0] - test.interval[1], test.interval[0] - train.interval[1])
            if apart > 0.1 * train.share:
                moved.append((apart, f"'{name}' ({train.share:.3f} → {test.share:.3f})"))
        if moved:
            texts = [text for _, text in sorted(moved, reverse=True)]
            more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
            yield (
                f"The rate of '{task}' moves from training to test in {', '.join(texts[:_LISTED])}{more}: predicted"
                " levels will be off there, so recalibrate, or train on later rows."
            )
        few = [n for n in having if profile.rows[n].labels[task]["test"].positives < FEW_POSITIVES]
        if few:
            yield (
                f"Fewer than {FEW_POSITIVES} positive test rows of '{task}' in {_listed(few)}: its AUC there is mostly"
                " chance; do not choose a method by it."
            )


def _overlap(profile: Profile) -> Iterator[str]:
    schema = profile.schema
    shared = {feature.name: schema.owner(feature).shared is not None for feature in schema.categorical}
    for found in profile.overlaps:
        pairs = found.matrix[~np.eye(len(found.matrix), dtype=bool)]
        pairs = pairs[~np.isnan(pairs)]
        if not len(pairs) or (found.field not in shared and found.field != profile.schema.group):
            continue
        mean, what = float(pairs.mean()), f"'{found.field}'"
        if mean < LITTLE:
            useless = "sharing their embeddings" if found.field in shared else "what one scenario learns of them"
            yield (
                f"Values of {what} barely overlap ({_percent(mean)} on average): {useless} cannot help another"
                " scenario; only fields that are in common can."
            )
        elif mean >= MUCH and found.field in shared and not shared[found.field]:
            yield (
                f"A scenario's values of {what} are {_percent(mean)} known to another one on average, yet the field is"
                " private: declare it shared (ids, values or hash), if scenarios mean the same by a value."
            )
        elif mean >= MUCH and found.field == profile.schema.group:
            yield (
                f"{_percent(mean)} of a scenario's {what} values also occur in another one: test rows of one scenario"
                " have training rows of the same user in another, which is what sharing can use."
            )


def _unknown(profile: Profile) -> Iterator[str]:
    features = {feature.name: feature for feature in profile.schema.categorical}
    for name, field in profile.fields.items():
        if name not in features or features[name].hash:  # a hashed field knows every value
            continue
        asked = {s: field.asked[s]["test"] for s in profile.shown if s in field.asked}
        high = sorted((s for s in asked if asked[s].unknown >= UNKNOWN), key=lambda s: -asked[s].unknown)
        if not high:
            continue
        worst = asked[high[0]]
        start = (
            f"{_percent(worst.unknown)} of the test values of '{name}' in '{high[0]}' are not in its training rows,"
            f" {_percent(1 - worst.known_anywhere)} in nobody's"
            + (f" (also many in {_listed(high[1:])}): " if high[1:] else ": ")
        )
        helps = worst.known_anywhere - worst.own / worst.values > worst.unknown / 3
        if helps and features[name].shared is None:
            yield start + "declare the field shared; other scenarios have trained many of them."
        elif helps:
            yield start + "use a method that shares embeddings; other scenarios have trained many of them."
        else:
            yield start + "rely on fields that describe the value, or hash it into fewer buckets."


def _drift(profile: Profile) -> Iterator[str]:
    strong = _strong(profile.between)
    if strong:
        yield (
            f"Features differ between scenarios, most of all {strong}: keep normalisation and gates local, and expect"
            " a common expert to serve such a scenario badly."
        )
    moved = _strong(profile.over_time)
    if moved:
        yield (
            f"From training to test, {moved} move a lot: check that the column still means the same, and that it is"
            " not an id or a date in disguise."
        )


def _strong(shifts: dict[str, dict[str, Shift]]) -> str:
    """The features with the largest PSI above LARGE, each with its worst scenario."""
    worst: dict[str, tuple[float, str]] = {}
    for scenario, found in shifts.items():
        for name, shift in found.items():
            if shift.notable and shift.psi >= LARGE:
                worst[name] = max(worst.get(name, (0.0, "")), (shift.psi, scenario))
    ordered = sorted(worst.items(), key=lambda item: (-item[1][0], item[0]))
    listed = [f"'{name}' (PSI {psi:.2f} in '{scenario}')" for name, (psi, scenario) in ordered[:_LISTED]]
    return ", ".join(listed) + (f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else "")


def _apart(profile: Profile) -> Iterator[str]:
    found = profile.apart
    pairs = [
        (found.auc[i, j], found.scenarios[i], found.scenarios[j])
        for i, j in combinations(range(len(found.scenarios)), 2)
        if not np.isnan(found.auc[i, j])
    ]
    if not pairs:
        return
    highest, one, two = max(pairs)
    if highest >= 0.9:
        yield (
            f"'{one}' and '{two}' are told apart with AUC {highest:.2f}: their inputs have little in common, so prefer"
            " methods that let a scenario keep experts of its own."
        )
    elif highest < 0.6:
        yield (
            f"No two scenarios are told apart by these features (AUC at most {highest:.2f}): what differs between them"
            " is the labels, so share the lower layers and keep towers local."
        )


def _duplicates(profile: Profile) -> Iterator[str]:
    kinds = (
        ("rows", "share", "repeat an earlier row in every column: remove them, or they count several times."),
        ("features", "contradiction", "have a twin with the same features and another label: no model can rank both."),
        ("pairs", "share", f"repeat a ({profile.schema.group}, {profile.item}) pair: decide which of them counts."),
    )
    for kind, measure, text in kinds:
        found = {name: getattr(kept, measure) for name, kept in profile.repeats.get(kind, {}).items()}
        high = sorted((name for name, share in found.items() if share >= REPEATED), key=lambda name: -found[name])
        if high:
            several = f" (at least 1 % also in {_listed(high[1:])})" if high[1:] else ""
            yield f"{_percent(found[high[0]])} of rows of '{high[0]}'{several} {text}"


def _features(profile: Profile) -> Iterator[str]:
    for sentence in profile.leaks:
        yield sentence[0].upper() + sentence[1:] + " If not, remove it."
    told = {found.kind for found in profile.told}
    for what, text in (
        ("constant", "the same in every row of {}: it says nothing there; remove it, or check the join."),
        ("mostly_missing", "missing in at least 95 % of rows of {}: remove it, or check the join."),
    ):
        for feature in profile.schema.features:
            filled = {name: profile.filled[name][feature.name] for name in profile.shown}
            found = [name for name in profile.shown if getattr(filled[name], what) and not _said(filled[name], told)]
            if found:
                where = "every scenario" if len(found) == len(profile.shown) > 1 else _listed(found)
                yield f"'{feature.name}' is " + text.format(where)


def _said(filled: Filled, told: set[str]) -> bool:
    """Whether a finding on training rows is about it already."""
    return (filled.constant and "constant" in told) or (filled.share_missing == 1 and "missing" in told)
