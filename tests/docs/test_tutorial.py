"""The tutorial, block by block, as its reader would run it: with a server and curl."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from docs.blocks import Block, blocks
from places import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
SHORTER = ("--set", "train.rounds=2", "--set", "seeds=2", "--set", "fine_tune=false")
"""What `msmtrec train` is told besides, so that the page takes seconds."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_every_block_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = blocks(PAGE)
    done, served = list[str](), None
    for block in found:
        if block.file:
            Path(block.file).write_text(block.text)
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), {})
        for line in lines(block) if block.language == "sh" else ():
            words = shlex.split(line)
            done.append(" ".join(words[:2]))
            if words[:2] == ["msmtrec", "serve"]:
                served = words[2:]
            elif words[0] == "curl":
                assert served is not None
                with server(served) as url:
                    answer = json.loads(
                        command(["curl", *(w.replace("http://127.0.0.1:8080", url) for w in words[1:])])
                    )
                assert [row.keys() for row in answer["rows"]] == [{"click", "order"}] * 2
                assert answer["model"]["run"] == "shop"
            elif words[0] == "msmtrec":
                command([sys.executable, "-m", *words, *(SHORTER if words[1] == "train" else ())])
    assert [block.not_run for block in found if block.not_run] == []
    assert done == [
        "pip install",
        "msmtrec data",
        "msmtrec train",
        "msmtrec show",
        "msmtrec predict",
        "msmtrec export",
        "msmtrec serve",
        "curl -s",
        "msmtrec add-scenario",
        "msmtrec predict",
        "msmtrec continue",
    ]
    assert (tmp_path / "runs" / "shop" / "report.html").exists()
    assert (tmp_path / "models" / "NL.onnx").exists()
    assert pl.read_csv("scores.csv").columns == ["user", "item", "click", "order"]
    assert pl.read_csv("belgium-scores.csv").height == 600
    assert "NL" in (tmp_path / "runs" / "shop-and-belgium" / "results.csv").read_text()


def lines(block: Block) -> list[str]:
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]


def command(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


@contextmanager
def server(arguments: list[str]) -> Iterator[str]:
    """The page's server, on a free port."""
    words = [sys.executable, "-m", "msmtrec", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ})
    ready, found, said = threading.Event(), dict[str, str](), list[str]()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            event = json.loads(line)
            found.update({"url": event["url"]} if event["event"] == "listening" else {})
            if event["event"] == "ready":
                ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(180), said
        yield found["url"]
    finally:
        process.terminate()
        assert process.wait(30) == 0
        reader.join()
