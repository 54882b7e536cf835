"""`make proxy`: a deployment behind a real nginx with the file that `deploy init` has written, on this machine.

Only places and addresses in that file are others, and nginx has no rights of its own. Nodes reach the SuperLink through
it alone, with uploads of fifty megabytes; what is not for nodes is refused there. Two minutes, most of which Flower
waits.
"""

from __future__ import annotations

import os
import pwd
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from deployed.federation_here import called, ended_with_us, free_port, listening, started
from msmtrec.deployed.init import init
from msmtrec.record.directory import read_lines

HOST, SCENARIOS = "lab.example.org", ("scenario-0", "scenario-1")
WIDTH = 2500
"""Of two layers in two experts: 50 MB."""
CONFIG = f"""
name: proxy
data: {{source: synthetic, scenarios: 2, rows: [300, 200], users: 30, items: 20}}
model: {{name: mmoe, experts: 2, expert_layers: [{WIDTH}, {WIDTH}]}}
train: {{rounds: 2, local_steps: 1, batch_size: 16, threads: 1, evaluate_before: false}}
methods: [fedavg]
seeds: 1
"""
LEAST, USUAL = 50e6, 2**20
"""Bytes of an upload; and of a body that nginx lets through where nothing is said."""
CONTROL = "/v1/control/list-runs"
REFUSED = {
    CONTROL: 403,
    "/v1/control": 403,
    "/v1/runtime/pull-message": 403,
    "/": 404,
    "/v1": 404,
    "/V1/control/list-runs": 404,
    **dict.fromkeys(
        (
            "//v1//control/list-runs",
            "/v1/fleet/../control/list-runs",
            "/v1/fleet/%2e%2e/control/list-runs",
            "/v1/fleet/..%2Fcontrol/list-runs",
            "/v1/%63ontrol/list-runs",
        ),
        403,
    ),
}
_NGINX = """
daemon off;
pid {here}/nginx.pid;
error_log {here}/error.log;
events {{ }}
http {{
    log_format lengths "$status $request_length $body_bytes_sent $request_uri";
    access_log {here}/access.log lengths;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    include {here}/written.conf;
}}
"""
_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
_NOBODY: dict[str, Any] = {}
if os.getuid() == 0:
    _NOBODY = {"user": pwd.getpwnam("nobody").pw_uid, "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def main() -> int:
    nginx = shutil.which("nginx", path=_PATH)
    if nginx is None:
        print("proxy: there is no nginx here; install one (Debian: apt-get install nginx-light)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="msmtrec-proxy-") as kept, ExitStack() as stack:
        folder = Path(kept)
        (folder / "proxy.yaml").write_text(CONFIG)
        place, port = folder / "deployment", free_port()
        init(place, folder / "proxy.yaml", SCENARIOS, host=HOST, port=port)
        server, authority = place / "server", place / "server" / "certificates" / "ca.crt"
        stack.enter_context(ended_with_us(place))
        stack.enter_context(started(server / "start-superlink.sh"))
        listening(port + 1)
        told = stack.enter_context(proxied(nginx, server, port))
        listening(port)
        assert answered(CONTROL, port + 1, authority) not in (403, 404), "the SuperLink itself has no such path"
        for path, status in REFUSED.items():
            found = answered(path, port, authority)
            assert found == status, f"{path} is answered with {found}"
        before = told.stat().st_size
        called([str(server / "register-nodes.sh")])
        for node in sorted((place / "nodes").iterdir()):
            replaced(node / "start-supernode.sh", f"{HOST}:{port}", f"127.0.0.1:{port}")
            stack.enter_context(started(node / "start-supernode.sh"))
        called([str(server / "run.sh")])
        rounds = read_lines(server / "run" / "contenders" / "fedavg" / "rounds.jsonl")
        for one in rounds:
            assert one["took_part"]["0"] == [*SCENARIOS], "a node was not there in a round"
            assert sum(one["bytes_up"].values()) >= LEAST * len(SCENARIOS)
        asked = [line.split(maxsplit=3) for line in told.read_text()[before:].splitlines()]
        assert {path.split("/")[2] for *_, path in asked} == {"fleet"}
        assert {status for status, *_ in asked} == {"200"}, "nginx has refused what is a node's"
        largest = [max(int(one[field]) for one in asked) for field in (1, 2)]
        assert min(largest) > USUAL
        assert not (said := (told.parent / "error.log").read_text()), said
    up, down = (f"{size / 1e6:.1f} MB" for size in largest)
    print(
        f"proxy: {len(rounds)} rounds of {len(SCENARIOS)} nodes through nginx, {len(asked):,} requests, the largest"
        f" {up}, the largest answer {down}; {len(REFUSED)} paths that are not for nodes are refused"
    )
    return 0


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has no {old}"
    path.write_text(text.replace(old, new))


@contextmanager
def proxied(nginx: str, server: Path, port: int) -> Iterator[Path]:
    """nginx, for this machine alone; as nobody, where we are root. Yields: its log of what was asked."""
    with tempfile.TemporaryDirectory(prefix="msmtrec-nginx-") as kept:
        here = Path(kept)
        written = here / "written.conf"
        shutil.copy(server / "nginx.conf", written)
        shutil.copytree(server / "certificates", here / "certificates")
        replaced(written, "/srv/msmtrec/server", str(here))
        replaced(written, f"listen {port} ", f"listen 127.0.0.1:{port} ")
        replaced(written, f"listen [::]:{port} ", f"listen [::1]:{port} ")
        (here / "nginx.conf").write_text(_NGINX.format(here=here))
        if _NOBODY:
            for path in (here, *here.rglob("*")):
                shutil.chown(path, _NOBODY["user"], _NOBODY["group"])
        process = subprocess.Popen([nginx, "-p", kept, "-c", str(here / "nginx.conf"), "-e", "stderr"], **_NOBODY)
        try:
            yield here / "access.log"
        finally:
            process.terminate()
            process.wait(10)


def answered(path: str, port: int, authority: Path) -> int:
    """The status, as an HTTP client without a key gets it."""
    talk = HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=str(authority)))
    try:
        talk.request("POST", path, body=b"", headers={"Content-Type": "application/x-protobuf"})
        return talk.getresponse().status
    finally:
        talk.close()


if __name__ == "__main__":
    sys.exit(main())
