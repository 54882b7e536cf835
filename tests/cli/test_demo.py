"""Which logs the demo takes, and what it says when none are to be had."""

from __future__ import annotations

import pytest

from msmtrec.base.errors import UserError
from msmtrec.cli import demo


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(demo, "is_present", lambda name: False)
    return []


def test_present_logs_win(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    monkeypatch.setattr(demo, "is_present", lambda name: name == "kuairand-pure")
    assert demo.choose_demo(said.append) == "kuairand"
    assert said == ["kuairand: found in the data directory"]


def test_without_kuairand_movielens_is_fetched_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    def fetch(name: str, timeout: float) -> str:
        if name == "kuairand-pure":
            raise UserError("its site cannot be reached")
        return "its mirror"

    monkeypatch.setattr(demo, "fetch_named", fetch)
    assert demo.choose_demo(said.append) == "movielens-1m"
    assert "kuairand: its site cannot be reached" in said
    assert said.index("kuairand: its site cannot be reached") > next(
        n for n, line in enumerate(said) if line.startswith("kuairand: licence CC BY-SA 4.0. ")
    )
    assert said[-1] == "movielens-1m: fetched from its mirror"


def test_with_nothing_at_all_it_is_synthetic_and_says_so(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    def fetch(name: str, timeout: float) -> str:
        raise UserError("no network")

    monkeypatch.setattr(demo, "fetch_named", fetch)
    assert demo.choose_demo(said.append) == "synthetic"
    assert said[-1].startswith("synthetic: no real logs can be had here, so these are made up")
