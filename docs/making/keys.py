"""The page of keys, from the classes that read them: what `msmtrec list settings` says, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from commands import cell

from msmtrec.config.reference import Group, groups
from msmtrec.methods import METHODS

HEAD = """# Keys of a config

This page is made from the classes that read the keys when the site is built; `msmtrec list settings` says the same.
A key that does not exist is refused, with the nearest one that does. On the command line, `--set train.rounds=10`
overrides a key of the file.
"""
TITLES = {
    "{}": "The file",
    "methods.NAME.{}": "A contender",
    "train.{}": "Training",
    "model.{}": "Networks",
    "fine_tune.{}": "Fine-tuning",
    "statistics.{}": "Statistics of ids",
    "bench.{}": "Benchmarks",
    "ablate.{}": "Ablations",
    "options.{}": "Options of methods",
    "data.{}": "Logs",
}
ABOUT = {
    "methods.NAME.{}": "NAME is the column of the result table. A list of methods is enough where none has keys.",
    "model.{}": "`model` at the top is common to all contenders; a contender's own goes first.",
    "bench.{}": "Only for `msmtrec bench`, see [Benchmarks](bench.md). KEY is one such as `train.learning_rate`.",
    "ablate.{}": "Only for `msmtrec ablate`, see [Ablations](ablations.md).",
    "options.{}": "Options belong to a contender: `methods.NAME.options.clip`.",
    "data.{}": "[Your own logs](own-logs.md), [SQL](sql.md) and [public data sets](data.md) say how to use them.",
}
FIXED = ("local", "emb-only", "fedavg-all", "pooled")
"""Names for `fedavg` with one option fixed."""


def page() -> str:
    """Every key with its default and its meaning."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    last = ""
    for group in groups():
        if group.place in TITLES and group.place != last:
            yield f"## {TITLES[group.place]}\n"
            if about := ABOUT.get(group.place):
                yield f"{about}\n"
        last = group.place
        if group.of:
            yield f"### {_title(group)}\n"
        if group.of == "fedavg":
            names = "; ".join(f"`{name}` is `average: {METHODS[name].defaults['average']}`" for name in FIXED)
            yield f"{names[:1]}{names[1:]}.\n"
        yield _table(group)


def _title(group: Group) -> str:
    if group.kind is None or group.place in ("model.{}", "options.{}", "data.{}"):
        return f"`{group.of}`"
    return f"`{group.place.removesuffix('.{}')}` of {group.of}"


def _table(group: Group) -> str:
    if not group.settings:
        return "It has none.\n"
    rows = [
        f"| `{group.place.format(setting.name)}` | {_code(setting.default)} | {cell(setting.meaning)} |"
        for setting in group.settings
    ]
    return "\n".join(["| key | default | what |", "|---|---|---|", *rows, ""])


def _code(default: str) -> str:
    words = default in ("required", "its name", "as above", "the file's name", "size of the common grid")
    return default if words else f"`{default}`"
