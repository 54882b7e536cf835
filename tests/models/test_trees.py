"""Trees as tensors: hand-made ones, whose leaves a reader can find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from models.small import LAYOUT, rows
from msmtrec.models.grown import Node, Tree, packed
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.trees import Categories, Trees

M, CLICK, LIKE = LAYOUT.numeric, 0, 1


def codes(*values: int) -> Categories:
    """Of the field `item`, in a table whose values are numbered from 3 on."""
    item = next(field for field in LAYOUT.fields if field.name == "item")
    found = np.zeros(6, np.int32)
    found[[value - 3 for value in values]] = np.arange(1, 1 + len(values))
    return Categories((item,), np.array([[item.start, 3, 6, 0]]), found)


def of(forests, categories):  # type: ignore[no-untyped-def]
    return packed(forests, M, categories, len(LAYOUT.scenarios), torch.float64)


def test_a_row_finds_its_leaf_by_a_number_a_category_and_its_scenario() -> None:
    """click: numeric 1 at most .5 goes on to the item, one of {5, 8} or not; like: 2, and 10 in scenario b."""
    categories = codes(5, 7, 8)  # codes 1, 2, 3
    click = Tree((Node(1, 0.5, (-1, 1)), Node(M, (1, 3), (-2, -3))), (0.25, 1.0, -4.0))
    like = Tree((), (2.0,)), Tree((Node(M + 1, (2,), (-1, -2)),), (0.0, 10.0))
    given = rows(6)
    given.numeric[:, 1] = [0.5, 0.5, 0.5, 0.6, 0.4, 0.4]
    given.ids[:, 6] = [5, 7, 8, 5, 6, 99]  # 6 was in no training row, and 99 is in no table
    given = replace(given, scenario=np.array([0, 1, 2, 1, 0, 1]))
    found = predict(Trees(LAYOUT), of([[click], like], categories), given)
    assert found[:, CLICK].tolist() == [-4.0, 1.0, -4.0, 0.25, 1.0, 1.0]
    assert found[:, LIKE].tolist() == [2.0, 12.0, 2.0, 12.0, 2.0, 12.0]


def test_what_rows_start_from_is_added() -> None:
    given = replace(rows(2), offset=np.array([[1, 2], [3, 4]], np.float32))
    found = predict(Trees(LAYOUT), of([[Tree((), (0.5,))], [Tree((), (-1.0,))]], codes()), given)
    assert found.tolist() == [[1.5, 1.0], [3.5, 3.0]]


def test_rows_of_one_scenario_need_not_say_so() -> None:
    tree = Tree((Node(M + 1, (3,), (-1, -2)),), (0.0, 1.0))
    held = of([[tree], [tree]], codes())
    model, folded = Trees(LAYOUT).folded(held, 2)
    assert predict(model, folded, replace(rows(3), scenario=None)).tolist() == [[1.0, 1.0]] * 3


def test_a_threshold_between_two_numbers_of_float32_parts_them_in_float32() -> None:
    """Rounded to the nearest it would be the higher one, and both would go to the second child."""
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    tree = Tree((Node(0, float(low) + 0.9 * (float(high) - float(low)), (-1, -2)),), (0.0, 1.0))
    given = rows(2)
    given.numeric[:, 0] = [low, high]
    held = packed([[tree], []], M, codes(), 3, torch.float32)
    assert predict(Trees(LAYOUT), held, given)[:, CLICK].tolist() == [1.0, 0.0]


def test_without_a_field_of_few_values_numbers_and_the_scenario_are_left() -> None:
    given = replace(rows(40), scenario=np.tile([0, 1], 20))
    none = Categories.of(given, LAYOUT, 3)
    assert (none.fields, none.sizes, len(none.unread(LAYOUT))) == ((), [], 6)
    tree = Tree((Node(M, (2,), (-1, -2)),), (0.0, 1.0))
    assert predict(Trees(LAYOUT), of([[tree], []], none), given)[:, CLICK].tolist() == [0.0, 1.0] * 20


def test_codes_are_the_same_while_trees_grow_and_when_they_are_asked() -> None:
    train, later = rows(40), rows(60, seed=1)
    train.ids[:, 0] = 4 + train.ids[:, 0] % 3  # values 0 to 3 are in no training row
    categories = Categories.of(train, LAYOUT, 9)
    assert [field.name for field in categories.fields] == ["user"]  # all others have more values
    categories = Categories.of(train, LAYOUT, 11)
    assert len(categories.fields) == 6
    model, held = Trees(LAYOUT), of([[], []], categories)
    stacked = Stacked(model, [Weights(held)])
    own = {name: value[0] for name, value in stacked.parameters.items()}
    found = model._codes(own, stacked.batch([later]))
    np.testing.assert_array_equal(found, categories(later))
    assert (categories(later)[:, 0] == 0).any()
