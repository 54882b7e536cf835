"""A download goes on where it broke off, and ends with the right bytes or a reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest

from logs.releases.site import Site, serving, stall
from msmtrec.base.errors import UserError
from msmtrec.logs.releases.download import download
from msmtrec.logs.remote import transfer as module
from msmtrec.logs.remote.transfer import Unreachable

BODY = os.urandom(300_000)
HALF = len(BODY) // 2


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(BODY)) as found:
        yield found


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without making them."""
    pauses: list[float] = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    return pauses


def get(site: Site, part: Path, pauses: tuple[float, ...] = (0.01, 0.02), timeout: float = 5) -> None:
    checksum = f"md5:{md5(BODY).hexdigest()}"
    download(site.url, part, size=len(BODY), checksum=checksum, timeout=timeout, pauses=pauses)


def test_a_broken_connection_is_resumed(site: Site, tmp_path: Path) -> None:
    site.cuts = [HALF, 1000]
    get(site, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]


def test_the_next_try_goes_on_with_what_was_kept(site: Site, tmp_path: Path) -> None:
    site.cuts = [HALF]
    with pytest.raises(Unreachable, match="the connection was closed before the end"):
        get(site, tmp_path / "part", pauses=())
    assert (tmp_path / "part").read_bytes() == BODY[:HALF]
    get(site, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("ranges", [False, 403])
def test_a_site_without_ranges_starts_over(site: Site, tmp_path: Path, ranges: bool | int) -> None:
    site.ranges, site.cuts = ranges, [HALF]
    get(site, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [None, f"bytes={HALF}-", *([None] if ranges == 403 else [])]


def test_without_a_stated_length_the_end_is_known_too(site: Site, tmp_path: Path) -> None:
    site.lengths, site.cuts = False, [HALF]
    get(site, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY


def test_breaking_off_at_the_same_place_again_and_again_is_given_up(
    site: Site, tmp_path: Path, slept: list[float]
) -> None:
    site.ranges, site.cuts = False, [HALF] * 9
    with pytest.raises(Unreachable, match="closed before the end"):
        get(site, tmp_path / "part", pauses=(1, 2, 4))
    assert slept == [1, 2, 4]
    assert len(site.asked) == 4


def test_as_long_as_bytes_arrive_it_is_not_given_up(site: Site, tmp_path: Path, slept: list[float]) -> None:
    site.cuts = [1000] * 20
    get(site, tmp_path / "part", pauses=(1, 2))
    assert (tmp_path / "part").read_bytes() == BODY
    assert slept == [1] * 20


def test_a_connection_without_a_byte_for_long_counts_as_broken(site: Site, tmp_path: Path) -> None:
    site.cuts, site.after_cut = [HALF], stall
    get(site, tmp_path / "part", timeout=0.1)
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [None, f"bytes={HALF}-"]


def test_another_content_between_two_tries_is_noticed_and_fetched_once_more(site: Site, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"?" * HALF)
    get(site, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [f"bytes={HALF}-", None]


def test_a_wrong_checksum_is_refused_and_discarded(site: Site, tmp_path: Path) -> None:
    site.body = b"?" * len(BODY)
    with pytest.raises(UserError, match=r"has md5 \w+, expected \w+; the file is damaged or was changed and was disc"):
        get(site, tmp_path / "part")
    assert not (tmp_path / "part").exists()
    assert site.asked == [None]


def test_a_wrong_checksum_twice_over_ends_too(site: Site, tmp_path: Path) -> None:
    site.body, site.cuts = b"?" * len(BODY), [HALF, HALF, HALF]
    with pytest.raises(UserError, match="has md5"):
        get(site, tmp_path / "part")
    assert site.asked == [None, f"bytes={HALF}-", None, f"bytes={HALF}-"]


def test_a_part_longer_than_the_whole_is_discarded(site: Site, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY + b"more")
    get(site, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [None]


def test_a_file_that_is_there_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY)
    get(site, tmp_path / "part")
    assert site.asked == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final(site: Site, tmp_path: Path, status: int) -> None:
    site.statuses = [status] * 9
    with pytest.raises(Unreachable, match=f"HTTP {status}"):
        get(site, tmp_path / "part")
    assert len(site.asked) == 1


def test_a_busy_site_is_left_alone_as_long_as_it_asks(site: Site, tmp_path: Path, slept: list[float]) -> None:
    site.statuses = [503, 429]
    get(site, tmp_path / "part", pauses=(1, 8))
    assert slept == [7, 8]  # Retry-After is 7
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_site_that_stays_busy_is_given_up(site: Site, tmp_path: Path, slept: list[float]) -> None:
    site.statuses = [503] * 9
    with pytest.raises(Unreachable, match="HTTP 503 Service Unavailable"):
        get(site, tmp_path / "part")
    assert len(site.asked) == 3
    assert slept == [7, 7]


def test_a_site_that_never_answers_is_not_asked_again(tmp_path: Path, slept: list[float]) -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        download("http://127.0.0.1:9/toy", tmp_path / "part", size=9, checksum="md5:0", pauses=(1, 2))
    assert slept == []


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_of_another_size_is_not_taken(site: Site, tmp_path: Path, lengths: bool) -> None:
    site.body, site.lengths = BODY + b"more", lengths
    with pytest.raises(Unreachable, match=r"bytes or more are offered, not 300,000"):
        get(site, tmp_path / "part")
    assert not (tmp_path / "part").exists()
    assert len(site.asked) == 1


def test_progress_ends_with_the_whole(site: Site, tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    download(
        site.url,
        tmp_path / "part",
        size=len(BODY),
        checksum=f"md5:{md5(BODY).hexdigest()}",
        progress=lambda what, done, total: seen.update({what: (done, total)}),
    )
    assert seen == {"downloading": (len(BODY), len(BODY)), "checking": (len(BODY), len(BODY))}
