"""A wide table in blocks of columns that fit the terminal: no column is ever dropped or broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_BORDER = 3
"""Characters that a column takes besides its content; the table takes one more."""


@dataclass(frozen=True)
class Blocks:
    """Line names at the left of every block, and as many columns as fit.

    Args:
        heads: name of each left column -> its text, line by line.
        columns: (header, one cell a line) each; a header may come twice.
        last_apart: whether the last line is set off.
    """

    title: str
    caption: str
    heads: Mapping[str, Sequence[str]]
    columns: Sequence[tuple[str, Sequence[Text]]]
    _: KW_ONLY
    last_apart: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - 1
        heads = {name: min(_width([name, *texts]), max(room // 4, 8)) for name, texts in self.heads.items()}
        left = sum(width + _BORDER for width in heads.values())
        blocks: list[list[int]] = [[]]
        used = left
        for n, (header, cells) in enumerate(self.columns):
            width = _width([header, *(line for cell in cells for line in cell.plain.split("\n"))]) + _BORDER
            if blocks[-1] and used + width > room:
                blocks.append([])
                used = left
            blocks[-1].append(n)
            used += width
        for number, block in enumerate(blocks):
            first, last = number == 0, number == len(blocks) - 1
            yield self._block(block, heads, self.title if first else None, self.caption if last else None)

    def _block(self, block: list[int], heads: Mapping[str, int], title: str | None, caption: str | None) -> Table:
        table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", header_style="bold")
        for name, width in heads.items():
            table.add_column(name, overflow="fold", min_width=width, max_width=width)
        for n in block:
            table.add_column(Text(self.columns[n][0]), justify="right", no_wrap=True)
        lines = len(next(iter(self.heads.values())))
        for line in range(lines):
            if self.last_apart and line == lines - 1:
                table.add_section()
            table.add_row(
                *(Text(texts[line]) for texts in self.heads.values()), *(self.columns[n][1][line] for n in block)
            )
        return table


def _width(texts: Sequence[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)
