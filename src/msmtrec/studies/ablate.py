"""An ablation: one contender, and beside it the same with one thing changed, as an ordinary config."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.config.ablate import LOCAL, Ablate
from msmtrec.config.cautions import of_contender, without_effect
from msmtrec.config.contender import Contender, parse_contender
from msmtrec.config.parse import Config, parse_config
from msmtrec.config.parts import FINE_TUNE, Change, changed, changes
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.table import EncodedData
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.run import encoded
from msmtrec.statistics.counting import counted_of
from msmtrec.statistics.settings import StatisticsSettings


@dataclass(frozen=True)
class Expanded:
    """An ablation, ready to be trained.

    Args:
        config: with LOCAL, the base and a contender for each change.
        changes: in order.
        left_out: (change, why) of those that are not possible, or would change nothing.
        base: as it is trained.
    """

    config: Config
    changes: tuple[Change, ...]
    left_out: tuple[tuple[Change, str], ...]
    base: Contender


def expand(asked: Ablate, *, cache: bool = True) -> Expanded:
    """Read the rows, and make the variants that are possible with them.

    Raises:
        UserError: the base is not possible itself, or no variant is.
    """
    logs, folder = asked.config.data.load(), cache_directory() if cache else None
    data = encoded(asked.config, logs, None, folder)
    if "shared" not in data and any(feature.shared for feature in logs.schema.features):
        data |= encode_all(logs, {"shared": Variant(share=True)}, cache=folder)
    common, read = _sums(asked.base, data)
    base = _settled(asked.base, read)
    said = tuple(of_contender(base, data[variant(base)]))
    kept, left_out, found = list[Change](), list[tuple[Change, str]](), dict[str, Contender]()
    for wanted in changes(base, asked.parts, common, read):
        taken = (base.name, LOCAL, *found, *(left.name for left, _ in left_out))
        change = replace(wanted, name=_free(wanted.name, taken))
        try:
            (one,) = parse_contender(change.name, changed(base, change), {}, {}, 1)
            why = _without_effect(base, said, one, change, data)
        except UserError as error:
            why = str(error).removeprefix(f"methods.{change.name}.").removeprefix(f"methods.{change.name}: ")
        if why:
            left_out.append((change, why))
        else:
            found[change.name] = one
            kept.append(change)
    base = replace(base, fine_tune=asked.fine_tune)
    if not found and not base.fine_tune:
        raise UserError(f"ablate: of {base.name} nothing can be changed: {'; '.join(why for _, why in left_out)}")
    return Expanded(_config(asked, base, found, kept, left_out), tuple(kept), tuple(left_out), base)


def _sums(base: Contender, data: Mapping[str, EncodedData]) -> tuple[tuple[str, ...], frozenset[str]]:
    """(fields whose statistics scenarios could sum, those of them whose sums the base reads)."""
    settings = base.statistics or StatisticsSettings.model_validate({})
    rows, wide = data[variant(base)], data.get("shared", data[variant(base)])
    read = counted_of(rows, settings).summed if base.statistics else frozenset[str]()
    try:
        can = counted_of(wide, settings.model_copy(update={"summed": None}))
    except UserError:  # nothing is large enough to be counted; who counts all the same is refused by itself
        return (), read
    return tuple(field.name for field in can.fields if field.name in can.summed), read


def _settled(base: Contender, read: Collection[str]) -> Contender:
    """With the sums that it reads written down: by itself they would follow what becomes of its embeddings."""
    if base.statistics is None or base.statistics.summed is not None:
        return base
    return replace(base, statistics=base.statistics.model_copy(update={"summed": bool(read)}))


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or the first of name-2, name-3 … that is not taken: names of fields may be alike but for odd signs."""
    return next(one for n in count(1) if (one := name if n == 1 else f"{name}-{n}") not in taken)


def _without_effect(
    base: Contender, said: Collection[str], one: Contender, change: Change, data: Mapping[str, EncodedData]
) -> str | None:
    """Why a variant would train as its base does, or cannot; None where it can and does not.

    Raises:
        UserError: it cannot.
    """
    if one.needs_common_ids and variant(one) not in data:
        return "no field is declared shared"
    if one.resolved == base.resolved:
        return f"{one.method} makes the same of it"
    return without_effect((*of_contender(one, data[variant(one)]), *said), change.key.rpartition(".")[2])


def _config(
    asked: Ablate,
    base: Contender,
    found: Mapping[str, Contender],
    kept: Collection[Change],
    left_out: Collection[tuple[Change, str]],
) -> Config:
    parts: dict[str, list[str]] = {}
    for change in kept:
        parts.setdefault(change.part, []).append(change.name)
    if base.fine_tune:
        parts[FINE_TUNE] = [base.tuned]
    contenders = (asked.local, base, *found.values())
    whole = asked.config.as_dict()
    return parse_config(
        {
            **{key: whole[key] for key in ("name", "data", "seeds", "jobs")},
            "methods": {one.name: one.resolved for one in contenders},
            "ablate": {
                "of": base.name,
                "variants": parts,
                **({"left_out": {change.name: why for change, why in left_out}} if left_out else {}),
            },
        }
    )


def plan(expanded: Expanded) -> list[tuple[str, str, str, str, str]]:
    """(part, contender, setting, its value in the base, its value here) of every variant."""
    base = expanded.base
    lines = [
        (change.part, change.name, change.key, _value(base.resolved, change.key), _text(change.value))
        for change in expanded.changes
    ]
    if base.fine_tune:
        lines.append((FINE_TUNE, base.tuned, FINE_TUNE, "false", _text(base.fine_tune.model_dump(mode="json"))))
    return lines


def in_words(expanded: Expanded) -> str:
    """What is trained, in one sentence."""
    contenders, seeds = expanded.config.contenders, len(expanded.config.seeds)
    rounds, variants = replace(expanded.base, fine_tune=None).rounds, len(contenders) - 2
    each = f", each of {rounds} round{'s' * (rounds != 1)} at most" if rounds else ""
    return (
        f"{expanded.base.name}, {LOCAL} and {variants} variant{'s' * (variants != 1)} on {seeds}"
        f" seed{'s' * (seeds != 1)}: {len(contenders) * seeds} trainings of one seed{each}"
    )


def _value(settings: Mapping[str, Any], key: str) -> str:
    head, _, rest = key.partition(".")
    return _value(settings[head], rest) if rest else _text(settings[head])


def _text(value: Any) -> str:
    """As a config has it, on one line; of a whole group that it is there."""
    return "true" if isinstance(value, dict) and len(value) > 2 else json.dumps(value).replace('"', "")
