"""Equations as MathML, which browsers draw by themselves: no script, no font, no network."""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def equation(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **_: Any) -> str:
    """A fence `math`, in the form that pymdownx.superfences asks for: LaTeX in, one block of MathML out.

    Lines that an empty line divides are equations of their own.
    """
    blocks = [convert(block, display="block") for block in source.split("\n\n") if block.strip()]
    return f'<div class="equation">{"".join(blocks)}</div>'
