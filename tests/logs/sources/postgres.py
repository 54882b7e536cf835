"""A PostgreSQL server of its own, for the tests of one module."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "s3cret/p@ss:w%rd"


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """Its URI, with user `own`, who has PASSWORD."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: no initdb in PATH or /usr/lib/postgresql")
    owner = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:  # the server does not run as root
        owner = "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            shutil.chown(path, owner)

        def call(program: str, *options: str) -> None:
            as_owner = {"user": owner} if os.getuid() == 0 else {}
            command = [str(programs / program), "-D", f"{name}/data", *options]
            log = subprocess.DEVNULL  # a pipe would be held open by the server
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=name, **as_owner)

        call("initdb", "-U", "own", "-A", "scram-sha-256", f"--pwfile={name}/password", "--no-sync", "-E", "UTF8")
        call("pg_ctl", "-w", "-o", f"-c listen_addresses=127.0.0.1 -p {port} -k {name} -F", "start")
        try:
            yield f"postgresql://own@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-m", "immediate", "stop")
