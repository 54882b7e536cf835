"""Which methods and options a Strategy takes, and the door that it stands at."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from msmtrec.base.errors import UserError

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from deployed.strategy.by_hand import declared
from deployed.strategy.two_layers import ROLES, strategy
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.deployed.strategy.choice import PLAIN
from msmtrec.methods import METHODS
from msmtrec.methods.phases import MODEL, LocalRound, Phase

ROUND = LocalRound(2, 0.01)
DECLARED = (*declared(), Declaration("table", Role.SHARED_EMBEDDING, (4, 2), "embedding"))


def plain(name: str) -> bool:
    """Whether a scenario of the method only trains its model and sends what leaves of it."""
    method = METHODS[name].settings(**METHODS[name].defaults).build(DECLARED)
    return (
        method.leaving_slots() == (MODEL,)
        and method.served == MODEL
        and method.local(ROUND) == (Phase(rule=ROUND.adam),)
        and method.adapt(ROUND) == ()
        and not method.begin({d.name: None for d in DECLARED})  # type: ignore[misc]
    )


def test_methods_are_those_whose_scenarios_just_train() -> None:
    those = [name for name, entry in METHODS.items() if not (entry.alone or entry.pooled)]
    assert {name for name in those if plain(name)} == set(PLAIN)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "fedawg"}, "method is 'fedawg'; did you mean 'fedavg'?"),
        (
            {"method": "scaffold"},
            "method 'scaffold' needs more of a scenario than a model that is trained as one likes",
        ),
        ({"method": "local"}, "method 'local' needs more"),
        ({"preset": "papers"}, "preset is 'papers'; did you mean 'paper'?"),
        ({"method": "fedavg", "preset": "paper"}, "preset is 'paper'; valid: "),
        ({"options": {"normalisation": "tensor"}}, "did you mean 'normalization'?"),
        ({"options": {"normalization": "tensors"}}, "options.normalization: "),
        ({"options": {"embeddings": "mixed"}}, "options.embeddings: mixed trains by rules of its own"),
        ({"roles": {**ROLES, "0.*": "gate"}}, "pf-msmtrec coordinates what has the role expert.scenario"),
        ({"roles": {**ROLES, "2.*[task]": "gate"}}, "nothing in roles is a tower; give the tasks' last layers"),
        (
            {"roles": {**ROLES, "0.*": "average"}, "method": "fedavg"},
            "'0.weight' is to be averaged, and with these options the method averages no shared embeddings",
        ),
        ({"roles": {"*": "local"}, "method": "fedavg"}, "nothing that has these roles leaves a scenario"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as found:
        strategy(**{"roles": ROLES, **changes})
    assert sentence in str(found.value)


def test_towers_may_stay() -> None:
    assert strategy({**ROLES, "2.*[task]": "gate"}, options={"towers": None}).reader.leaving == ("0.weight", "0.bias")


def test_without_flower_it_is_one_sentence() -> None:
    code = "import sys; sys.modules['flwr'] = None\nimport msmtrec.flower"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "msmtrec.base.errors.UserError: Flower is not installed: pip install 'msmtrec[flower]'"
    )


def test_a_scenario_loads_no_logs_and_no_networks() -> None:
    """Every message begins a process: what it imports is paid each time."""
    code = "import sys, msmtrec.flower as door; door.put; print([n for n in ('polars', 'scipy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
