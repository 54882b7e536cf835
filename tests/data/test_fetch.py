import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from hashlib import md5, sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from msmtrec.data.fetch import Archive, Remote, fetch
from msmtrec.errors import UserError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        info = tarfile.TarInfo("release/data/rows.csv")
        info.size = len(content)
        bundle.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def remote(
    url: str, body: bytes, members: dict[str, str | None], kind: str = "tar.gz", checksum: str | None = None
) -> Remote:
    return Remote(
        "toy", "toy", "none", f"{url}/toy", checksum or f"md5:{md5(body).hexdigest()}", Archive(kind, members), "toy"
    )  # type: ignore[arg-type]


def test_tar_with_member_checksums(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    body = tar(b"a,b\n1,2\n")
    (folder / "toy").write_bytes(body)
    seen: list[tuple[int, int]] = []
    origin = fetch(
        remote(url, body, {"rows.csv": sha256(b"a,b\n1,2\n").hexdigest()}),
        tmp_path / "data",
        lambda done, total: seen.append((done, total)),
    )
    assert origin == f"{url}/toy"
    assert (tmp_path / "data/toy/rows.csv").read_bytes() == b"a,b\n1,2\n"
    assert seen[-1] == (len(body), len(body))
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["toy"]  # nothing half-written stays


def test_zip(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("ml/ratings.dat", "1::2::3::4")
        bundle.writestr("ml/README", "no")
    (folder / "toy").write_bytes(buffer.getvalue())
    fetch(remote(url, buffer.getvalue(), {"ratings.dat": None}, "zip"), tmp_path / "data")
    assert [p.name for p in (tmp_path / "data/toy").iterdir()] == ["ratings.dat"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"checksum": "md5:" + "0" * 32}, r"has md5 .*, expected 0000"),
        ({"members": {"rows.csv": "0" * 64}}, r"'rows.csv' has sha256 .*, expected 0000"),
        ({"members": {"other.csv": None}}, r"holds no 'other.csv'"),
        ({"kind": "zip"}, r"cannot be unpacked"),
    ],
)
def test_damage_is_refused_and_leaves_nothing(
    site: tuple[str, Path], tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    url, folder = site
    body = tar(b"rows")
    (folder / "toy").write_bytes(body)
    settings = {"members": {"rows.csv": None}, **change}
    with pytest.raises(UserError, match=sentence):
        fetch(remote(url, body, **settings), tmp_path / "data")  # type: ignore[arg-type]
    assert list((tmp_path / "data").iterdir()) == []


def test_unreachable_says_what_to_do_by_hand(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot reach http://127.0.0.1:9/toy .* by hand"):
        fetch(remote("http://127.0.0.1:9", b"", {}), tmp_path / "data")


def test_unwritable_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the data directory .*; set MSMTREC_DATA"):
        fetch(remote("http://127.0.0.1:9", b"", {}), tmp_path / "file")
