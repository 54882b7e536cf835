"""The page of commands, from the program itself: what `--help` says, as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import get_type_hints

import click
import typer.main

from msmtrec.cli.main import app

_DEFAULT = re.compile(r"\s*\[default: ([^\]]*)\]")
HEAD = """# Commands

This page is made from the program when the site is built; `msmtrec COMMAND --help` says the same.
The exit code is 0, or 2 with one sentence for what you can repair, or 130 after Ctrl-C.
"""


def page() -> str:
    """Every command with its arguments and options."""
    found = typer.main.get_command(app)
    parts = [HEAD, *(_section(name, command) for name, command in commands("msmtrec", found))]
    return "\n".join(parts)


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """(whole name, command) of all that do something, in the program's order; the program itself first."""
    if not isinstance(command, click.Group) or command.params:
        yield name, command
    for below, one in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {below}", one)


def _section(name: str, command: click.Command) -> str:
    usage = " ".join([name, *command.collect_usage_pieces(click.Context(command))])
    text = re.sub(r"Example: `(.*)`", r"```sh\n\1\n```", (command.help or "").replace("\f", "").strip())
    lines = [f"## {name}", "", text, "", "```text", usage, "```", ""]
    rows = [_row(param, command) for param in command.params if not getattr(param, "hidden", False)]
    if rows:
        lines += ["| option | default | what |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(param: click.Parameter, command: click.Command) -> str:
    """A line of the table: name, default (in the sentence where it is worked out), sentence."""
    context = click.Context(command)
    argument = isinstance(param, click.Argument)
    name = param.make_metavar(context) if argument else ", ".join(param.opts)
    value = "" if argument or param.is_flag else f" {param.make_metavar(context)}"
    told = _told(command, param.name or "")
    worked_out = _DEFAULT.search(told)
    default = worked_out[1] if worked_out else "" if param.default in (None, False) else f"`{param.default}`"
    return f"| `{name}{value}` | {'required' if param.required else default} | {cell(_DEFAULT.sub('', told))} |"


def _told(command: click.Command, name: str) -> str:
    """The help of a parameter, as its function has it: click forgets that of arguments."""
    assert command.callback is not None
    hint = get_type_hints(inspect.unwrap(command.callback), include_extras=True)[name]
    return next((one.help for one in hint.__metadata__ if one.help), "")


def cell(text: str) -> str:
    """A sentence in a cell: signs that Markdown would take for its own are escaped outside of code."""
    parts = re.split(r"(`[^`]*`)", text.replace("\n", " "))
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"([*_\[\]{}|>])", r"\\\1", text).replace("<", "&lt;")
