"""Every public release by name: what is there of it, and that a fetch brings what its source reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from logs.releases.site import remote
from msmtrec.base.errors import UserError
from msmtrec.logs.releases import catalogue
from msmtrec.logs.releases.catalogue import RELEASES, fetch_named, find, is_present, state
from msmtrec.logs.releases.fetch import part_of
from msmtrec.logs.releases.remotes import MANUALS, REMOTES, Remote


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_DATA", str(tmp_path))
    return tmp_path


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def test_names_and_parts_are_of_the_same_releases() -> None:
    assert len(RELEASES) == len(REMOTES) + len(MANUALS)
    assert set(RELEASES) == set(catalogue._PARTS) == set(catalogue._PRESENT)


@pytest.mark.parametrize("release", REMOTES, ids=lambda release: release.name)
def test_what_a_fetch_brings_is_what_the_source_reads(release: Remote, data: Path) -> None:
    for members in (tuple(release.archive.members), release.wheel_members):
        assert state(release.name).word == "absent"
        for member in members:
            assert not is_present(release.name)
            put(data / release.folder, member)
            assert state(release.name).word != "absent"
        if members:
            assert state(release.name) == catalogue.State("present", ())
        for member in members:
            (data / release.folder / member).unlink()


@pytest.mark.parametrize("release", REMOTES, ids=lambda release: release.name)
def test_an_entry_is_complete(release: Remote) -> None:
    algorithm, _, digest = release.checksum.partition(":")
    assert len(digest) == {"md5": 32, "sha256": 64}[algorithm]
    assert release.url.startswith("https://")
    assert release.unpacked > 1_000_000
    assert 1_000_000 < release.size < 10_000_000_000


def test_missing_files_and_scenarios_are_named(data: Path) -> None:
    put(data / "KuaiRand-27K/data", "log_standard_4_08_to_4_21_27k_part1.csv", "user_features_27k.csv")
    assert state("kuairand-27k") == catalogue.State("partly", ("video_features_basic_27k.csv",))
    put(data / "Tenrec", "QB-video.csv")
    assert state("tenrec") == catalogue.State("partly", ("QK-video",))
    assert state("epinions") == catalogue.State("absent", ("rating_with_timestamp.mat",))
    put(data / "Epinions", "rating_with_timestamp.mat")
    assert state("epinions") == catalogue.State("present", ())
    assert state("ciao").word == "absent"
    put(data / "Ali-CCP", "sample_skeleton_train.csv", "common_features_train.csv")
    assert state("ali-ccp").missing == ("sample_skeleton_test.csv", "common_features_test.csv")
    put(data / "Ali-CCP", "ali_ccp_train.csv", "ali_ccp_val.csv", "ali_ccp_test.csv")
    assert state("ali-ccp").word == "present"
    for country in ("NL", "ES", "FR"):
        put(data / f"AliExpress/AliExpress_{country}", "train.csv", "test.csv")
    assert state("aliexpress") == catalogue.State("partly", ("US", "RU"))
    put(data / "AliExpress/AliExpress_US", "train.csv", "test.csv")
    assert state("aliexpress") == catalogue.State("present", ("RU",))


def test_a_part_that_can_be_resumed_is_seen(data: Path) -> None:
    release = find("kuairand-1k")
    assert isinstance(release, Remote)
    part = part_of(release, data)
    part.parent.mkdir()
    part.write_bytes(b"12345")
    assert state("kuairand-1k").kept == 5
    assert state("kuairand-27k").kept == 0


def test_parts_of_two_releases_of_one_name_never_mix(data: Path) -> None:
    assert part_of(remote("http://site", b"one"), data) != part_of(remote("http://site", b"other"), data)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "tenrec",
            "tenrec cannot be fetched: its licence must be accepted on its site; msmtrec data fetch tenrec says",
        ),
        ("kuairand-2k", "no data set 'kuairand-2k' to fetch; did you mean 'kuairand-27k'?"),
    ],
)
def test_what_cannot_be_fetched_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        fetch_named(name)
    assert sentence in str(error.value)
