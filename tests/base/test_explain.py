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
