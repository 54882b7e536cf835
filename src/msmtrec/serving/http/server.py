"""The process: a socket, signals, and uvicorn between them."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import uvicorn

from msmtrec.base.errors import UserError
from msmtrec.serving.http import journal
from msmtrec.serving.http.app import make_app
from msmtrec.serving.http.desk import Desk
from msmtrec.serving.http.graphs import Maker
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.served import Plan, opened
from msmtrec.serving.http.settings import Settings

_ENDING = (signal.SIGTERM, signal.SIGINT)
_SWITCH = 0.0005
"""Seconds after which a thread lets another one go on; with Python's 5 ms a scored batch waits for who parses."""


def prepare(settings: Settings) -> Plan:
    """Make the graphs that are missing, and nothing else.

    Raises:
        UserError: the run cannot be served, or its graphs cannot be written.
    """
    plan = Plan.of(settings)
    plan.export(Maker(), lambda scenario: journal.say("exported", scenario=scenario))
    return plan


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT, then finish what has begun; SIGHUP opens the run again.

    Raises:
        UserError: the run cannot be served, or the port is taken.
    """
    opened(settings)
    with _listen(settings.host, settings.port) as listening:
        _run(settings, listening)


def _run(settings: Settings, listening: socket.socket) -> None:
    server: uvicorn.Server

    def give_up() -> None:
        server.should_exit = True

    async def run() -> None:
        nonlocal server
        desk = Desk(settings, Metrics(), give_up)
        config = uvicorn.Config(
            make_app(desk),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=ceil(settings.limits.timeout) + 1,
        )
        server = uvicorn.Server(config)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, desk.reload_later)
        host, port = listening.getsockname()[:2]
        journal.say("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await server.serve(sockets=[listening])
        if desk.error is not None:
            raise desk.error
        journal.say("stopped")

    with _as_before():
        sys.setswitchinterval(_SWITCH)
        for number in _ENDING:
            signal.signal(number, lambda *_: None)  # uvicorn has its own, and raises the signal again when it is done
        loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())


@contextmanager
def _as_before() -> Iterator[None]:
    """Signals and threads' turns, for whoever serves in a process of other work."""
    interval, handlers = sys.getswitchinterval(), {number: signal.getsignal(number) for number in _ENDING}
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that nobody else can take the port meanwhile."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise UserError(f"cannot listen on {host}, port {port}: {what}; choose another --host or --port") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can ask."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
