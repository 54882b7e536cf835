"""`make changes`: a real deployment that lives on: its certificate is renewed, and a node is added, in a run.

A deployment as `deploy init` writes it, with TLS, a key and a process for every node. The ServerApp is killed in the
middle of a round. The SuperLink starts again with another certificate, and nodes find it. A node is added, registered,
asked with the others, and `run.sh` goes on with it. Three minutes, most of which Flower waits.
"""

from __future__ import annotations

import ssl
import tempfile
from contextlib import ExitStack
from pathlib import Path

from deployed.federation_here import BIN, begun, called, children, command_of, end, listening, started
from deployed.kills import CONFIG, ONE, TWO, Deployed, deployed
from msmtrec.record.directory import read_json, read_lines

NEW = "scenario-2"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="msmtrec-changes-") as kept, ExitStack() as stack:
        config = Path(kept) / "changes.yaml"
        config.write_text(CONFIG.replace("scenarios: 2, rows: [900, 500]", "scenarios: 3, rows: [900, 500, 700]"))
        here = stack.enter_context(deployed(Path(kept) / "deployment", config))
        first = here.run()
        here.in_round(2, ONE, first)
        (app,) = [one for one in children(here.superlink.pid) if "flwr-serverapp" in command_of(one)]
        end(app)
        told("the ServerApp was killed in round 2")
        renewed(here)
        told("the SuperLink was started again with another certificate")
        msmtrec("add-node", here, "--scenario", NEW)
        registered = called([str(here.server / "register-nodes.sh")]).splitlines()
        assert registered[-1] == f"{NEW}: registered", registered
        stack.enter_context(started(here.folder(NEW) / "start-supernode.sh"))
        checked = msmtrec("check", here)
        for node in (ONE, TWO, NEW):
            assert f"node '{node}', scenario '{node}': " in checked, checked
        told(f"{NEW} was added, registered, and asked with the others")
        here.finished(here.run())
        assert f"from now on with {NEW}\n" in here.said()
        assert read_json(here.server / "run" / "joined.json") == [NEW]
        (rounds,) = (here.server / "run").rglob("rounds.jsonl")
        there = [line["took_part"]["0"] for line in read_lines(rounds)]
        assert there == [[ONE, TWO], *[[ONE, TWO, NEW]] * 3], there
        assert list(here.folder(NEW).glob("runs/*/contenders/*/models/*")), "the newcomer has no model"
        assert [here.connections(node) for node in (ONE, TWO)] == [1, 1], "a node did not find the SuperLink by itself"
    print(
        "changes: nodes went on under a new certificate; one that was added in the run took part in all rounds that"
        " were left, and has its model"
    )


def renewed(here: Deployed) -> None:
    before = shown(here)
    msmtrec("renew", here)
    assert shown(here) == before
    end(here.superlink.pid)
    here.superlink.wait()
    here.superlink = begun(here.server / "start-superlink.sh")
    listening(here.port)
    after, held = shown(here), (here.server / "certificates" / "server.crt").read_text()
    assert (after == before, after.strip() == held.strip()) == (False, True)


def shown(here: Deployed) -> str:
    """The certificate of who listens."""
    return ssl.get_server_certificate(("127.0.0.1", here.port))


def msmtrec(command: str, here: Deployed, *more: str) -> str:
    return called([str(BIN / "msmtrec"), "deploy", command, str(here.place), *more])


def told(what: str) -> None:
    print(f"changes: {what}", flush=True)


if __name__ == "__main__":
    main()
