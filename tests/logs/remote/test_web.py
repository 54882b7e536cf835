"""Files of a web server: fetched once, again when they change, never in part, and read under the URL's name."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import polars as pl
import pytest

from logs.remote.server import Server, serving
from logs.sources.tabular import ROWS, sizes, source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.logs.remote import transfer, web
from msmtrec.logs.remote.urls import on_this_machine

BODY = ROWS.write_csv().encode()
MORE = ROWS.with_columns(price=(pl.col("price") + 1) % 20).write_csv().encode()
HALF = len(BODY) // 2


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(transfer.time, "sleep", lambda _: None)
    return tmp_path / "cache" / "remote"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server({"/logs/rows.csv": BODY})) as found:
        yield found


def rows(server: Server, path: str = "/logs/rows.csv") -> pl.DataFrame:
    return source(server.url + path).load().frame("NL")


def prices(server: Server) -> list[float]:
    return rows(server)["price"].to_list()


def copies(cache: Path) -> list[bytes]:
    return [path.read_bytes() for path in cache.rglob("rows.csv*")]


EVEN = [float(n) for n in range(0, 20, 2)]
ODD = [n + 1 for n in EVEN]


def test_an_unchanged_file_is_fetched_once(server: Server, cache: Path) -> None:
    assert prices(server) == prices(server) == EVEN
    assert copies(cache) == [BODY]
    assert ["If-None-Match" in heads for _, heads in server.asked] == [False, False, True]


@pytest.mark.parametrize("heads", [{"ETag": '"{tag}"'}, {"ETag": 'W/"{tag}"'}, {"Last-Modified": "at {tag}"}, {}])
def test_a_changed_file_is_fetched_anew_whatever_tells(server: Server, cache: Path, heads: dict[str, str]) -> None:
    server.heads = heads
    assert len(BODY) == len(MORE)
    assert prices(server) == EVEN
    server.files["/logs/rows.csv"] = MORE
    assert prices(server) == ODD
    assert copies(cache) == [MORE]


def test_without_anything_that_tells_it_is_fetched_every_time(server: Server, cache: Path) -> None:
    server.heads = {}
    first = source(f"{server.url}/logs/rows.csv").load()
    asked = len(server.asked)
    assert prices(server) == EVEN
    assert len(server.asked) == 2 * asked
    server.files["/logs/rows.csv"] = MORE
    assert prices(server) == ODD
    assert first.frame("NL")["price"].to_list() == EVEN  # whoever reads the first copy goes on with it
    assert sorted(copies(cache)) == sorted([BODY, MORE])


def test_logs_keep_their_copy_when_the_file_changes_and_others_discard_it_later(server: Server, cache: Path) -> None:
    logs = source(f"{server.url}/logs/rows.csv").load()
    server.files["/logs/rows.csv"] = MORE
    assert prices(server) == ODD
    assert logs.frame("NL")["price"].to_list() == EVEN
    del logs
    assert prices(server) == ODD
    assert copies(cache) == [MORE]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_off_is_completed(server: Server, cache: Path, ranges: bool) -> None:
    server.ranges, server.cuts = ranges, [len(BODY), HALF, 10]
    assert prices(server) == EVEN
    assert copies(cache) == [BODY]
    assert [heads.get("Range") for _, heads in server.asked[2:4]] == [
        f"bytes={HALF}-",
        f"bytes={HALF + 10 if ranges else 10}-",
    ]
    assert server.asked[2][1]["If-Range"] == f'"{md5(BODY).hexdigest()}"'


def test_a_transfer_that_always_breaks_off_is_refused_and_the_next_one_goes_on(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PAUSES", ())
    server.cuts = [len(BODY), HALF]
    with pytest.raises(UserError, match=r"rows\.csv cannot be fetched: the connection was closed before the end"):
        prices(server)
    assert copies(cache) == []
    assert prices(server) == EVEN
    assert server.asked[-1][1]["Range"] == f"bytes={HALF}-"


def test_what_came_of_another_state_is_not_gone_on_with(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PAUSES", ())
    server.cuts = [len(BODY), HALF]
    with pytest.raises(UserError):
        prices(server)
    server.files["/logs/rows.csv"] = MORE
    assert prices(server) == ODD
    assert [path.name for path in cache.rglob("*.part")] == []


def test_a_file_that_changes_while_it_is_fetched_is_never_mixed(server: Server, cache: Path) -> None:
    answer, count = server.answer, [0]

    def changing(request: object) -> None:
        count[0] += 1
        if count[0] == 3:  # a look, the first half, and then the rest of another file
            server.files["/logs/rows.csv"] = MORE
        answer(request)  # type: ignore[arg-type]

    server.answer = changing  # type: ignore[method-assign]
    server.cuts = [len(BODY), HALF]
    assert prices(server) == ODD
    assert copies(cache) == [MORE]


def test_a_file_that_changes_all_the_time_is_refused(server: Server) -> None:
    answer, count = server.answer, [0]

    def changing(request: object) -> None:
        count[0] += 1
        server.heads = {"ETag": f'"{count[0]}"'}
        answer(request)  # type: ignore[arg-type]

    server.answer = changing  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"rows\.csv changed while it was fetched, 3 times; wait until"):
        prices(server)


def test_an_answer_of_unknown_length_ends_where_it_says(server: Server) -> None:
    server.chunked = True
    with serving(server):
        assert prices(server) == EVEN
        server.cuts = [len(MORE), HALF]
        server.files["/logs/rows.csv"] = MORE
        with pytest.raises(UserError, match=r"rows\.csv cannot be fetched: IncompleteRead.*after \d+ bytes"):
            prices(server)
        assert prices(server) == ODD


def test_without_a_length_a_part_could_pass_for_the_whole(server: Server) -> None:
    server.lengths = False
    with pytest.raises(UserError, match=r"does not say how many bytes the file has"):
        prices(server)


def test_a_page_is_no_file(server: Server) -> None:
    server.heads = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(UserError, match=r"rows\.csv cannot be fetched: it answers with a web page, such as one to log"):
        prices(server)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, r"cannot be fetched: HTTP 404 Not Found; check data\.files and the credentials"),
        (403, r"cannot be fetched: HTTP 403 Forbidden; its server wants other credentials"),
        (401, r"cannot be fetched: HTTP 401 Unauthorized; its server wants other credentials"),
        (503, r"cannot be fetched: HTTP 503 Service Unavailable$"),
    ],
)
def test_a_refusal_is_said_with_the_url(server: Server, status: int, said: str) -> None:
    server.status = status
    with pytest.raises(UserError, match=rf"^{server.url}/logs/rows\.csv {said}"):
        prices(server)


def test_a_copy_is_no_answer_where_the_server_gives_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prices(server) == EVEN
    server.status = 404
    with pytest.raises(UserError, match=r"404 .*; a copy of 20\d\d-.* UTC is in the cache, and MSMTREC_OFFLINE=1"):
        prices(server)
    monkeypatch.setenv("MSMTREC_OFFLINE", "1")
    asked = len(server.asked)
    found = source(f"{server.url}/logs/rows.csv")
    assert found.load().frame("NL")["price"].to_list() == EVEN
    assert len(server.asked) == asked
    assert list(found.cautions()) == [
        "MSMTREC_OFFLINE is set: remote files are read from the cache, whatever has become of them since"
    ]
    with pytest.raises(UserError, match=r"MSMTREC_OFFLINE is set, and no copy of .*/other\.csv is in the cache"):
        rows(server, "/other.csv")


def test_a_server_that_is_not_there_is_not_waited_for(server: Server) -> None:
    with pytest.raises(UserError, match=r"^http://127\.0\.0\.1:9/x\.csv cannot be fetched: .*Connection refused$"):
        source("http://127.0.0.1:9/x.csv").load()


def test_a_copy_that_somebody_has_cut_is_fetched_again(server: Server, cache: Path) -> None:
    prices(server)
    (copy,) = cache.rglob("rows.csv")
    copy.write_bytes(BODY[:HALF])
    assert prices(server) == EVEN


def test_an_empty_file_is_said_to_be_empty(server: Server) -> None:
    server.files["/logs/rows.csv"] = b""
    with pytest.raises(UserError, match=rf"^{server.url}/logs/rows\.csv is empty"):
        prices(server)


def test_messages_and_origins_name_the_url(server: Server) -> None:
    url = f"{server.url}/logs/rows.csv"
    assert source(url).load().origin == url
    logs = source({"NL": url, "FR": f"{server.url}/fr.csv"}, scenario=...)
    server.files["/fr.csv"] = BODY
    assert logs.load().places == {"NL": url, "FR": f"{server.url}/fr.csv"}
    with pytest.raises(UserError, match=rf"^{url} has no column 'gender'"):
        source(url, features={"gender": None}).load()
    with pytest.raises(UserError, match=rf"^data\.files names {url} twice"):
        source([url, url]).load()
    server.files["/logs/rows.csv"] = BODY.replace(b"u3", b"u3,u4", 1)
    with pytest.raises(UserError, match=rf"^{url}: line 5 has 7 fields, the header 6"):
        rows(server)


def test_rows_are_the_same_here_and_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(BODY)
    here, there = source(tmp_path / "rows.csv"), source(f"{server.url}/logs/rows.csv")
    assert sizes(here) == sizes(there)
    assert here.load().files.digest == there.load().files.digest
    mixed = source([str(tmp_path / "rows.csv"), f"{server.url}/more.csv"])
    server.files["/more.csv"] = MORE
    assert mixed.load().frame("NL")["price"].to_list() == EVEN + ODD


def test_the_same_contents_are_encoded_once(server: Server, cache: Path) -> None:
    first = encode(source(f"{server.url}/logs/rows.csv").load(), share=False, cache=cache.parent).folder
    server.heads = {"ETag": '"uploaded once more"'}
    assert encode(source(f"{server.url}/logs/rows.csv").load(), share=False, cache=cache.parent).folder == first
    server.files["/logs/rows.csv"], server.heads = MORE, {"ETag": '"changed"'}
    assert encode(source(f"{server.url}/logs/rows.csv").load(), share=False, cache=cache.parent).folder != first


def test_being_present_asks_no_server(server: Server, tmp_path: Path) -> None:
    found = source([f"{server.url}/logs/rows.csv"])
    assert not found.present()
    found.load()
    asked = len(server.asked)
    assert found.present()
    assert len(server.asked) == asked
    assert not source([f"{server.url}/logs/rows.csv", str(tmp_path / "absent.csv")]).present()
    assert on_this_machine(["https://host/x", "y"]) == (Path("y"),)


def test_a_login_goes_to_its_server_only(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    with serving(Server({"/rows.csv": BODY})) as other:
        # under another name, as another server would be
        server.moves["/logs/rows.csv"] = other.url.replace("127.0.0.1", "localhost") + "/rows.csv"
        assert prices(server) == EVEN
        assert {heads.get("Authorization") for _, heads in server.asked} == {"Basic bWU6aHVudGVyMg=="}
        assert {heads.get("Authorization") for _, heads in other.asked} == {None}
    assert web._login("http://example.org/x") == {}


def test_a_login_file_that_cannot_be_read_is_named_without_its_words(server: Server, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me\nhunter2 hunter2\n")
    with pytest.raises(UserError, match=r"netrc cannot be understood at line 2; mend it") as caught:
        prices(server)
    assert "hunter2" not in str(caught.value)


def test_rows_that_travel_in_the_open_are_cautioned_about() -> None:
    assert [text.partition(":")[0] for text in source("http://example.org/x.csv").cautions()] == ["http"]
    for quiet in ("http://127.0.0.1:8000/x.csv", "http://localhost/x.csv", "http://[::1]:80/x.csv", "https://h/x.csv"):
        assert not list(source(quiet).cautions())
