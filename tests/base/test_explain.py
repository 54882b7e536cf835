from typing import Literal

from msmtrec.base.explain import Setting, arguments, explain
from msmtrec.base.settings import Settings


class Example(Settings):
    """A title.

    Some text: not an argument.

    Args:
        one, two: both of them.
        three: a sentence that goes on: in
            a second line.

    Raises:
        four: nothing.
    """

    one: int
    two: float | None = None
    three: Literal["x", "y"] | None = "x"
    four: tuple[int, ...] = (1, 2)


class Below(Example):
    """What it says itself goes before what it has inherited.

    Args:
        five: its own.
        two: not as above.
    """

    five: Example = Example(one=1)
    six: str = ""


def test_arguments_of_a_docstring() -> None:
    meaning = "a sentence that goes on: in a second line."
    assert arguments(Example) == {"one": "both of them.", "two": "both of them.", "three": meaning}
    assert arguments(int) == {}


def test_settings_with_defaults_as_yaml_has_them() -> None:
    assert explain(Example) == [
        Setting("one", "required", "both of them."),
        Setting("two", "null", "both of them."),
        Setting("three", "x", "a sentence that goes on: in a second line: x, y"),
        Setting("four", "[1, 2]", ""),
    ]


def test_inherited_settings_are_explained_where_they_were_declared() -> None:
    one, two, *_, five, six = explain(Below)
    assert (one.meaning, two.meaning, five.meaning) == ("both of them.", "not as above.", "its own.")
    assert five.default == '{"one": 1, "two": null, "three": "x", "four": [1, 2]}'
    assert six.default == '""'
