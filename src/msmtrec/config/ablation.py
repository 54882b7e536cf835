"""The key `ablate`: what `msmtrec ablate` is asked, and what it leaves in the config that it trains."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build, one_of
from msmtrec.base.settings import Settings
from msmtrec.record.declared import Ablation


class AblateSettings(Settings):
    """One contender, changed in one place at a time.

    Args:
        of: the contender; null takes the only one of pf-msmtrec.
        parts: that are changed; null takes all that the contender has.
        seeds: in place of `seeds`: a count, or a list of integers.
        variants: part -> contenders: what `msmtrec ablate` writes into the config of its run. Where it is given,
            contenders are trained as they stand in `methods`, and each of these is tested against `of`.
        left_out: beside `variants`: those that are not trained -> why. It is shown, and changes nothing.
    """

    of: str | None = None
    parts: tuple[str, ...] | None = None
    seeds: Any = None
    variants: dict[str, tuple[str, ...]] | None = None
    left_out: dict[str, str] | None = None


def declared(raw: Any, columns: Collection[str]) -> Ablation | None:
    """Which tests a config declares; None where they are the usual ones.

    Args:
        columns: of the config's contenders.

    Raises:
        UserError: it is one that `msmtrec ablate` has yet to read, or it names a column that there is not.
    """
    if raw is None:
        return None
    found = build(AblateSettings, raw, "ablate")
    if found.variants is None:
        raise UserError("ablate is for `msmtrec ablate CONFIG`, which trains what it says; elsewhere remove it")
    if found.parts is not None or found.seeds is not None:
        raise UserError("ablate.variants says what is trained; remove ablate.parts and ablate.seeds, or the variants")
    if found.of is None:
        raise UserError("ablate.of is missing; it names the contender that the variants are tested against")
    of, names = one_of(found.of, columns, "ablate.of"), list[str]()
    for part, own in found.variants.items():
        place = f"ablate.variants.{part}"
        for name in own:
            if one_of(name, columns, place) in (of, *names):
                raise UserError(f"{place} names '{name}', which stands there already or is ablate.of; remove it")
            names.append(name)
    if not names:
        raise UserError("ablate.variants names no contender; name some, or remove ablate")
    return Ablation(of, found.variants, found.left_out or {})
