"""No key is missing from what is told of the settings, and none has nothing said of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import msmtrec.config.parse
from msmtrec.base.settings import Settings
from msmtrec.config.keys import CONTENDER, TOP
from msmtrec.config.reference import Group, groups


def leaves(kind: type) -> Iterator[type]:
    """Settings classes of a config that no other one builds on; a deployment's files have classes of their own."""
    rooms = [(one, one.__module__.split(".")) for one in kind.__subclasses__()]
    below = [one for one, room in rooms if room[0] == "msmtrec" and room[1] != "deployed"]
    for one in below:
        yield from leaves(one)
    if not below:
        yield kind


def test_every_class_of_settings_is_there() -> None:
    assert msmtrec.config.parse  # whatever a config may name is imported by then
    assert {group.kind for group in groups() if group.kind} == set(leaves(Settings))


@pytest.mark.parametrize("group", [group for group in groups() if group.kind], ids=lambda group: group.kind.__name__)
def test_every_key_has_a_meaning(group: Group) -> None:
    assert group.kind is not None
    assert [setting.name for setting in group.settings] == [n for n in group.kind.model_fields if n != "source"]
    assert all(len(setting.meaning) > 5 and setting.default for setting in group.settings)


def test_keys_of_the_file_and_of_a_contender() -> None:
    assert [group.settings for group in groups() if group.kind is None][:2] == [TOP, CONTENDER]


def test_a_key_is_written_with_what_has_it() -> None:
    found = {group.key(setting) for group in groups() for setting in group.settings}
    assert {"train.rounds", "options.penalty (ditto)", "options.average (fedavg)"} <= found
    assert len(found) == sum(len(group.settings) for group in groups())
