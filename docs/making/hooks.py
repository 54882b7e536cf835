"""What MkDocs does besides its own: pages that are made from the program, equations, pages that are not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import commands
import equations
import keys

GENERATED = {"commands.md": commands.page, "keys.md": keys.page}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the fence of equations, and leave pages out of the navigation that are not there."""
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "math", "format": equations.equation})
    config.nav = _there(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the program."""
    for name, page in GENERATED.items():
        files.append(File.generated(config, name, content=page()))
    return files


def _there(nav: list[Any], docs: Path) -> list[Any]:
    found: list[Any] = []
    for entry in nav:
        (title, what), *_ = entry.items()
        if isinstance(what, list):
            found.append({title: _there(what, docs)})
        elif what in GENERATED or (docs / what).exists():
            found.append(entry)
    return found
