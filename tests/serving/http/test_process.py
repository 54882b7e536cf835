"""A real server in a process of its own: it starts, is hammered while models are swapped, and stops."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from called import called
from msmtrec.serving.http.settings import Settings
from places import ROOT
from serving.conftest import OwnRun
from serving.http.test_scores import rows_of


@dataclass
class Server:
    """A process, where it listens, and what it has logged."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.odd.append(line)

    def wait(self, event: str, times: int = 1) -> dict[str, Any]:
        for _ in range(1200):
            found = [line for line in self.lines if line["event"] == event]
            if len(found) >= times:
                return found[times - 1]
            assert self.process.poll() is None, self.odd
            time.sleep(0.05)
        raise AssertionError((event, self.lines, self.odd))


@pytest.fixture
def plain_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in this process leaves the logging of the tests alone."""
    monkeypatch.setattr("msmtrec.serving.http.journal.start", lambda: None)


@contextmanager
def server_of(settings: Settings, run: Path, *more: str) -> Iterator[tuple[Server, str]]:
    words = ["--graphs", str(settings.graphs), "--contender", "recommended", "--seed", "0", "--port", "0", *more]
    command = [sys.executable, "-m", "msmtrec", "serve", str(run), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    server = Server(process)
    reader = threading.Thread(target=server.read)
    reader.start()
    try:
        url = server.wait("listening")["url"]
        server.wait("ready")
        yield server, url
    finally:
        process.kill()
        process.wait()
        reader.join()


def point(link: Path, folder: Path) -> None:
    fresh = link.with_name("fresh")
    fresh.symlink_to(folder)
    fresh.replace(link)


def test_swaps_under_load_and_a_stop_lose_no_request(
    own_run: OwnRun, newer: Path, settings: Settings, tmp_path: Path
) -> None:
    link, rows = tmp_path / "current", rows_of(own_run)
    link.symlink_to(own_run.folder)
    run = own_run.loaded
    expected = {
        name: [list(row.values()) for row in run.predictor("NL", contender="recommended", seed=seed).predict(rows)]
        for name, seed in (("run", 0), ("run-2", 1))
    }
    assert np.abs(np.array(expected["run"]) - np.array(expected["run-2"])).max() > 1e-3
    answers: list[tuple[int, int, Any]] = []
    failures: list[Any] = []
    over = threading.Event()

    def hammer(number: int, url: str) -> None:
        with httpx.Client(base_url=url, timeout=20) as client:
            while not over.is_set():
                start, size = (len(answers) * 7 + number) % 20, 1 + len(answers) % 9
                try:
                    answer = client.post("/v1/scenarios/NL/score", json={"rows": rows[start : start + size]})
                except httpx.HTTPError as error:
                    failures.append(error)
                    return
                if answer.status_code != 200:
                    failures.append(answer.text)
                    return
                answers.append((start, size, answer.json()))

    with server_of(settings, link) as (server, url):
        threads = [threading.Thread(target=hammer, args=(number, url)) for number in range(4)]
        for thread in threads:
            thread.start()
        for swap in range(1, 7):
            time.sleep(0.2)
            point(link, newer if swap % 2 else own_run.folder)
            server.process.send_signal(signal.SIGHUP)
            server.wait("ready", swap + 1)
        time.sleep(0.2)
        over.set()
        for thread in threads:
            thread.join()
        server.wait("old model let go", 6)
        shown = _shown_on_the_page(url, own_run, tmp_path)
        # requests that have come when it is told to stop are answered
        last: list[httpx.Response] = []
        many = [threading.Thread(target=lambda: last.append(_slowly(url, rows))) for _ in range(3)]
        for thread in many:
            thread.start()
        time.sleep(0.3)
        server.process.terminate()
        for thread in many:
            thread.join()
        assert server.process.wait(20) == 0
        assert [answer.status_code for answer in last] == [200] * 3
    assert failures == []
    assert {answer["model"]["run"] for _, _, answer in answers} == {"run", "run-2"}
    for start, size, answer in answers:
        found = np.array([list(row.values()) for row in answer["rows"]])
        assert np.abs(found - np.array(expected[answer["model"]["run"]][start : start + size])).max() < 1e-6
    assert server.odd == []
    requests = [line for line in server.lines if line["event"] == "request"]
    assert len(requests) == len(answers) + shown + 3
    assert server.lines[-1]["event"] == "stopped"
    users = {str(row["user"]) for row in rows}
    assert not users & set(json.dumps(server.lines).replace('"', " ").split())


def _shown_on_the_page(url: str, run: OwnRun, folder: Path) -> int:
    """Runs the examples of docs/serving.md; how many requests they are."""
    page = (ROOT / "docs" / "serving.md").read_text().replace("http://127.0.0.1:8080", url)
    run.rows("NL").write_csv(folder / "rows.csv")
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    found: dict[str, Any] = {}
    exec(python.replace('"rows.csv"', repr(str(folder / "rows.csv"))), found)
    assert found["scores"].num_rows == run.rows("NL").height
    assert json.loads(found["model"])["contender"] == "recommended"
    (curl,) = re.findall(r"```sh\n(curl .*?)```", page, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    if shutil.which("curl") is None:
        return 1
    answer = json.loads(subprocess.run(curl, shell=True, check=True, capture_output=True).stdout)
    assert answer.keys() == json.loads(shown).keys()
    assert answer["model"].keys() == json.loads(shown)["model"].keys()
    assert [row.keys() for row in answer["rows"]] == [row.keys() for row in json.loads(shown)["rows"]]
    return 2


def _slowly(url: str, rows: list[dict[str, Any]]) -> httpx.Response:
    """A request whose body takes a second to come."""
    body = json.dumps({"rows": rows}).encode()

    def parts() -> Iterator[bytes]:
        yield body[:100]
        time.sleep(1)
        yield body[100:]

    headers = {"Content-Type": "application/json"}
    return httpx.post(f"{url}/v1/scenarios/NL/score", content=parts(), headers=headers, timeout=20)


@pytest.mark.usefixtures("plain_logging")
def test_what_cannot_be_served_is_one_sentence(
    own_run: OwnRun, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(own_run.folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, sentence in (
            ([run, "--port", port], f"cannot listen on 127.0.0.1, port {port}: Address already in use; choose another"),
            ([run, "--host", "203.0.113.1"], "cannot listen on 203.0.113.1, port 8080: Cannot assign"),
            ([str(tmp_path / "nothing")], "there is no run in"),
            ([run, "--contender", "recomended"], "no contender 'recomended'; did you mean 'recommended'?"),
            ([run, "--seed", "9"], "has no seed 9"),
        ):
            code, out, err = called(capsys, "serve", *arguments)
            assert (code, out, sentence in " ".join(err.split())) == (2, "", True), err
            assert "Traceback" not in err
            assert ("neither TLS nor a password" in err) == ("--host" in arguments)


@pytest.mark.usefixtures("plain_logging")
def test_missing_packages_and_graphs_that_cannot_be_written(
    own_run: OwnRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    words = ("--contender", "recommended", "--seed", "0", "--graphs", str(tmp_path / "file"))
    for more in (["--prepare"], ["--port", "0"]):  # the second is told while it listens already
        code, out, err = called(capsys, "serve", str(own_run.folder), *words, *more)
        assert (code, out, "name another folder with --graphs" in " ".join(err.split())) == (2, "", True)
    monkeypatch.setattr("msmtrec.cli.serve.find_spec", lambda name: None if name == "uvicorn" else name)
    code, _, err = called(capsys, "serve", str(own_run.folder))
    assert (code, "serving needs more packages: pip install 'msmtrec[serve]'" in " ".join(err.split())) == (2, True)
