"""The config of an ablation: an ordinary one, in which `ablate` says what is changed in one of its contenders."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.sentences import build, one_of, optional_group
from msmtrec.config.ablation import AblateSettings
from msmtrec.config.contender import Contender, parse_contender
from msmtrec.config.parse import Config, parse_config, read_config
from msmtrec.config.parts import FINE_TUNE, PARTS, parts_of
from msmtrec.config.resolved import set_in_all
from msmtrec.config.train import FineTune
from msmtrec.record import directory

LOCAL = "local"
"""The contender that shows what there is without the others."""


@dataclass(frozen=True, kw_only=True)
class Ablate:
    """What is asked.

    Args:
        config: with two contenders, LOCAL and the one that is changed, neither of which is fine-tuned.
        parts: that are changed, in order.
        fine_tune: settings of the fine-tuned column, where that is one of the parts.
    """

    config: Config
    parts: tuple[str, ...]
    fine_tune: FineTune | None

    @property
    def local(self) -> Contender:
        return self.config.contenders[0][0]

    @property
    def base(self) -> Contender:
        """The one that is changed."""
        return self.config.contenders[1][0]


def load_ablate(
    path: Path,
    overrides: tuple[str, ...] = (),
    *,
    of: str | None = None,
    parts: Sequence[str] | None = None,
    seeds: int | None = None,
) -> Ablate:
    """As `load_config`; of a run, its directory or the config in it, with the candidates that it has chosen.

    Overrides of what a run's contenders have resolved are for the one that is changed and for `local`.

    Args:
        of, parts, seeds: of `ablate`, in place of those of the config; None leaves these.

    Raises:
        UserError: as `parse_ablate`; or the directory holds no run.
    """
    run = path if path.is_dir() else path.parent if _is_of_a_run(path) else None
    raw = _read_run(run, overrides, of) if run else read_config(path, overrides)
    if "ablate" not in raw:  # written for another command, whose run has the name already
        raw["name"] = f"{raw.get('name', path.stem)}-ablation"
    asked = {"of": of, "parts": parts, "seeds": seeds}
    given = {key: value for key, value in asked.items() if value is not None}
    raw["ablate"] = {**optional_group(raw.get("ablate"), "ablate"), **given}
    _same_parts(raw["ablate"], path)
    return parse_ablate(raw, default_name=path.stem, run=run)


def _same_parts(settings: dict[str, Any], path: Path) -> None:
    """Of an ablation's run, by itself, the same parts once more.

    Raises:
        UserError: some variants are the user's own, and no parts are named.
    """
    before = settings.pop("variants", None)
    if before is None:
        return
    settings.pop("left_out", None)  # is found anew
    if not before or "parts" in settings:
        return
    if own := [part for part in before if part not in PARTS]:
        raise UserError(
            f"{path} has ablate.variants of its own ({', '.join(own)}), which are trained by: msmtrec train CONFIG; for"
            " parts of its contender as well name them: --parts"
        )
    settings["parts"] = list(before)


def _is_of_a_run(path: Path) -> bool:
    return path.name == directory.CONFIG and (path.parent / directory.CANDIDATES).exists()


def _read_run(run: Path, overrides: tuple[str, ...], of: str | None) -> dict[str, Any]:
    if not (run / directory.CONFIG).exists():
        directory.check_finished(run)
    raw = read_config(run / directory.CONFIG)
    of = of or (raw.get("ablate") or {}).get("of")
    if of in raw["methods"]:
        raw["methods"] = {name: own for name, own in raw["methods"].items() if name in (of, LOCAL)}
    for override in overrides:
        set_in_all(raw, override)
    return raw


def parse_ablate(raw: Mapping[str, Any], default_name: str = "ablation", run: Path | None = None) -> Ablate:
    """Check a mapping.

    Args:
        run: where its contenders were trained; says which of several candidates is meant.

    Raises:
        UserError: naming the key.
    """
    settings = build(AblateSettings, optional_group(raw.get("ablate"), "ablate"), "ablate")
    if settings.variants is not None:
        raise UserError("ablate.variants is what `msmtrec ablate` writes; remove it, or train the config as it stands")
    if settings.left_out is not None:
        raise UserError("ablate.left_out is what `msmtrec ablate` writes beside ablate.variants; remove it")
    if raw.get("start") is not None:
        raise UserError("start is not for `msmtrec ablate`: an ablation begins anew; remove it")
    plain = {key: value for key, value in raw.items() if key != "ablate"}
    if settings.seeds is not None:
        plain["seeds"] = settings.seeds
    plain.setdefault("tune_candidates", sys.maxsize)  # that of the one that is changed has a sentence of its own
    whole = parse_config(plain, default_name)
    contenders = {candidates[0].name: candidates for candidates in whole.contenders}
    name = _of(settings.of, contenders)
    base = _one(contenders[name], run)
    local = _one(contenders[LOCAL], run) if LOCAL in contenders else _local_beside(base)
    if base.name == LOCAL:
        raise UserError("ablate.of: local is what the variants stand beside; give that contender another name")
    parts = _parts(settings.parts, base)
    fine_tune = base.fine_tune or build(FineTune, {}, "fine_tune") if FINE_TUNE in parts else None
    both = tuple((replace(one, candidate="", grid={}, fine_tune=None),) for one in (local, base))
    return Ablate(config=replace(whole, contenders=both), parts=parts, fine_tune=fine_tune)


def _of(asked: str | None, contenders: Mapping[str, tuple[Contender, ...]]) -> str:
    if asked is not None:
        return one_of(asked, contenders, "ablate.of")
    ours = [name for name, (one, *_) in contenders.items() if one.method == "pf-msmtrec"]
    if len(ours) != 1:
        which = f"these contenders are: {', '.join(ours)}" if ours else "no contender is"
        raise UserError(f"ablate.of is missing; it may be where one contender is of pf-msmtrec, and {which}; name one")
    return ours[0]


def _one(candidates: tuple[Contender, ...], run: Path | None) -> Contender:
    """The only candidate, or the one that validation chose in a run."""
    first, *others = candidates
    if not others:
        return first
    if run is None:
        raise UserError(
            f"methods.{first.name} has {len(candidates)} candidates, but an ablation compares one setting with itself,"
            " changed in one place; write the chosen candidate's settings in place of tune, or name the directory of"
            " the finished run that chose it: msmtrec ablate RUN"
        )
    directory.check_finished(run)
    table = directory.read_json(run / directory.RESULTS)
    if not isinstance(table, dict) or not isinstance(table.get("chosen"), dict):
        raise UserError(f"{run / directory.RESULTS} is damaged: it does not say which candidates were chosen")
    chosen = table["chosen"].get(first.name)
    if chosen is None:
        raise UserError(f"{first.name} is not in the table of {run}, so that no candidate of it is chosen")
    return next(one for one in candidates if one.candidate == chosen)


def _local_beside(base: Contender) -> Contender:
    """Training alone as the contender trains: its network without what is for the others, its own statistics."""
    model = base.model.model_dump(mode="json")
    for_others = ("template", "private_experts", "residual_embeddings")
    own = {key: value for key, value in model.items() if key not in for_others}
    statistics = {**base.statistics.model_dump(mode="json"), "summed": False} if base.statistics else False
    raw = {"model": own, "train": base.train.model_dump(mode="json"), "statistics": statistics}
    return parse_contender(LOCAL, raw, {}, {}, 1)[0]


def _parts(asked: tuple[str, ...] | None, base: Contender) -> tuple[str, ...]:
    """Those that are asked for, in their own order; default all that there are."""
    has = parts_of(base)
    if not has:
        raise UserError(f"ablate.of: {base.name} ({base.method}) has no part that could be changed; name another")
    if asked is None:
        return has
    for number, name in enumerate(asked):
        place = f"ablate.parts[{number}]"
        if one_of(name, PARTS, place) not in has:
            raise UserError(f"{place}: {base.name} ({base.method}) has no {name}; {nearest(name, has)}")
        if name in asked[:number]:
            raise UserError(f"ablate.parts lists '{name}' twice; remove one")
    if not asked:
        raise UserError(f"ablate.parts lists none; name some, or leave it out for all: {', '.join(has)}")
    return tuple(name for name in has if name in asked)
