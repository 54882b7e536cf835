"""Features of a public data set that nothing is to read."""

from pathlib import Path

import pytest

from logs.sources.kuairand_files import write_release
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.logs.sources.kuairand import KuaiRand

DATES = (20220425, 20220505, 20220507)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    write_release(tmp_path, DATES)
    return tmp_path


def test_rows_splits_and_users_stay(release: Path) -> None:
    whole = KuaiRand(folder=release, tabs=(1,)).load()
    some = KuaiRand(folder=release, tabs=(1,), leave_out=("user_id", "video_id")).load()
    assert {f.name for f in whole.schema.features} - {f.name for f in some.schema.features} == {"user_id", "video_id"}
    assert some.schema.group == "user_id"
    kept, all_of_it = some.frame("1"), whole.frame("1")
    assert kept.equals(all_of_it.select(kept.columns))
    assert set(all_of_it.columns) - set(kept.columns) == {"video_id"}  # users are still needed for tests
    table = encode(some, share=True).tables["1"]
    assert len(set(table.splits["test"].group)) == 2


def test_other_rows_are_another_cache(release: Path) -> None:
    prints = {
        KuaiRand(folder=release, tabs=(1,), leave_out=names).load().fingerprint
        for names in ((), ("user_id",), ("video_id",), ("user_id", "video_id"))
    }
    assert len(prints) == 4
    again = KuaiRand(folder=release, tabs=(1,), leave_out=("video_id", "user_id")).load().fingerprint
    assert again in prints


def test_pooled_rows_leave_them_out_too(release: Path) -> None:
    pooled = KuaiRand(folder=release, tabs=(1,), leave_out=("user_id",)).load().pooled()
    assert "user_id" not in {f.name for f in pooled.schema.features}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("user",), "data.leave_out is 'user'; did you mean 'user_id'"),
        (("is_click",), "data.leave_out is 'is_click'"),
        ("all", "data.leave_out names all features; leave one"),
    ],
)
def test_refused(release: Path, names: tuple[str, ...] | str, sentence: str) -> None:
    if isinstance(names, str):
        names = tuple(f.name for f in KuaiRand(folder=release, tabs=(1,)).load().schema.features)
    with pytest.raises(UserError, match=sentence):
        KuaiRand(folder=release, tabs=(1,), leave_out=names).load()
