"""What a training leaves behind: each scenario's model of its best round, and at the end its test figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import Diverged
from msmtrec.base.member import Member
from msmtrec.base.packing import on_host
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData, Rows, ScenarioTable
from msmtrec.evaluation.metrics import measure
from msmtrec.evaluation.quality import quality
from msmtrec.experiment.encoders import variant
from msmtrec.federation.scenario import Site
from msmtrec.record.directory import SCORES, VALIDATION, VALIDATION_SCORES, model_file, read_json, write_json
from msmtrec.record.models import ModelCard, load_model, save_model
from msmtrec.runtime.in_process import InProcess
from msmtrec.serving.scoring import THREADS, computed_with, logits_of


def save_models(
    contender: Contender,
    column: str,
    clients: InProcess,
    members: list[Member],
    folder: Path,
    *,
    unmeasured: bool = False,
) -> None:
    """Each scenario's model of its best round, and `validation.json`.

    Args:
        unmeasured: whether a scenario may be without validation AUC.

    Raises:
        Diverged: a scenario has no validation AUC.
    """
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    chosen = []
    for member in members:
        for scenario, best in clients.memories[member].best.items():
            if math.isnan(best.score) and not unmeasured:
                raise Diverged(
                    f"scenario '{scenario}', seed {member.seed}, has no validation AUC in any round:"
                    " its training diverged, or its part of the validation rows has one class; lower the learning rate"
                )
            card = _card(contender, column, clients.site, member, scenario, best.round)
            save_model(model_file(folder, scenario, member.seed), on_host(best.parameters), card)
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
    write_json(folder / VALIDATION, chosen)


def _card(contender: Contender, column: str, site: Site, member: Member, scenario: str, round_number: int) -> ModelCard:
    return ModelCard(
        contender=column,
        candidate=contender.candidate,
        method=contender.method,
        scenario=scenario,
        seed=member.seed,
        round=round_number,
        network=contender.model.model_dump(mode="json"),
        variant=variant(contender),
        table=member.scenario,
        fingerprint=site.data.fingerprint,
        tasks=site.data.layout.tasks,
        roles={name: str(role) for name, role in site.model.roles().items()},
    )


def read_test_rows(data: EncodedData, folder: Path) -> None:
    """The only place that touches test rows: metrics and scores of the chosen models, once."""
    if (folder / "test.json").exists():
        return
    records: list[dict[str, Any]] = []
    scores: dict[str, Any] = {THREADS: computed_with()}
    for chosen, table, rows, logits in _scored(data, folder, "test"):
        scenario, seed = chosen["scenario"], chosen["seed"]
        found = measure(scenario, data.schema.task_names, data.schema.has_task(table.scenario), logits, rows.labels)
        for m in found:
            task = data.layout.tasks.index(m.task)
            known = ~np.isnan(rows.labels[:, task])
            more = quality(logits[known, task], rows.labels[known, task], rows.group[known])
            records.append({"seed": seed, "round": chosen["round"], **m.as_dict(), **more.as_dict()})
        scores[f"{scenario}/{seed}"] = logits.astype(np.float32)
        scores[f"{scenario}/labels"], scores[f"{scenario}/group"] = rows.labels, rows.group
    np.savez(folder / SCORES, **scores)
    write_json(folder / "test.json", records)


def keep_validation_scores(data: EncodedData, folder: Path) -> None:
    """The chosen models' scores of validation rows, on which probabilities can be calibrated without the logs."""
    if (folder / VALIDATION_SCORES).exists():
        return
    scores: dict[str, Any] = {"tasks": np.array(data.layout.tasks)}
    for chosen, _, rows, logits in _scored(data, folder, "validation"):
        scores[f"{chosen['scenario']}/{chosen['seed']}"] = logits.astype(np.float32)
        scores[f"{chosen['scenario']}/labels"] = rows.labels
    temporary = folder / f".{VALIDATION_SCORES}"
    np.savez(temporary, **scores)
    temporary.rename(folder / VALIDATION_SCORES)


def _scored(
    data: EncodedData, folder: Path, split: str
) -> Iterator[tuple[dict[str, Any], ScenarioTable, Rows, NDArray[np.float64]]]:
    """(entry of validation.json, table, its scenario's rows, their logits [N, T]) of every chosen model."""
    owners = {name: table for table in data.tables.values() for name in table.parts[split]}
    for chosen in read_json(folder / VALIDATION):
        table = owners[chosen["scenario"]]
        rows = table.splits[split].take(table.parts[split][chosen["scenario"]])
        parameters, card = load_model(model_file(folder, chosen["scenario"], chosen["seed"]))
        yield chosen, table, rows, logits_of(card, parameters, data.layout, rows)
