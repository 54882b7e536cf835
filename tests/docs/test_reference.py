"""The page of commands is made from the program: nothing is missing, and every example is one that it takes."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer.main

from msmtrec.cli.main import app
from places import ROOT


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    """docs/making/commands.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs" / "making"))
        import commands

        yield commands
        del sys.modules["commands"]


def every(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    for name, below in getattr(command, "commands", {}).items():
        yield from every(below, *names, name)


COMMANDS = {names: command for names, command in every(typer.main.get_command(app)) if not hasattr(command, "commands")}


def test_every_command_and_every_option_is_on_the_page(made: Any) -> None:
    page = made.page()
    assert len(COMMANDS) > 10
    for names, command in COMMANDS.items():
        title = f"## {' '.join(('msmtrec', *names))}\n"
        assert title in page
        section = page.split(title)[1].split("\n## ")[0]
        for param in command.params:
            shown = param.opts[0] if isinstance(param, click.Option) else param.make_metavar(click.Context(command))
            (line,) = [line for line in section.splitlines() if line.startswith(f"| `{shown}")]
            assert len(line.split(" | ")[2]) > 5, f"{title}{shown} has no help"
            assert param.required == (line.split(" | ")[1] == "required")


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_it_takes(made: Any, names: tuple[str, ...]) -> None:
    (example,) = re.findall(r"Example: `(.*)`", COMMANDS[names].help or "")
    program, *words = shlex.split(example)
    assert (program, *words[: len(names)]) == ("msmtrec", *names)
    COMMANDS[names].make_context(names[-1], words[len(names) :])  # parses, and runs nothing
    assert f"```sh\n{example}\n```" in made.page()


def test_signs_of_markdown_are_escaped_outside_of_code(made: Any) -> None:
    assert made.cell("a_b `c_d|` <e> |x|") == r"a\_b `c_d|` &lt;e\> \|x\|"
