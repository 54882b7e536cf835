"""`msmtrec deploy …`: one experiment over many machines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from msmtrec.base.errors import UserError
from msmtrec.cli.console import config_path, err, out
from msmtrec.deployed.extra import extra

deploy_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="One experiment over many machines, with Flower."
)


@deploy_app.command("init")
def deploy_init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where it goes: empty, or not there.")],
    config: Annotated[
        str, typer.Option("--config", metavar="CONFIG", help="YAML file, or a built-in name: what is trained.")
    ],
    scenarios: Annotated[
        str | None, typer.Option("--scenarios", metavar="A,B,C", help="A node for each [default: those of the data].")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Name or address by which nodes reach the server.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=1, max=65534, help="The server's port there.")
    ] = 8000,
) -> None:
    """Write the folder of a deployment: settings, certificates, keys and scripts for a server and its nodes.

    All of the config but `data` and `jobs` becomes what the federation agrees on; `data` is the example that each node
    replaces by its own. Needs the extra `msmtrec[flower]`.

    Example: `msmtrec deploy init federation --config mine.yaml --scenarios NL,BE --host recommender.example.org`
    """
    from msmtrec.deployed.init import init

    plan = init(folder, config_path(config), None if scenarios is None else _split(scenarios), host=host, port=port)
    out.print(
        f"{escape(str(folder))}: a server at {plan.address}, {len(plan.nodes)}"
        f" node{'s' * (len(plan.nodes) > 1)}: {escape(', '.join(node.name for node in plan.nodes))}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(f"[dim]what to do now: {escape(str(folder / 'README.md'))}[/]", highlight=False, soft_wrap=True)


@deploy_app.command("add-node")
def deploy_add_node(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The deployment.")],
    scenarios: Annotated[
        str, typer.Option("--scenario", metavar="NAME[,NAME…]", help="What the node has: a scenario, or several.")
    ],
    name: Annotated[
        str | None, typer.Option("--node", metavar="NAME", help="The node's name [default: its scenario's].")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--public-key", metavar="FILE", help="Of a key that its operator has; no other is made then."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", metavar="NODE", help="A node's folder or file: an example of the data [default: one in DIR]."
        ),
    ] = None,
) -> None:
    """A node for a scenario that joins: its folder, its key, and its entry in `server/federation.yaml`.

    All of it is made, or nothing. Nothing else in the federation's file changes; the next start of `server/run.sh` goes
    on with the node, where a scenario may still join. Says what to do next.

    Example: `msmtrec deploy add-node federation --scenario FR`
    """
    with extra():
        from msmtrec.deployed.adding import add_node

    _print(add_node(folder, _split(scenarios), name=name, like=like, key=key).lines())


@deploy_app.command("renew")
def deploy_renew(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The deployment, or its folder `server`.")],
    key: Annotated[
        Path | None,
        typer.Option("--ca-key", metavar="FILE", help="The authority's key, where it is kept [default: in DIR]."),
    ] = None,
    authority: Annotated[
        bool, typer.Option("--authority", help="A new authority, too; every node must get its certificate.")
    ] = False,
) -> None:
    """A new certificate for the server, valid for two years, from the authority of the deployment.

    Nodes notice nothing: they know the authority, which is valid for ten years. The SuperLink must be started again.
    Says which files go where.

    Example: `msmtrec deploy renew federation --ca-key /media/safe/ca.key`
    """
    with extra():
        from msmtrec.deployed.renewing import renew

    _print(renew(folder, key=key, authority=authority).lines())


@deploy_app.command("check")
def deploy_check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The deployment, or its folder `server`.")],
) -> None:
    """Ask every node for its rows, on the server's machine; nothing is trained.

    It proves that nodes connect with their keys over TLS, have the server's version, can read their rows, and declare
    them alike; clocks that differ and other versions of packages are said, and certificates that end within 60 days.
    SuperLink and nodes must run.

    Example: `msmtrec deploy check federation`
    """
    script = _script(folder)
    if script is None:
        raise UserError(f"{folder} is no deployment: it has no server/run.sh; msmtrec deploy init writes one")
    with extra():
        from msmtrec.deployed.validity import endings

    for sentence in endings(script.parent / "certificates", folder, datetime.now(UTC)):
        err.print(f"[yellow]note: [/]{escape(sentence)}", highlight=False, soft_wrap=True)
    raise typer.Exit(_called(script, "--check"))


@deploy_app.command("schema")
def deploy_schema(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH …",
            help="Files or folders of nodes, files that --out has written; or a deployment.",
        ),
    ],
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Of one node: also write it, for the others (.json).")
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Of nodes: read all rows, and say how many each split has.")
    ] = False,
) -> None:
    """What is shared, and by whom, before anything trains: fields, id spaces and tasks, never values.

    Shows what a federation would learn of a node's rows; several nodes side by side; or, of a deployment that is up,
    what all of them say. Exit code 2 where something does not fit, in a sentence that names both sides.

    Example: `msmtrec deploy schema nodes/NL --out NL.json`
    """
    for path in paths:
        if script := _script(path):
            if len(paths) > 1 or out_file is not None or rows:
                raise UserError(f"{path} is a deployment, whose nodes are asked: name it alone, without options")
            raise typer.Exit(_called(script, "--schema"))
    from msmtrec.cli.schema import collected, print_told, writable, write
    from msmtrec.deployed.fit import fitting

    if out_file is not None:
        if len(paths) > 1:
            raise UserError("--out writes what one node tells, and several are named; name one")
        writable(out_file)
    told = collected(paths, count=rows)
    print_told(told)
    fitting(told)
    if out_file is not None:
        write(next(iter(told.values())), out_file)
        last = f"{out_file}: the same, for the others; names, kinds and digests, no values"
    elif len(told) > 1:
        last = f"{len(told)} scenarios fit together"
    else:
        last = f"scenario '{next(iter(told))}' alone; name those of others too, to see whether they fit together"
    out.print(escape(last), soft_wrap=True, highlight=False)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        out.print(escape(line), highlight=False, soft_wrap=True)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _script(folder: Path) -> Path | None:
    """That runs a deployment, named by its folder or by its folder `server`."""
    return next((one for one in (folder / "server/run.sh", folder / "run.sh") if one.is_file()), None)


def _called(script: Path, option: str) -> int:
    import subprocess

    return subprocess.run([str(script.resolve()), option], check=False).returncode
