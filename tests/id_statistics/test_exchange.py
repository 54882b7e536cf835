"""Scenarios come to common statistics by messages alone: what each says, all hear together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from id_statistics.test_encoded import logs, settings
from msmtrec.base.packing import pack, unpack
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData
from msmtrec.methods.settings.linear import BiasSettings
from msmtrec.statistics.encoded import Known
from msmtrec.statistics.exchange import Half, Said, answered, together
from msmtrec.statistics.fitting import fitting
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.means import averaging
from msmtrec.statistics.own import Own, owners
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.survey import Survey

Begin = Callable[[Own], Half[Known]]
COUNTING: dict[str, StatisticsSettings] = {
    "chosen": StatisticsSettings(least=20),
    "days": settings(history="days", decay=0.9),
    "blocks": settings(history="blocks", inputs=True),
    "one summed": settings(summed=("item",)),
    "none summed": settings(summed=False, wide="none", inputs=True),
}
BEGINS: dict[str, Begin] = {
    **{name: (lambda own, s=kind: fitting(own, s)) for name, kind in COUNTING.items()},  # type: ignore[misc]
    "bias": lambda own: averaging(own, BiasSettings(least=20).counting),
}
STEPS = {"chosen": 3, "days": 3, "blocks": 3, "one summed": 3, "none summed": 1, "bias": 3}


@pytest.fixture(scope="module")
def data() -> EncodedData:
    return encode(logs(), share=True)


def wired(said: Said) -> Said:
    """As JSON and tensors of its own."""
    tensors, plain = pack(said)
    return unpack(Said, {name: one.clone() for name, one in tensors.items()}, json.loads(json.dumps(plain)))


def apart(own: dict[str, Own], begin: Begin) -> tuple[dict[str, Known], list[dict[str, Said]]]:
    """Halves that remember nothing: at each step all is heard again, as a scenario that was killed hears it."""
    heard, said = list[Said](), list[dict[str, Said]]()
    while True:
        answers = {name: answered(begin(one), [wired(each) for each in heard]) for name, one in own.items()}
        if not any(isinstance(answer, Said) for answer in answers.values()):
            return answers, said  # type: ignore[return-value]
        said.append({name: wired(answer) for name, answer in answers.items()})  # type: ignore[arg-type]
        heard.append(Said.together(list(said[-1].values())))


@pytest.mark.parametrize("name", BEGINS)
def test_apart_is_together(data: EncodedData, name: str) -> None:
    own, begin = owners(data), BEGINS[name]
    one, (two, said) = together({scenario: begin(rows) for scenario, rows in own.items()}), apart(own, begin)
    assert len(said) == STEPS[name]
    for scenario, rows in own.items():
        for part in (rows.train, replace(rows.validation, unit=None)):
            found = [known[scenario](part, data.layout.numeric) for known in (one, two)]
            np.testing.assert_array_equal(found[0].numeric, found[1].numeric)
            np.testing.assert_array_equal(*((each.offset if each.offset is not None else 0) for each in found))


def test_nothing_is_said_of_what_is_not_summed(data: EncodedData) -> None:
    """Counts of `item` alone, moments of what is read from its sums: 2 + T numbers of 3 sums, not of all inputs."""
    _, said = apart(owners(data), BEGINS["one summed"])
    for scenario in data.scenarios:
        steps = [step[scenario] for step in said]
        assert [list(step.histories) for step in steps] == [[], ["item"], []]
        assert steps[0].survey is not None
        assert steps[0].survey.values == {}  # fields were named
        assert steps[2].moments is not None
        assert len(steps[2].moments.sums) == 2 + len(data.layout.tasks)
    _, said = apart(owners(data), BEGINS["none summed"])
    assert said[0][data.scenarios[0]] == replace(said[0][data.scenarios[0]], histories={}, moments=None)


def test_a_scenario_hears_sums_and_not_who_said_what(data: EncodedData) -> None:
    _, said = apart(owners(data), BEGINS["days"])
    parts = [step.histories["user"] for step in said[1].values()]
    heard = Said.together(list(said[1].values())).histories["user"]
    assert heard.sums[:, 0].sum() == pytest.approx(sum(part.sums[:, 0].sum() for part in parts))
    key = parts[0].keys[0]
    wanted = sum(part.sums[part.keys == key].sum(0) for part in parts)
    np.testing.assert_allclose(heard.sums[heard.keys == key][0], wanted)


def test_an_only_scenario_reads_no_sums(data: EncodedData) -> None:
    name = data.scenarios[0]
    own = {name: owners(data)[name]}
    assert [list(step) for step in apart(own, BEGINS["days"])[1]] == [[name]]  # the survey, and nothing else


def test_a_scenario_without_rows_today_has_a_part_in_the_sums(data: EncodedData) -> None:
    """What it counted in an earlier run; it comes to nothing of its own."""
    first, gone = data.scenarios[:2]
    own = owners(data)
    units = together({name: BEGINS["days"](rows) for name, rows in own.items()})[gone].readout.units  # type: ignore[attr-defined]
    fields = [f for f in data.layout.fields if f.name in ("user", "item")]
    before = {gone: Ledger.of(own[gone].train, fields, units)}
    left = replace(data, tables={first: data.tables[first]})
    assert list(owners(left, before)) == [gone, first]
    assert len(owners(left, before)[gone].train) == 0


def test_a_field_is_counted_where_any_scenario_has_many_values(data: EncodedData) -> None:
    large, small = (Survey.of(own, StatisticsSettings()) for own in list(owners(data).values())[:2])
    small = replace(small, values=dict.fromkeys(small.values, 1))
    for parts in ([large, small], [small, large]):
        found = Survey.together(parts)
        assert found.values == large.values
        assert found.scenarios == 2
        assert found.depth == large.depth + small.depth


def test_scenarios_at_different_steps_are_not_put_together(data: EncodedData) -> None:
    first, second = list(owners(data).values())[:2]
    one, two = (answered(BEGINS["days"](own), []) for own in (first, second))
    heard = Said.together([one, two])  # type: ignore[list-item]
    ahead = answered(BEGINS["days"](second), [heard])
    assert isinstance(one, Said)
    assert isinstance(ahead, Said)
    fewer = replace(ahead, histories={"user": ahead.histories["user"]})
    for parts in ([one, ahead], [ahead, one], [one, Said()], [ahead, fewer]):
        with pytest.raises(ValueError, match="different"):
            Said.together(parts)
    with pytest.raises(ValueError, match="different steps"):
        together({"a": BEGINS["days"](first), "b": BEGINS["none summed"](second)})


def test_an_array_of_other_numbers_is_refused(data: EncodedData) -> None:
    said = answered(BEGINS["days"](next(iter(owners(data).values()))), [])
    tensors, plain = pack(said)
    with pytest.raises(ValueError, match="an array of float32, not of int64"):
        unpack(Said, {name: one.float() for name, one in tensors.items()}, plain)
