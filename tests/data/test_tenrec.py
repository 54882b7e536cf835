"""Tenrec's video files, written here with the release's header, codes and repeats."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from msmtrec.data import logs as logs_module
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT
from msmtrec.data.repeats import Repeats
from msmtrec.data.sources.tenrec import Tenrec
from msmtrec.errors import UserError
from msmtrec.schema import MISSING_ID

NONE = "\\N"
HEADER = "user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age\n"


def write(folder: Path, name: str, users: int = 12, rows: int = 20) -> None:
    lines = [
        f"{u},{u * 100 + n % 15},{(u + n) % 2},0,{u * n % 3 % 2},0,{NONE if n % 4 == 0 else n % 5},{n},{u % 3},{u % 7}"
        for n in range(rows)
        for u in range(1, users + 1)
    ]
    (folder / f"{name}.csv").write_text(HEADER + "\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "QK-video")
    write(tmp_path, "QB-video", users=7)
    return tmp_path


def test_each_users_rows_are_shared_out_in_file_order(folder: Path) -> None:
    frame = Tenrec(folder=folder).load().frame("QK-video")
    assert frame.height == 240
    for user in ("1", "12"):
        parts = frame.filter(pl.col("user_id") == user)[SPLIT].to_list()
        assert parts == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2


def test_backslash_n_is_a_missing_category_and_watching_times_is_no_feature(folder: Path) -> None:
    logs = Tenrec(folder=folder, buckets=1000).load()
    assert "watching_times" not in {f.name for f in logs.schema.features}
    assert logs.frame("QK-video")["video_category"].null_count() == 12 * 5
    data = encode(logs, share=True)
    column = next(f for f in data.layout.fields if f.name == "video_category")
    offset = 2 * 1002
    ids = data.tables["QB-video"].splits["train"].ids[:, column.start]
    assert (ids == offset + MISSING_ID).sum() == 7 * 4


def test_users_and_items_that_feeds_have_in_common_share_their_ids(folder: Path) -> None:
    data = encode(Tenrec(folder=folder).load(), share=True)
    one, two = (set(data.tables[n].splits["train"].ids[:, 0].tolist()) for n in ("QK-video", "QB-video"))
    assert two < one


def test_repeats_may_be_dropped(folder: Path) -> None:
    frame = Tenrec(folder=folder, repeats="first").load().frame("QK-video")
    assert frame.height == 12 * 15
    assert not frame.select(pl.struct("user_id", "item_id").is_duplicated().any()).item()


def test_repeats_are_found_across_chunks() -> None:
    keys = [n * 7919 % 1000 for n in range(5000)]
    rows = pl.DataFrame({"k": keys, "n": range(5000)})
    repeats = Repeats(["k"])
    kept = pl.concat([repeats.first(rows.slice(start, 37)) for start in range(0, 5000, 37)])
    assert kept.equals(rows.unique("k", keep="first", maintain_order=True))


def test_chunks_do_not_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from msmtrec.data import reading

    whole = Tenrec(folder=folder).load().frame("QK-video")
    monkeypatch.setattr(reading, "CHUNK", 17)
    assert logs_module.CHUNK > 17
    assert Tenrec(folder=folder).load().frame("QK-video").equals(whole)


def test_what_is_missing_is_said(folder: Path) -> None:
    (folder / "QB-video.csv").unlink()
    with pytest.raises(UserError, match=r"no Tenrec log .*QB-video.csv; its licence must be accepted"):
        Tenrec(folder=folder).load()
    (folder / "QK-video.csv").write_text(HEADER.replace("like,", "") + "1,2,1,0,0,3,4,1,2\n")
    with pytest.raises(UserError, match=r"QK-video.csv has no column 'like'"):
        list(Tenrec(folder=folder, scenarios=("QK-video",)).load().stream())
