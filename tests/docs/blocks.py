"""Code blocks of a Markdown page, with what the page says of running them in a comment that readers do not see.

<!-- not run: REASON -->      the block below is not run, and why
<!-- file: NAME -->           the block below is also written to this file, for the blocks after it
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

_COMMENT = r"<!-- (not run|file): ([^\n]+) -->\n"
_BLOCK = re.compile(rf"^((?:{_COMMENT})*)```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block.

    Args:
        page: name of its file.
        line: of its fence, from 1.
        language: what stands behind the fence.
        not_run: the reason, where the page says that it is not run.
        file: where it is written to; empty: nowhere.
    """

    page: str
    line: int
    language: str
    text: str
    _: KW_ONLY
    not_run: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order.

    Raises:
        ValueError: a comment has no block right below it, or a fence is not closed, or does not begin its line.
    """
    text = page.read_text()
    found, comments = [], 0
    for match in _BLOCK.finditer(text):
        marks = dict(re.findall(_COMMENT, match[1]))
        comments += len(marks)
        line = text.count("\n", 0, match.start(4)) + 1
        not_run, file = marks.get("not run", ""), marks.get("file", "")
        found.append(Block(page.name, line, match[4], match[5], not_run=not_run, file=file))
    if comments != len(re.findall(_COMMENT, text)):
        raise ValueError(f"{page.name}: a comment on a block has no block right below it")
    if 2 * len(found) != len(re.findall(r"^ *```", text, re.MULTILINE)):
        raise ValueError(f"{page.name}: a fence is not closed, or does not begin its line")
    return found
