"""Tenrec's files, written here with the release's header, codes and repeats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.feature import MISSING_ID
from msmtrec.data import logs as logs_module
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.sources.tenrec import Tenrec

NONE = "\\N"
HEADER = "user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age\n"


def write(folder: Path, name: str, users: int = 12, rows: int = 20) -> None:
    lines = [
        f"{u},{u * 100 + n % 15},{(u + n) % 2},0,{u * n % 3 % 2},0,{NONE if n % 4 == 0 else n % 5},{n},{u % 3},{u % 7}"
        for n in range(rows)
        for u in range(1, users + 1)
    ]
    (folder / f"{name}.csv").write_text(HEADER + "\n".join(lines) + "\n")


def write_articles(folder: Path, users: int = 9, rows: int = 20) -> None:
    """Both article feeds: every row a click, codes as floats in QK, counts and scores that are no features."""
    common = "user_id,item_id,click,gender,age,exposure_count,click_count,like_count,comment_count,read_percentage,"
    common += "item_score1,item_score2,category_second,category_first,item_score3"
    for name, zero, more in (("QK", ".0", ",read,read_time,share,like,follow,favorite"), ("QB", "", "")):
        lines = [
            f"{u},{u * 100 + n % 15},1.0,{u % 3}{zero},{u % 7}{zero},900,{n},3,1,{n}.5,1,2,10402,"
            f"{NONE if n % 5 == 0 else n % 5},4" + (f",{(u + n) % 2},{n},0,{u * n % 3 % 2},0,{n % 2}.0" if more else "")
            for n in range(rows)
            for u in range(1, users + 1)
        ]
        (folder / f"{name}-article.csv").write_text("\n".join([common + more, *lines]) + "\n")


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
    ids = data.tables["QB-video"].splits["train"].table_ids[:, column.start]
    assert (ids == offset + MISSING_ID).sum() == 7 * 4


def test_users_and_items_that_feeds_have_in_common_share_their_ids(folder: Path) -> None:
    data = encode(Tenrec(folder=folder).load(), share=True)
    one, two = (set(data.tables[n].splits["train"].table_ids[:, 0].tolist()) for n in ("QK-video", "QB-video"))
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
    from msmtrec.logs.reading import chunks as reading

    whole = Tenrec(folder=folder).load().frame("QK-video")
    monkeypatch.setattr(reading, "CHUNK", 17)
    assert logs_module.CHUNK > 17
    assert Tenrec(folder=folder).load().frame("QK-video").equals(whole)


def test_articles_stand_beside_the_videos_with_the_features_all_have(folder: Path) -> None:
    write_articles(folder)
    feeds = ("QK-video", "QK-article")
    logs = Tenrec(folder=folder, scenarios=feeds, tasks=("click", "like", "read")).load()
    assert [f.name for f in logs.schema.features] == ["user_id", "item_id", "category", "gender", "age"]
    assert logs.schema.scenarios == {"QK-video": ("click", "like"), "QK-article": ("like", "read")}
    article = logs.frame("QK-article")
    assert article.height == 180
    assert article["category"].null_count() == 9 * 4
    row = article.row(9, named=True)  # user 1's second
    assert (row["user_id"], row["item_id"], row["category"], row["gender"]) == ("1", "article 101", "article 1", "1")
    data = encode(logs, share=True)
    labels = data.tables["QK-article"].splits["train"].labels
    assert np.isnan(labels[:, 0]).all()  # masked
    assert not np.isnan(labels[:, 1:]).any()


def test_an_article_is_not_the_video_of_the_same_number_but_a_user_is_the_same(folder: Path) -> None:
    write_articles(folder)
    data = encode(Tenrec(folder=folder, scenarios=("QK-video", "QK-article"), tasks=("like",)).load(), share=True)
    video, article = (data.tables[name].splits["train"].table_ids for name in ("QK-video", "QK-article"))
    column = {f.name: f.start for f in data.layout.fields}
    users, items = column["user_id"], column["item_id"]
    assert set(article[:, users]) < set(video[:, users])
    assert not set(article[:, items]) & set(video[:, items])


def test_clicks_of_articles_are_no_task_unless_asked_for(folder: Path) -> None:
    write_articles(folder)
    with pytest.raises(
        UserError, match=r"QB-article has none of click, like; its clicks count with article_clicks: tr"
    ):
        Tenrec(folder=folder, scenarios=("QK-video", "QB-article")).load()
    with pytest.raises(UserError, match=r"label 'click' of scenario 'QB-article' has one class only"):
        encode(
            Tenrec(folder=folder, scenarios=("QB-article",), tasks=("click",), article_clicks=True).load(), share=False
        )
    with pytest.raises(UserError, match=r"no feed of QK-video, QB-video has the task 'read'; remove it"):
        Tenrec(folder=folder, tasks=("click", "read")).load()


def test_an_article_file_with_another_header_is_refused(folder: Path) -> None:
    write_articles(folder)
    path = folder / "QK-article.csv"
    path.write_text(path.read_text().replace("category_first", "category_1", 1))
    with pytest.raises(UserError, match=r"QK-article.csv has no column 'category_first'"):
        list(Tenrec(folder=folder, scenarios=("QK-article",), tasks=("like",)).load().stream())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: raw[:-40], r"QK-article.csv: line 181 has \d+ fields, the header 21; complete the line"),
        (lambda raw: raw.replace(b"\n3,", b"\n\xff3,", 1), r"QK-article.csv: line 4 holds bytes that are no UTF-8"),
        (lambda raw: raw + raw, r"QK-article.csv: line 182 repeats the header; remove it"),
    ],
)
def test_broken_files_get_one_sentence(folder: Path, change: Callable[[bytes], bytes], sentence: str) -> None:
    write_articles(folder)
    path = folder / "QK-article.csv"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=sentence):
        list(Tenrec(folder=folder, scenarios=("QK-article",), tasks=("like",)).load().stream())


def test_what_is_missing_is_said(folder: Path) -> None:
    (folder / "QB-video.csv").unlink()
    with pytest.raises(UserError, match=r"no Tenrec log .*QB-video.csv; its licence must be accepted"):
        Tenrec(folder=folder).load()
    (folder / "QK-video.csv").write_text(HEADER.replace("like,", "") + "1,2,1,0,0,3,4,1,2\n")
    with pytest.raises(UserError, match=r"QK-video.csv has no column 'like'"):
        list(Tenrec(folder=folder, scenarios=("QK-video",)).load().stream())
