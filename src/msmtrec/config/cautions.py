"""Settings that train but mean less than they seem to: one sentence each, before the first round and in the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.roles import EXPERTS, Role
from msmtrec.config.contender import Contender
from msmtrec.config.parse import Config
from msmtrec.data.findings.finding import Weight
from msmtrec.data.findings.told import findings
from msmtrec.data.table import EncodedData
from msmtrec.methods.base import Method
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.methods.settings.linear import BiasSettings
from msmtrec.models.trees import Categories
from msmtrec.statistics.counting import counted_of
from msmtrec.statistics.means import chosen_of


def cautions(config: Config, data: Mapping[str, EncodedData]) -> tuple[str, ...]:
    """Sentences, in which contenders that share one are named together.

    Args:
        data: contender's title -> the rows it trains on.

    Raises:
        UserError: a contender's method cannot work with its network, or the network not with these rows.
    """
    found: dict[str, dict[str, None]] = {}
    for candidates in config.contenders:
        for contender in candidates:
            for sentence in of_contender(contender, data[contender.title]):
                found.setdefault(sentence, {})[contender.name] = None
    sentences = [
        *config.data.cautions(),
        *_of_data(config, data),
        *(f"{', '.join(contenders)}: {sentence}" for sentence, contenders in found.items()),
    ]
    sentences += _unequal(config)
    if len(config.seeds) == 1:
        sentences.append("one seed: no spread over seeds and no test; set seeds to 3 or more")
    return tuple(sentences)


def _of_data(config: Config, data: Mapping[str, EncodedData]) -> Iterator[str]:
    """What was found while rows were encoded, but for mere notes; who sees rows otherwise than others is named."""
    told: dict[str, dict[str, None]] = {}
    for candidates in config.contenders:
        for contender in candidates:
            for found in findings(data[contender.title]):
                if found.weight >= Weight.WARNING:
                    told.setdefault(found.text, {})[contender.name] = None
    alone = {candidates[0].name for candidates in config.contenders if not candidates[0].entry.pooled}
    for sentence, contenders in told.items():
        yield sentence if alone <= contenders.keys() else f"{', '.join(contenders)}: {sentence}"


def _unequal(config: Config) -> Iterator[str]:
    """Who tries more candidates has more chances to look good on validation rows."""
    counts: dict[int, list[str]] = {}
    for candidates in config.contenders:
        counts.setdefault(len(candidates), []).append(candidates[0].name)
    if len(counts) > 1:
        parts = [f"{number} for {', '.join(names)}" for number, names in sorted(counts.items(), reverse=True)]
        yield f"unequal numbers of candidates: {'; '.join(parts)}; more candidates have more chances on validation rows"


def _days(contender: Contender, data: EncodedData) -> bool:
    """Whether what training rows read of ids, if anything, is of earlier days; errors as those of counting."""
    settings = contender.statistics
    if isinstance(contender.settings, BiasSettings):
        chosen_of(data, contender.settings.counting)
    if settings is None:
        return True
    return counted_of(data, settings).units.ordered


def without_effect(sentences: Iterable[str], option: str) -> str | None:
    """The first of the sentences that says that an option has no effect, or None."""
    return next((one for one in sentences if one.startswith(f"{option} ") and " has no effect" in one), None)


def of_contender(contender: Contender, data: EncodedData) -> Iterator[str]:
    """Sentences on a contender alone; that an option is without effect they say as "OPTION … has no effect".

    Raises:
        UserError: as `cautions`.
    """
    for settings in (contender.settings, contender.model, contender.train):
        yield from settings.cautions()
    try:
        model = contender.model.build(data.layout)
        model.check(data)
        method: Method[Any] = contender.settings.build(model.declare())
        days = _days(contender, data)
    except UserError as error:
        raise UserError(f"methods.{contender.name}: {error}") from error
    yield from method.cautions(len(data.scenarios))
    if not days:
        yield (
            "training rows read statistics of ids from blocks of rows of any time, not from earlier days: rows of one"
            " session may tell of each other, so that training figures flatter"
        )
    roles = method.policies()
    owned = [d for d in method.leaving() if d.owners]
    if owned:
        own = "" if model.reads_others else ", though it uses its own only"
        moments = ", its inputs' means and variances among them" if not all(d.trained for d in owned) else ""
        yield (
            f"what {contender.model.name} has for each scenario apart ({len(owned)} tensors{moments}) travels: every"
            f" scenario receives all others'{own}"
        )
    if isinstance(contender.settings, GBMSettings) and contender.statistics is None:
        yield from _unread(contender.settings, data)
    private = any(d.role is Role.EXPERT_PRIVATE for d in method.declarations)
    if private and not any(role in EXPERTS for _, role in roles):
        yield "private_experts has no effect: no expert travels"
    if contender.model.residual_embeddings and not contender.entry.alone:
        yield from _residual(method)
    if contender.train.balance.rule != "none" and len(data.schema.task_names) == 1:
        yield f"train.balance {contender.train.balance.rule} has no effect: there is one task"
    if roles and len(data.scenarios) == 1:
        yield "with one scenario there is nobody to learn from; this is local training"
    sizes = contender.train.batch_size
    if isinstance(sizes, dict):
        for name, table in data.tables.items():
            rows, asked = len(table.splits["train"]), sizes.get(name, 0)
            if asked > rows:
                yield f"scenario '{name}' has {rows} training rows, its batch is {asked}: each step takes all"
    if ("model", Role.TOWER) in roles:
        for scenario in data.scenarios:
            for task, has in zip(data.schema.task_names, data.schema.has_task(scenario), strict=True):
                if not has:
                    yield (
                        f"scenario '{scenario}' has no task '{task}' and gets the other scenarios' mean tower for it"
                        " (zero-shot); no figure here measures that"
                    )


def _residual(method: Method[Any]) -> Iterator[str]:
    if not any(d.role is Role.RESIDUAL_EMBEDDING for d in method.declarations):
        yield "residual_embeddings has no effect: no field of the contender's rows has common ids"
    elif not any(role is Role.SHARED_EMBEDDING for _, role in method.policies()):
        yield "residual_embeddings has no effect but that embeddings of common ids learn faster: none travels"


def _unread(settings: GBMSettings, data: EncodedData) -> Iterator[str]:
    most, found = settings.categories, dict[str, None]()
    for table in data.tables.values():
        found |= dict.fromkeys(Categories.of(table.splits["train"], data.layout, most).unread(data.layout))
    if found:
        yield (
            f"trees do not read {', '.join(found)}, which in some scenario have none or more than {most} values"
            " (options.categories); with statistics: true they read what is known of these"
        )
