"""`msmtrec data fetch` and `msmtrec data list`, as a user sees them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from logs.releases.site import Site, remote, serving, tar
from msmtrec.cli import data as cli_data
from msmtrec.cli.main import main
from msmtrec.logs.releases import catalogue
from msmtrec.logs.releases.fetch import part_of
from msmtrec.logs.releases.remotes import Licence

BODY = tar({"rows.csv": os.urandom(100_000)})


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, data: Path) -> Iterator[Site]:
    """A release `toy` in the catalogue, whose licence needs consent."""
    with serving(Site(BODY)) as site:
        licence = Licence("Toy licence", "Do not break it.", "http://licence", consent=True)
        monkeypatch.setitem(catalogue.RELEASES, "toy", remote(site.url, BODY, licence=licence))
        monkeypatch.setitem(catalogue._PARTS, "toy", lambda: {"rows.csv": (data / "toy/rows.csv").exists()})
        monkeypatch.setitem(catalogue._PRESENT, "toy", lambda: (data / "toy/rows.csv").exists())
        yield site


class Stdin:
    """What a user types."""

    def __init__(self, text: str, terminal: bool) -> None:
        self.text, self.terminal = text, terminal

    def isatty(self) -> bool:
        return self.terminal

    def readline(self, _size: int = -1) -> str:
        text, self.text = self.text, ""
        return text


def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str, typed: str | None = None
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["msmtrec", "data", *arguments])
    monkeypatch.setattr(sys, "stdin", Stdin(typed or "", terminal=typed is not None))
    monkeypatch.setattr("builtins.input", lambda _prompt="": sys.stdin.readline().rstrip("\n"))
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_the_licence_comes_first_then_the_files_then_what_to_do_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toy: Site, data: Path
) -> None:
    code, out, _ = call(capsys, monkeypatch, "fetch", "toy", "--accept-licence")
    assert code == 0
    assert out.splitlines() == [
        "a toy",
        "licence: Toy licence. Do not break it.",
        "http://licence",
        "100 KB to download, 1.0 KB unpacked",
        f"fetched from {toy.url}",
        f"toy is in {data / 'toy'}; next: msmtrec data describe toy",
    ]
    assert (data / "toy/rows.csv").stat().st_size == 100_000
    code, out, _ = call(capsys, monkeypatch, "fetch", "toy")
    assert (code, len(toy.asked)) == (0, 1)
    assert "nothing was fetched: it was there already" in out


def test_without_consent_and_without_a_terminal_nothing_is_fetched(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toy: Site, data: Path
) -> None:
    code, out, err = call(capsys, monkeypatch, "fetch", "toy")
    assert (code, toy.asked, data.exists()) == (2, [], False)
    assert "Do not break it." in out
    assert err == "error: the licence of toy needs your consent; read it, then add --accept-licence\n"


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_at_a_terminal_the_user_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toy: Site, data: Path, typed: str, code: int
) -> None:
    found, _, err = call(capsys, monkeypatch, "fetch", "toy", typed=typed)
    assert found == code
    assert (data / "toy/rows.csv").exists() == (code == 0)
    assert ("toy was not fetched: its licence was not accepted" in err) == (code == 2)


def test_ctrl_c_keeps_the_part_and_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toy: Site, data: Path
) -> None:
    part = part_of(catalogue.find("toy"), data)  # type: ignore[arg-type]

    def interrupt() -> None:
        while not part.exists() or part.stat().st_size < 50_000:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    toy.cuts, toy.after_cut = [60_000], interrupt
    code, _, err = call(capsys, monkeypatch, "fetch", "toy", "--accept-licence")
    assert code == 130
    assert "interrupted; 60 KB are kept, continue with: msmtrec data fetch toy" in err
    assert part.stat().st_size == 60_000
    _, out, _ = call(capsys, monkeypatch, "list")
    assert "toy: 60 KB of 100 KB are fetched; msmtrec data fetch toy goes on" in out
    code, out, _ = call(capsys, monkeypatch, "fetch", "toy", "--accept-licence")
    assert code == 0
    assert "100 KB to download, 1.0 KB unpacked, 60 KB are here already" in out
    assert toy.asked == [None, "bytes=60000-"]


@pytest.mark.parametrize("name", ["aliexpress", "ali-ccp", "tenrec", "epinions", "ciao"])
def test_what_needs_a_login_or_a_signature_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, data: Path
) -> None:
    code, out, err = call(capsys, monkeypatch, "fetch", name)
    release = catalogue.find(name)
    assert code == 2  # nothing was fetched: a script must not go on
    assert err.startswith(f"error: {name} was not fetched: its ")
    assert err.count("\n") == 1
    assert f" into {data / release.folder}" in out
    assert "1. " in out
    assert release.licence.url in out


def test_the_list_shows_what_is_there_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    (data / "Tenrec").mkdir(parents=True)
    (data / "Tenrec/QK-video.csv").write_text("")
    monkeypatch.setattr(cli_data, "out", Console(width=80))
    code, out, _ = call(capsys, monkeypatch, "list")
    table = [line for line in out.splitlines() if line[:1] in "┏┃┡│└"]
    assert code == 0
    assert {len(line) for line in table} <= set(range(81))
    rows = {cells[0]: cells[1:] for line in table if len(cells := [c.strip() for c in line.strip("│").split("│")]) == 6}
    assert set(rows) == set(catalogue.RELEASES)  # one line each
    assert rows["tenrec"] == ["partly", "14 GB", "2-4 feeds × 2-6", "CC BY-NC 4.0", "by hand"]
    assert rows["kuairand-27k"] == ["absent", "9.9 GB", "5 tabs × 2-3", "CC BY-SA 4.0", "fetch"]
    assert f"tenrec: not in {data / 'Tenrec'}: QB-video\n" in out
