"""The data profile as a page, from the command line, opened once in headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from called import called
from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.logs import Logs
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.logs.sources.tabular import Tabular
from msmtrec.profile.page.profile import GENERATOR, render, writable, write_profile
from msmtrec.profile.page.profile_advice import advise
from msmtrec.profile.profile import Profile, profile
from report.test_page import Balanced

MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
NAMES = ("NL", "<b>FR</b>", "_$x^$")


def write_logs(folder: Path) -> Path:
    """Three scenarios of which the first has everything wrong with it."""
    random = np.random.default_rng(1)
    n = 3000
    scenario = np.array(NAMES)[np.arange(n) % 3]
    rows = pl.DataFrame(
        {
            "s": scenario,
            "user": [f"{s[-1]}{u}" for s, u in zip(scenario, random.integers(0, 90, n), strict=True)],
            "item": np.arange(n) // 6 % 120 + np.where(np.arange(n) > 2700, 500, 0),
            "price": random.normal(size=n) + (scenario == "NL") * 3,
            "empty": [None] * n,
            "same": ["always"] * n,
            "tags": [("a|b", "c", "")[k // 3 % 3] for k in range(n)],
            "day": [f"2026-03-{1 + 28 * k // n:02d}" for k in range(n)],
            "click": (random.random(n) < np.where(scenario == "NL", 0.6, 0.1)).astype(int),
        }
    ).with_columns(knows=pl.col("click") * 2.5)
    pl.concat([rows, rows.filter(pl.col("s") == "NL").head(300)]).write_csv(folder / "logs.csv")
    return folder / "logs.csv"


def settings(path: Path) -> dict[str, object]:
    features = {"user": None, "item": {"shared": {"hash": 512}}, "same": None, "empty": None}
    features |= {"price": {"kind": "numeric"}, "knows": {"kind": "numeric"}}
    features["tags"] = {"kind": "multi", "separator": "|", "max_values": 2}
    return {
        "source": "tabular",
        "files": str(path),
        "scenario": "s",
        "scenarios": list(NAMES),
        "tasks": {"click": None},
        "features": features,
        "split": {"time": "day", "train_until": "2026-03-20", "validation_until": "2026-03-24"},
        "group": "user",
    }


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    return build(Tabular, settings(write_logs(tmp_path_factory.mktemp("logs"))), "data").load()


@pytest.fixture(scope="module")
def found(logs: Logs) -> Profile:
    return profile(logs)


@pytest.fixture(scope="module")
def page(found: Profile) -> str:
    return render(found, config="c.yaml", made=MADE)


def test_every_trap_is_named_with_a_remedy(found: Profile) -> None:
    texts = [advice.text for advice in advise(found)]
    for sentence in (
        r"'click' is \d\.\d times as frequent in 'NL' as in '(<b>FR</b>|_\$x\^\$)'",
        r"Values of 'user' barely overlap \(0 % on average\)",
        r"\d+ % of the test values of 'item' in .* are not in its training rows, \d+ % in nobody's",
        r"Features differ between scenarios, most of all 'price' \(PSI \d\.\d\d in 'NL'\)",
        r"'NL' and '.*' are told apart with AUC 0.9\d",
        r"2\d % of rows of 'NL' repeat an earlier row in every column",
        r"Feature 'knows' alone reaches AUC 1.0000 for task 'click' in scenario 'NL'",
        r"'same' is the same in every row of every scenario",
        r"'empty' is missing in at least 95 % of rows of every scenario",
    ):
        assert any(re.match(sentence, text) for text in texts), (sentence, texts)


def test_the_page_is_complete_escaped_and_the_same_every_time(logs: Logs, page: str) -> None:
    assert page == render(profile(logs), config="c.yaml", made=MADE)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert "<b>" not in page
    assert "&lt;b&gt;FR&lt;/b&gt;" in page
    assert "As confidential as the logs" in page
    assert "made 2026-01-02 03:04 UTC" in page
    anchors, ids = re.findall(r'href="#([a-z]+)"', page), re.findall(r'\bid="([^"]+)"', page)
    assert set(anchors) <= set(ids)
    assert len(ids) == len(set(ids))
    assert page.count('role="img" aria-label="') == page.count("<svg")
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []


def test_logs_without_time_or_group(tmp_path: Path) -> None:
    raw = settings(write_logs(tmp_path)) | {"split": {"fractions": [0.6, 0.2, 0.2]}, "group": None}
    found = profile(build(Tabular, raw, "data").load())
    assert found.axis.kind == "order"
    assert "pairs" not in found.repeats
    assert np.diag(found.rows["NL"].by_bin[:, [0, 14, 19]]).all()  # train, validation, test follow each other


def test_of_many_scenarios_the_page_shows_the_thirty_largest() -> None:
    rows = tuple(60 if n % 40 else 200 for n in range(200))
    found = profile(Synthetic(scenarios=200, rows=rows, users=30, items=20, allow_one_class=True).load())
    assert len(found.shown) == 30
    assert {name for name in found.rows if found.rows[name].total == 200} < set(found.apart.scenarios)
    assert set(found.apart.scenarios) < set(found.shown)
    assert len(found.apart.scenarios) == 20
    page = render(found, config="c", made=MADE)
    assert "the 30 largest of 200 scenarios" in page
    assert "The source has no time column" in page
    assert "scenario-199" in page  # in the folded table of rows
    assert len(page) < 5_000_000


def test_the_time_column_changes_no_encoded_row(logs: Logs) -> None:
    assert logs.time is not None
    frame = logs.frame("NL")
    without = encode(
        Logs(logs.schema, lambda: ((n, r.drop(logs.time)) for n, r in logs.stream()), "f", "o"), share=True
    )
    with_time = encode(logs, share=True)
    assert logs.time in frame.columns
    for split, rows in with_time.tables["NL"].splits.items():
        assert (rows.ids == without.tables["NL"].splits[split].ids).all()
        assert np.array_equal(rows.numeric, without.tables["NL"].splits[split].numeric)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    return called(capsys, "data", "describe", "synthetic", "--set", "data.rows=400", *arguments)


def test_the_command_writes_a_page_and_overwrites_only_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "profile.html"
    code, out, _ = call(capsys, "--html", str(page))
    assert code == 0
    assert f"profile: {page}; as confidential as the logs" in out
    assert "--set data.rows=400" in page.read_text()
    assert sorted(tmp_path.iterdir()) == [page]
    writable(page)
    page.write_text("<p>mine</p>")
    code, out, err = call(capsys, "--html", str(page))
    assert (code, out) == (2, "")
    assert "exists and is no data profile; choose another name or remove it" in err
    assert page.read_text() == "<p>mine</p>"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("", "is a folder; name a file in it"), ("no/p.html", "does not exist; create it or choose another file")],
)
def test_a_place_that_cannot_hold_a_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: str, sentence: str
) -> None:
    code, out, err = call(capsys, "--html", str(tmp_path / place))
    assert (code, out) == (2, "")
    assert sentence in err


def test_a_full_disk_leaves_the_old_page(found: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    page = tmp_path / "p.html"
    page.write_text(old := f'<meta name="generator" content="{GENERATOR}">')
    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr("msmtrec.profile.page.profile.render", lambda *_, **__: "page")
    with pytest.raises(UserError, match="No space left on device; choose another file"):
        write_profile(found, page, config="c", made=MADE)
    assert page.read_text() == old
    assert list(tmp_path.iterdir()) == [page]


def test_chromium_opens_the_page_without_a_complaint(page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; install the package chromium to open the profile in it")
    file = tmp_path / "profile.html"
    file.write_text(page)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    flags += [f"--user-data-dir={tmp_path / 'browser'}", "--window-size=390,844", "--dump-dom"]
    done = subprocess.run([browser, *flags, file.as_uri()], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("</svg>") == page.count("</svg>")
    assert "</html>" in done.stdout
