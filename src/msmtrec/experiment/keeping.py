"""What a training leaves behind: each scenario's model of its best round, and at the end its test figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msmtrec.base.errors import Diverged
from msmtrec.base.member import Member
from msmtrec.base.packing import on_host
from msmtrec.base.parameters import Parameters
from msmtrec.config.contender import Contender
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import counting, measure, task_weights
from msmtrec.evaluation.quality import quality
from msmtrec.evaluation.sampled import Sampled, row_weights
from msmtrec.experiment.encoders import variant
from msmtrec.federation.site import Site
from msmtrec.models.base import Model
from msmtrec.models.beside import Beside
from msmtrec.record.directory import SCORES, TEST, VALIDATION, VALIDATION_SCORES, model_file, read_json, write_json
from msmtrec.record.models import ModelCard, load_model, save_model
from msmtrec.runtime.side_by_side import Clients
from msmtrec.serving.scoring import THREADS, computed_with, logits_of


def save_models(
    contender: Contender,
    column: str,
    clients: Clients,
    members: Sequence[Member],
    folder: Path,
    *,
    unmeasured: bool = False,
) -> list[dict[str, Any]]:
    """Each scenario's model of its best round.

    Args:
        unmeasured: whether a scenario may be without validation AUC.

    Returns:
        what `validation.json` says of each.

    Raises:
        Diverged: a scenario has no validation AUC.
    """
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    chosen, memories = list[dict[str, Any]](), clients.memories
    for member in members:
        for scenario, best in memories[member].best.items():
            if math.isnan(best.score) and not unmeasured:
                raise Diverged(
                    f"scenario '{scenario}', seed {member.seed}, has no validation AUC in any round:"
                    " its training diverged, or its part of the validation rows has one class; lower the learning rate"
                )
            model, known = _served(clients.site, scenario)
            card = _card(contender, column, clients.site, member, scenario, best.round, model)
            trained = on_host(best.parameters)
            kind = next(iter(trained.values())).dtype
            known = {name: value.to(kind) for name, value in known.items()}
            save_model(model_file(folder, scenario, member.seed), trained | known, card)
            chosen.append(
                {
                    "seed": member.seed,
                    "scenario": scenario,
                    "round": best.round,
                    "auc": None if math.isnan(best.score) else best.score,
                    "steps": best.steps,
                    "steps_per_round": clients.site.steps[member.scenario],
                }
            )
    return chosen


def _served(site: Site, scenario: str) -> tuple[Model, Parameters]:
    """The network that a scenario's rows are scored with as they come, and what it looks up of their ids."""
    return (site.model, {}) if site.statistics is None else site.statistics.served(scenario, site.model)


def _card(
    contender: Contender,
    column: str,
    site: Site,
    member: Member,
    scenario: str,
    round_number: int,
    model: Model,
) -> ModelCard:
    alone = contender.entry.alone
    return ModelCard(
        contender=column,
        candidate=contender.candidate,
        method=contender.method,
        scenario=scenario,
        seed=member.seed,
        round=round_number,
        network={"name": alone} if alone else contender.model.model_dump(mode="json"),
        variant=variant(contender),
        table=member.scenario,
        fingerprint=site.data.fingerprint,
        tasks=site.data.layout.tasks,
        roles={name: str(role) for name, role in model.roles().items()},
        statistics=model.described() if isinstance(model, Beside) else {},
    )


def _sampled(data: EncodedData, table: str) -> Sampled | None:
    """What was sampled of a table's rows, as its encoder found it."""
    if all(task.negatives_kept == 1 for task in data.schema.tasks):
        return None
    return Sampled.of(encoder_of(data, table).schema)


def keep_scores(data: EncodedData, folder: Path) -> None:
    """Scores of the chosen models, and their test figures; the only place that touches test rows, once.

    The models score as they do later: what they know of ids they look up themselves.

    Validation scores are kept too: on them probabilities can be calibrated without the logs. Of sampled logs the scores
    are those of all rows, and weights say how many of them each row stands for.
    """
    if (folder / TEST).exists():
        return
    tasks, records = data.schema.task_names, list[dict[str, Any]]()
    held: dict[str, Any] = {"tasks": np.array(data.layout.tasks)}
    scores: dict[str, Any] = {THREADS: computed_with()}
    owners = {name: table for table in data.tables.values() for name in table.parts["test"]}
    sampled = {name: _sampled(data, name) for name in data.tables}
    for chosen in read_json(folder / VALIDATION):
        scenario, seed = chosen["scenario"], chosen["seed"]
        table = owners[scenario]
        parameters, card = load_model(model_file(folder, scenario, seed))
        validation, test = (table.splits[split].take(table.parts[split][scenario]) for split in ("validation", "test"))
        whole = sampled[table.scenario]
        logits, held_out = (logits_of(card, parameters, data.layout, rows) for rows in (test, validation))
        if whole is not None:
            logits, held_out = whole.corrected(logits), whole.corrected(held_out)
        held[f"{scenario}/{seed}"], held[f"{scenario}/labels"] = held_out.astype(np.float32), validation.labels
        weights = row_weights(test.weight, test.labels, whole)
        for m in measure(scenario, tasks, data.schema.has_task(table.scenario), logits, test.labels, weights):
            task = data.layout.tasks.index(m.task)
            own = task_weights(weights, task)
            known = counting(test.labels[:, task], own)
            more = quality(
                logits[known, task], test.labels[known, task], test.group[known], None if own is None else own[known]
            )
            records.append({"seed": seed, "round": chosen["round"], **m.as_dict(), **more.as_dict()})
        for place, rows in ((held, validation), (scores, test)):
            if (weighed := row_weights(rows.weight, rows.labels, whole)) is not None:
                place[f"{scenario}/weights"] = weighed
        scores[f"{scenario}/{seed}"] = logits.astype(np.float32)
        scores[f"{scenario}/labels"], scores[f"{scenario}/group"] = test.labels, test.group
    np.savez(folder / VALIDATION_SCORES, **held)
    np.savez(folder / SCORES, **scores)
    write_json(folder / TEST, records)  # last: it marks the column as measured
