"""One contender of an experiment, start to end: set up or resume, federate, fine-tune, read the test rows once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msmtrec.base.errors import Diverged, UserError
from msmtrec.base.member import Member
from msmtrec.base.packing import own_storage
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.config.contender import Contender
from msmtrec.config.train import TrainSettings
from msmtrec.data.table import EncodedData, Rows, ScenarioTable
from msmtrec.evaluation.metrics import measure
from msmtrec.evaluation.quality import quality
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.journal import ContenderJournal
from msmtrec.experiment.steps import training_size
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation import server
from msmtrec.federation.deck import Deck
from msmtrec.federation.fine_tuning import FineTuning, fine_tune
from msmtrec.federation.memory import Shipment
from msmtrec.federation.rounds import Plan, Standing, federate
from msmtrec.federation.scenario import Site
from msmtrec.methods.base import Method
from msmtrec.models.base import Model
from msmtrec.record.directory import (
    FAILED,
    SCORES,
    VALIDATION,
    VALIDATION_SCORES,
    ended,
    model_file,
    read_json,
    write_json,
    writing,
)
from msmtrec.record.models import ModelCard, load_model, save_model
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.threads import threads_set
from msmtrec.serving.scoring import THREADS, computed_with, logits_of

Progress = Callable[[int, int], None]
"""(rounds done, rounds in all)"""


def run_contender(
    contender: Contender, data: EncodedData, seeds: tuple[int, ...], folder: Path, progress: Progress, threads: int
) -> None:
    """Train one contender and write its folder, and beside it that of its fine-tuned column.

    A finished contender is left alone, an interrupted one continued. `validation.json` is written last and marks a
    folder as finished; `failed.json` stands in its place where training diverged. `threads` are those of a contender
    that does not set its own. Reads training and validation rows only.
    """
    places = column_folders(contender, folder).values()
    if not all(ended(place) for place in places):
        with writing(folder), threads_set(contender.train.threads or threads):
            try:
                _train(contender, data, seeds, folder, progress)
            except Diverged as error:
                for place in places:
                    if not ended(place):
                        place.mkdir(parents=True, exist_ok=True)
                        write_json(place / FAILED, {"sentence": str(error)})
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)


def _train(contender: Contender, data: EncodedData, seeds: tuple[int, ...], folder: Path, progress: Progress) -> None:
    train = contender.train
    model = contender.model.build(data.layout)
    method: Method[Any] = contender.settings.build(model.declare())
    site = _site(contender, data, model, method)
    members = [Member(seed, name) for seed in seeds for name in data.scenarios]
    first = _first_parameters(model, data, seeds, train)
    saved = checkpoints.load(folder / "checkpoint", method.state_type)
    if saved is None:
        shutil.rmtree(folder, ignore_errors=True)
        rows = {name: site.deck.sizes[name] for name in data.scenarios}
        memories = {m: site.begin(m, first[m]) for m in members}
        start = {seed: {n: first[Member(seed, data.scenarios[0])][n] for n in method.common_names()} for seed in seeds}
        standing = Standing({seed: server.begin(method, start[seed], rows) for seed in seeds})
    else:
        ship, standing = Shipment(site.deck.device), saved.standing
        memories = {m: replace(memory, slots=ship(memory.slots)) for m, memory in saved.memories.items()}
    clients = InProcess(site, memories)
    journal = ContenderJournal(folder, clients, train, saved.journal if saved else {})
    example = first[members[0]]
    plan = Plan(
        seeds=seeds,
        scenarios=data.scenarios,
        rounds=train.rounds,
        participation=train.participation,
        max_staleness=train.max_staleness,
        evaluate_before=train.evaluate_before,
        patience=train.patience,
        expected={slot: {n: example[n] for n in method.network(slot)} for slot in method.leaving_slots()},
        tables={name: example[name] for name in site.shared},
    )
    total = train.rounds + (contender.fine_tune.rounds if contender.fine_tune else 0)
    standing = federate(plan, method, clients, standing, journal, lambda done: progress(done, total))
    journal.finish()
    for seed, kept in standing.kept.items():
        checkpoints.save_server(server_file(folder, seed), kept)
    _save_models(contender, contender.name, clients, members, folder)
    if contender.fine_tune:
        done = standing.round
        _fine_tune(contender, clients, members, folder, done, lambda more: progress(train.rounds + more, total))


def _fine_tune(
    contender: Contender,
    clients: InProcess,
    members: list[Member],
    folder: Path,
    last: int,
    progress: Callable[[int], None],
) -> None:
    """The fine-tuned column's folder: local training from the best rounds, which are in `folder`."""
    settings = contender.fine_tune
    assert settings is not None
    column = contender.columns[1]
    place = column_folders(contender, folder)[column]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    names = [path.name for path in folder.glob("*.jsonl")]  # its lines begin with the rounds it is fine-tuned from
    lengths = {Path(name).stem: shutil.copyfile(folder / name, place / name).stat().st_size for name in names}
    journal = ContenderJournal(place, clients, contender.train, lengths)
    local = FineTuning(settings.rounds, settings.patience)
    fine_tune(clients, members, local, last, journal, lambda done: progress(done - last))
    journal.finish()
    _save_models(contender, column, clients, members, place)


def _site(contender: Contender, data: EncodedData, model: Model, method: Method[Any]) -> Site:
    train = contender.train
    sizes = training_size(train, data)
    return Site(
        data=data,
        deck=Deck(data, _dtype(train), _device(train.device)),
        model=model,
        method=method,
        batches={name: size.batch for name, size in sizes.items()},
        steps={name: size.steps for name, size in sizes.items()},
        rate=train.learning_rate,
        decay=train.weight_decay,
        fine_tune_rate=contender.fine_tune.learning_rate if contender.fine_tune else None,
        stack=train.stack,
        held_out_limit=train.held_out_limit,
    )


def _dtype(train: TrainSettings) -> torch.dtype:
    return torch.float32 if train.dtype == "float32" else torch.float64


def _first_parameters(
    model: Model, data: EncodedData, seeds: tuple[int, ...], train: TrainSettings
) -> dict[Member, Parameters]:
    """Each member's first parameters; all but the private tables are one and the same for a federation."""
    found = {}
    for seed in seeds:
        common: Parameters = {}
        for name in data.scenarios:
            drawn = model.initialise(seed, name, data.tables[name].private_rows, _dtype(train), common)
            common = {n: value for n, value in drawn.items() if model.roles()[n] is not Role.EMBEDDING}
            found[Member(seed, name)] = drawn
    return found


def _save_models(contender: Contender, column: str, clients: InProcess, members: list[Member], folder: Path) -> None:
    """Each scenario's model of its best round, and `validation.json`.

    Raises:
        Diverged: a scenario has no validation AUC.
    """
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    chosen = []
    for member in members:
        for scenario, best in clients.memories[member].best.items():
            if math.isnan(best.score):
                raise Diverged(
                    f"scenario '{scenario}', seed {member.seed}, has no validation AUC in any round:"
                    " its training diverged, or its part of the validation rows has one class; lower the learning rate"
                )
            card = _card(contender, column, clients.site, member, scenario, best.round)
            save_model(model_file(folder, scenario, member.seed), own_storage(best.parameters), card)
            chosen.append(
                {
                    "seed": member.seed,
                    "scenario": scenario,
                    "round": best.round,
                    "auc": best.score,
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


def server_file(folder: Path, seed: int) -> Path:
    """Where the server of the best mean validation round is."""
    return folder / "server" / f"seed{seed}.safetensors"


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


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device is cuda but torch sees no CUDA device; set train.device=cpu")
    return torch.device(name)
