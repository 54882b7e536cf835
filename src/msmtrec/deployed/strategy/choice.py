"""The method by its name, for a table of roles: what it asks for, and what it would make of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.roles import Role
from msmtrec.base.sentences import build, one_of
from msmtrec.deployed.strategy.role_table import AVERAGE, RoleTable
from msmtrec.methods import METHODS
from msmtrec.methods.base import Method
from msmtrec.methods.settings.base import MethodSettings
from msmtrec.methods.settings.pf_msmtrec import PFSettings

PLAIN = ("emb-only", "fedavg", "fedavg-all", "fedper", "fedbn", "mat-fl", "fedhca2", "pf-msmtrec")
"""Methods whose scenarios only train the model, in whatever way; all others train by rules and slots of their own."""


def settings_of(method: str, preset: str | None, options: Mapping[str, Any]) -> MethodSettings:
    """A method's options.

    Raises:
        UserError: with the nearest name; or the method trains by rules of its own.
    """
    entry = METHODS[one_of(method, METHODS, "method")]
    if method not in PLAIN:
        raise UserError(
            f"method '{method}' needs more of a scenario than a model that is trained as one likes; such are"
            f" {', '.join(PLAIN)}"
        )
    chosen = entry.presets[one_of(preset, entry.presets, "preset")] if preset is not None else {}
    return build(entry.settings, {**entry.defaults, **chosen, **options}, "options")


def method_of(settings: MethodSettings, table: RoleTable) -> Method[Any]:
    """The method for the network of a table.

    Raises:
        UserError: it does not fit the table.
    """
    roles = {d.role for d in table.declarations}
    if isinstance(settings, PFSettings):
        if settings.embeddings == "mixed":
            raise UserError("options.embeddings: mixed trains by rules of its own; take shared or local")
        if Role.EXPERT_SCENARIO not in roles:
            raise UserError("pf-msmtrec coordinates what has the role expert.scenario, and nothing in roles has it")
        if settings.towers and Role.TOWER not in roles:
            raise UserError("nothing in roles is a tower; give the tasks' last layers that role, or set towers to None")
    promised = [name for name, word in table.words.items() if word == AVERAGE]
    if promised and not settings.shares_embeddings:
        raise UserError(
            f"'{promised[0]}' is to be averaged, and with these options the method averages no shared embeddings, which"
            " it would be one of; set embeddings to shared, or take fedavg-all for fedavg"
        )
    method = settings.build(table.declarations)
    if not method.leaving():
        raise UserError("nothing that has these roles leaves a scenario with this method; choose other roles")
    return method


def cautions(settings: MethodSettings, method: Method[Any], scenarios: int) -> Iterator[str]:
    """Sentences on options that mean less than they seem to."""
    yield from settings.cautions()
    yield from method.cautions(scenarios)
