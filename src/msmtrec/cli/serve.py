"""`msmtrec serve`: scores over HTTP."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from msmtrec.base.errors import UserError
from msmtrec.cli.console import check_run, err, out
from msmtrec.cli.predict import CalibrationOption, ContenderOption, RunArgument, SeedOption

_NEEDED = ("fastapi", "fastapi_offline", "uvicorn", "prometheus_client", "onnx", "onnxscript", "onnxruntime")


def serve(
    run: RunArgument,
    contender: ContenderOption = None,
    seed: SeedOption = None,
    calibration: CalibrationOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8080,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Batches scored at the same time.")] = 1,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Of one request.")] = 10_000,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Of its body.")] = 32 << 20,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Requests of a scenario that wait.")] = 256,
    timeout: Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds for one request.")] = 5.0,
    batch_rows: Annotated[int, typer.Option("--batch-rows", min=1, help="Of requests scored together.")] = 1024,
    batch_wait: Annotated[float, typer.Option("--batch-wait", min=0, help="Milliseconds a request waits.")] = 0.0,
    graphs: Annotated[
        Path | None, typer.Option("--graphs", metavar="DIR", help="Where graphs are kept [default: RUN/serving].")
    ] = None,
    prepare: Annotated[bool, typer.Option("--prepare", help="Make the graphs and stop, as for an image.")] = False,
) -> None:
    """Answer requests for scores with the models of a finished run: POST /v1/scenarios/NAME/score, /docs has the rest.

    RUN may be a link: move it and send SIGHUP, and the newer run answers without a request being lost.

    Example: `msmtrec serve runs/mine --port 8080`
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise UserError("serving needs more packages: pip install 'msmtrec[serve]'")
    check_run(run)
    from msmtrec.serving.http import journal
    from msmtrec.serving.http.server import is_loopback
    from msmtrec.serving.http.server import prepare as make_graphs
    from msmtrec.serving.http.server import serve as answer
    from msmtrec.serving.http.settings import TOKEN, Limits, Settings

    limits = Limits(
        rows=max_rows,
        size=max_bytes,
        queue=queue,
        timeout=timeout,
        batch_rows=batch_rows,
        batch_wait=batch_wait / 1000,
        threads=threads,
    )
    token = os.environ.get(TOKEN, "")
    settings = Settings(
        run=run,
        contender=contender,
        seed=seed,
        calibration=calibration,
        graphs=graphs,
        host=host,
        port=port,
        token=token,
        limits=limits,
    )
    if prepare:
        out.print(str(make_graphs(settings).graphs), highlight=False, soft_wrap=True)
        return
    if not is_loopback(host):
        err.print(
            f"[yellow]note:[/] {host} can be reached from other machines, and there is neither TLS nor a password: put"
            " it behind a proxy that has both",
            soft_wrap=True,
            highlight=False,
        )
    journal.start()
    answer(settings)
