"""Every code block of the pages does what it says; what cannot run here is listed, with the reason."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from docs.blocks import Block, blocks
from docs.prepared import finished_run, lay_out
from msmtrec.base.yaml import parse_yaml
from msmtrec.cli.main import main
from msmtrec.config.ablate import parse_ablate
from msmtrec.config.bench import parse_bench
from msmtrec.config.parse import parse_config
from msmtrec.deployed.settings import NodeSettings
from places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {"flower-strategy.md": "tests/docs/test_flower_strategy.py", "tutorial.md": "tests/docs/test_tutorial.py"}
"""Pages whose blocks have a test of their own."""
LANGUAGES = {"python", "sh", "yaml", "text", "math", "json", "ini", "dockerfile"}
"""What is no Python, no command and no YAML is not run: layouts, formulas, what a command has printed."""
NOT_RUN = {"README.md": 1, "bench.md": 1, "deployment.md": 1, "quick-start.md": 1, "serving.md": 7, "terminal.md": 1}
"""Page -> blocks that cannot run here. A new one needs a reason in the page, and its count here."""
WITH_RUN = {"after-a-run.md", "calibration.md", "predict.md", "run-directory.md"}
"""Pages that begin with the finished run of ten-minutes.md in runs/mine."""
SHORTER = ("train={rounds: 1, local_steps: 2, batch_size: 32}", "seeds=1", "jobs=1", "fine_tune=false")
"""What `msmtrec train` is told besides, so that a page takes seconds."""
BENCH_SHORTER = (
    *("train.rounds=2", "bench.candidates=2", "bench.tune_seeds=1", "bench.seeds=1", "bench.rungs=2"),
    *("jobs=1", "data.rows=400"),
)
"""What `msmtrec bench` is told besides."""
ABLATE_SHORTER = ("train={rounds: 1, local_steps: 2, batch_size: 32}", "data.rows=400", "ablate.seeds=1", "jobs=1")
"""What `msmtrec ablate` is told besides."""
FEWER_ROWS = "data.rows=400"
"""And where the logs are made up."""
WHOLE: dict[str, Any] = {
    "data": {
        "scenario": "country",
        "tasks": {"click": {"column": "is_click"}},
        "features": {"user_id": None},
        "split": {"fractions": [0.8, 0.1, 0.1]},
    },
    "train": {"rounds": 1, "local_steps": 1},
    "methods": ["local"],
}
"""What a fragment of a config is completed with."""


def whole_config(fragment: Mapping[str, Any]) -> dict[str, Any]:
    """A fragment of a config, and around it what it leaves out; own logs are completed key by key."""
    found = {**WHOLE, "data": {"source": "synthetic"}, **fragment}
    if found["data"].get("source") in ("tabular", "sql"):
        found["data"] = {**WHOLE["data"], **found["data"]}
        if isinstance(found["data"].get("files"), Mapping):
            found["data"].pop("scenario")  # the files name the scenarios
    if {"train", "tune"} <= fragment.keys():  # the grid says how long
        found["train"] = {"local_steps": 1, **fragment["train"]}
    return found


def commands(block: Block) -> list[list[str]]:
    """The lines of a block of commands as arguments of msmtrec.

    Raises:
        AssertionError: a line calls another program, or a shell's own doing, and is not marked as not run.
    """
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "msmtrec", f"{block}: {words[0]} is not run; mark the block with the reason"
            assert not {"|", "<", ">", "&&", ";"} & set(words), f"{block}: needs a shell; mark it with the reason"
            found.append(words[1:])
    return found


def call(arguments: list[str]) -> None:
    sys.argv = ["msmtrec", *arguments]
    if arguments[0] == "train":
        made_up = arguments[1] == "synthetic"
        for change in (*SHORTER, *([FEWER_ROWS] if made_up else [])):
            sys.argv += ["--set", change]
    elif arguments[0] == "bench":
        for change in BENCH_SHORTER:
            sys.argv += ["--set", change]
    elif arguments[0] == "ablate":
        for change in ABLATE_SHORTER:
            sys.argv += ["--set", change]
    elif arguments[:2] == ["data", "synthesize"]:
        sys.argv += ["--set", FEWER_ROWS]
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None), arguments


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (config,) = [one for one in blocks(ROOT / "docs" / "ten-minutes.md") if one.file == "mine.yaml"]
    finished_run(folder, config.text)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page(page: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.name in ELSEWHERE:
        assert (ROOT / ELSEWHERE[page.name]).exists()
        return
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, made, run=page.name in WITH_RUN)
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.not_run:
            continue
        if block.file:
            Path(block.file).write_text(block.text)
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, str(page), "exec"), names)  # lines as in the page
        elif block.language == "sh":
            for arguments in commands(block):
                call(arguments)
        elif block.language == "yaml":
            raw = parse_yaml(block.text, str(block))
            if "folder" in raw:  # a node's file
                NodeSettings.load(Path(block.file))
                continue
            asked = raw.get("ablate", {"variants": {}})  # with variants it is for `msmtrec train`
            parse = parse_bench if "bench" in raw else parse_config if "variants" in asked else parse_ablate
            parse(whole_config(raw))


def test_every_block_says_what_it_is() -> None:
    found = [block for page in PAGES if page.name not in ELSEWHERE for block in blocks(page)]
    assert [str(block) for block in found if block.language not in LANGUAGES] == []
    hidden = [block for block in found if block.language == "text" and block.text.startswith(("msmtrec ", "make "))]
    assert [str(block) for block in hidden] == []


def test_what_is_not_run_is_known_and_has_a_reason() -> None:
    found = [block for page in PAGES if page.name not in ELSEWHERE for block in blocks(page) if block.not_run]
    for block in found:
        print(f"{block}: {block.not_run}")
    assert Counter(block.page for block in found) == NOT_RUN
    assert all(len(block.not_run.split()) > 3 for block in found)


@pytest.mark.parametrize(
    "text, complaint",
    {
        "no block": ("<!-- not run: why -->\n\ntext\n", "no block"),
        "apart": ("<!-- file: a.yaml -->\n\n```yaml\na: 1\n```\n", "no block"),
        "open": ("```python\n1\n", "not closed"),
        "indented": ("- a\n\n  ```python\n  1\n  ```\n", "does not begin"),
    }.values(),
)
def test_a_page_that_hides_a_block_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        blocks(tmp_path / "page.md")


def test_blocks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# a\n\n```python\n1\n\n2\n```\n<!-- file: b.yaml -->\n<!-- not run: no server -->\n```yaml\nb: 1\n```\n"
    )
    first, second = blocks(page)
    assert first == Block("page.md", 3, "python", "1\n\n2\n")
    assert second == Block("page.md", 10, "yaml", "b: 1\n", not_run="no server", file="b.yaml")


@pytest.mark.parametrize("line", ["pip install msmtrec", "msmtrec show a | less", "msmtrec show a && rm b"])
def test_what_is_no_plain_command_has_to_be_marked(line: str) -> None:
    with pytest.raises(AssertionError, match="mark"):
        commands(Block("page.md", 1, "sh", line))


def test_lines_of_a_block_of_commands() -> None:
    text = "# first\nmsmtrec show a  # again\n\nmsmtrec train b \\\n  --resume\n"
    assert commands(Block("page.md", 1, "sh", text)) == [["show", "a"], ["train", "b", "--resume"]]
