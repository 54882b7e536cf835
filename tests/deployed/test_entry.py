"""A node more in the federation's file: all else of its text stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from msmtrec.base.errors import UserError
from msmtrec.deployed.entry import with_node

PATH = Path("federation.yaml")
PLAIN = """# Ours.
folder: run
nodes:
  NL:  # the first
    scenarios: [NL]
  "BE fr":
    scenarios:
    - BE   # asked in May
    # away in July

    # on what comes now
# What is trained.
agreed:
  methods: {local: null}  # 'x'
"""


def test_it_stands_behind_all_others_and_nothing_else_changes() -> None:
    assert with_node(PLAIN, "FR", ["FR"], PATH) == PLAIN.replace(
        "    # away in July\n", "    # away in July\n  FR:\n    scenarios:\n    - FR\n"
    )


@pytest.mark.parametrize(
    "last",
    [
        "  BE: {scenarios: [BE]}\n",
        "  BE: {scenarios: [BE,\n    FR, DE]}\n",
        "  BE: {\n    scenarios: [BE]\n  }  # so\n",
        "  BE:\n      scenarios:\n          - BE\n",
        "  BE:\n    scenarios: &both [BE]\n",
    ],
)
@pytest.mark.parametrize("rest", ["", "\n\nquorum: 1\n", "# the end"])
def test_ways_of_writing_nodes(last: str, rest: str) -> None:
    before = f"nodes:\n{last}"
    found = with_node(before + rest, "X", ["X", "Z"], PATH)
    assert found == f"{before}  X:\n    scenarios:\n    - X\n    - Z\n{rest}"


def test_a_file_that_ends_in_the_middle_of_a_line() -> None:
    assert with_node("nodes:\n BE: {scenarios: [BE]}", "X", ["X"], PATH) == (
        "nodes:\n BE: {scenarios: [BE]}\n X:\n   scenarios:\n   - X\n"
    )


def test_ends_of_lines_stay() -> None:
    found = with_node(PLAIN.replace("\n", "\r\n"), "FR", ["FR"], PATH)
    assert found == with_node(PLAIN, "FR", ["FR"], PATH).replace("\n", "\r\n")


@pytest.mark.parametrize("name", ["010", "no", "1e3", "2026-01-01", "a.b"])
def test_names_are_read_as_they_are(name: str) -> None:
    found = yaml.safe_load(with_node("nodes:\n  BE: {scenarios: [BE]}\n", name, [name], PATH))
    assert found["nodes"][name] == {"scenarios": [name]}


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {BE: {scenarios: [BE]}}\n",
        "nodes: {\n  BE: {scenarios: [BE]}}\n",
        "other: &x\n  BE: {scenarios: [BE]}\nnodes: *x\n",
        "nodes: &x\n  BE: {scenarios: [BE]}\nother: *x\n",
    ],
)
def test_what_cannot_be_added_to_safely_is_to_be_changed_by_hand(text: str) -> None:
    with pytest.raises(UserError) as error:
        with_node(text, "FR", ["FR", "日本"], PATH)
    assert str(error.value) == (
        "federation.yaml: 'nodes' is written so that only you can add one; put behind all others:"
        ' "FR": {scenarios: ["FR", "日本"]}'
    )
