"""An S3 server of its own, for the tests of one module: moto's, where that is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

REMARK = "no moto_server in PATH (pip install 'moto[s3]' flask flask-cors, in an environment of its own)"
"""Not among our packages: botocore wants python-dateutil<3, which our pins do not."""

_ANYBODY = "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@contextmanager
def s3_server() -> Iterator[Callable[[str, bytes], None]]:
    """Puts an object into `bucket`; the environment leads there."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip(REMARK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = subprocess.DEVNULL
    process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "me")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        try:
            _wait(port, process)

            def put(name: str, content: bytes = b"") -> None:
                address = f"http://127.0.0.1:{port}/bucket/{quote(name)}"
                head = {"Content-Type": "application/octet-stream", "Authorization": _ANYBODY}
                with urlopen(Request(address, content, head, method="PUT"), timeout=10) as reply:
                    assert reply.status == 200

            put("")
            yield put
        finally:
            process.terminate()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "moto_server has ended"
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("moto_server does not answer")
