"""Only the wanted members of an archive are taken, each whole, and none leaves the folder."""

from __future__ import annotations

import io
import resource
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from logs.releases.site import tar
from msmtrec.base.errors import UserError
from msmtrec.logs.releases.unpacking import Archive, Damaged, extract

ROWS = b"a,b\n1,2\n" * 50_000


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Writing more into one file fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def zipped(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            bundle.writestr(info, target)
    return buffer.getvalue()


MAKE = {"tar.gz": tar, "zip": zipped}


@pytest.fixture(params=["tar.gz", "zip"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def unpack(folder: Path, body: bytes, kind: str, members: dict[str, str | None]) -> Path:
    (folder / "archive").write_bytes(body)
    extract(folder / "archive", Archive(kind, members), folder / "out")  # type: ignore[arg-type]
    return folder / "out"


def test_wanted_members_are_taken_and_verified(tmp_path: Path, kind: str) -> None:
    body = MAKE[kind]({"toy/README": b"no", "toy/data/rows.csv": ROWS, "toy/data/users.csv": b"u"})
    out = unpack(tmp_path, body, kind, {"rows.csv": sha256(ROWS).hexdigest(), "users.csv": None})
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"rows.csv": ROWS, "users.csv": b"u"}


def test_a_member_of_a_folder_outside_stays_inside(tmp_path: Path, kind: str) -> None:
    out = unpack(tmp_path, MAKE[kind]({"../../rows.csv": ROWS, "/etc/users.csv": b"u"}), kind, {"rows.csv": None})
    assert [p.name for p in out.iterdir()] == ["rows.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "out"]


def test_a_link_is_no_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("secret")
    body = MAKE[kind]({}, {"toy/rows.csv": str(tmp_path / "secret")})
    with pytest.raises(Damaged, match=r"holds no file 'rows.csv'; it is not the expected release"):
        unpack(tmp_path, body, kind, {"rows.csv": None})


def test_a_folder_is_no_file(tmp_path: Path, kind: str) -> None:
    body = MAKE[kind]({"rows.csv/other": b"x"}) if kind == "tar.gz" else zipped({"rows.csv/": b""})
    with pytest.raises(Damaged, match=r"holds no file 'rows.csv'"):
        unpack(tmp_path, body, kind, {"rows.csv": None})


def test_an_altered_member_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(Damaged, match=r"'rows.csv' has sha256 \w+, expected 0000"):
        unpack(tmp_path, MAKE[kind]({"rows.csv": ROWS}), kind, {"rows.csv": "0" * 64})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.95])
def test_a_truncated_archive_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    body = MAKE[kind]({"rows.csv": ROWS, "users.csv": b"u" * 9})
    with pytest.raises(Damaged, match=r"cannot be unpacked|holds no file 'users.csv'"):
        unpack(tmp_path, body[: int(share * len(body))], kind, {"rows.csv": None, "users.csv": None})


def test_damaged_contents_are_refused(tmp_path: Path, kind: str) -> None:
    body = bytearray(MAKE[kind]({"rows.csv": ROWS}))
    middle = len(body) // 2
    body[middle : middle + 50] = b"?" * 50
    with pytest.raises(Damaged):
        unpack(tmp_path, bytes(body), kind, {"rows.csv": sha256(ROWS).hexdigest()})


def test_a_full_disk_is_said(tmp_path: Path, kind: str) -> None:
    body = MAKE[kind]({"rows.csv": ROWS})
    assert len(body) < 50_000
    with files_up_to(100_000), pytest.raises(UserError, match=r"cannot write .*/out/rows.csv \(.*\); free space") as e:
        unpack(tmp_path, body, kind, {"rows.csv": None})
    assert not isinstance(e.value, Damaged)
