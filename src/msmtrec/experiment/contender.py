"""One contender of an experiment, start to end: set up or resume, federate, fine-tune, read the test rows once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.config.parse import Contender
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure, measure
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.scoring import THREADS, computed_with, logits_of
from msmtrec.experiment.steps import batch_sizes, local_steps
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation.checkpoint import Checkpoint
from msmtrec.federation.fine_tuning import FineTuning, fine_tune
from msmtrec.federation.member import ClientState
from msmtrec.federation.rounds import Plan, federate
from msmtrec.federation.server import ServerState
from msmtrec.federation.stack import Optimiser
from msmtrec.record.directory import Lines, metric_records, model_file, read_json, write_json, writing
from msmtrec.record.models import ModelCard, load_model, save_model
from msmtrec.runtime.in_process import InProcess

Progress = Callable[[int, int], None]
"""(rounds done, rounds in all)"""


def run_contender(
    contender: Contender, data: EncodedData, seeds: tuple[int, ...], folder: Path, progress: Progress, threads: int
) -> None:
    """Train one contender and write its folder; a finished contender is left alone, an interrupted one continued.

    `threads` are those of a contender that does not set its own. Reads training and validation rows only.
    `validation.json` is written last and marks the contender as finished.
    """
    if not (folder / "validation.json").exists():
        with writing(folder):
            _train(contender, data, seeds, folder, progress, threads)


def _train(
    contender: Contender, data: EncodedData, seeds: tuple[int, ...], folder: Path, progress: Progress, threads: int
) -> None:
    train = contender.train
    torch.set_num_threads(train.threads or threads)
    model = contender.model.build(data.layout)
    method = contender.settings.build(model.declare())
    dtype = torch.float32 if train.dtype == "float32" else torch.float64
    members = [Member(seed, name) for seed in seeds for name in data.scenarios]
    batches = batch_sizes(train, data)
    steps = local_steps(train, data, batches)
    optimiser = Optimiser(train.learning_rate, train.weight_decay, method.penalties)

    first: dict[Member, Parameters] = {
        m: model.initialise(m.seed, m.scenario, data.tables[m.scenario].private_rows, dtype) for m in members
    }
    leaving = [d.name for d in method.leaving()]
    common = {seed: {n: first[Member(seed, data.scenarios[0])][n] for n in leaving} for seed in seeds}
    saved = checkpoints.load(folder / "checkpoint")
    if saved is None:
        shutil.rmtree(folder, ignore_errors=True)
        states = {m: _with_anchors(ClientState.fresh(first[m]), method.penalties, model.roles()) for m in members}
        servers = {seed: ServerState(method.init(common[seed])) for seed in seeds}
    else:
        states, servers = saved.clients, saved.servers
    clients = InProcess(
        data,
        model,
        method,
        optimiser,
        states,
        batches,
        steps,
        train.stack,
        train.held_out_limit,
        _device(train.device),
        saved.best if saved else {},
        saved.round if saved else 0,
    )
    journal = ContenderJournal(folder, clients, saved.journal if saved else {})
    plan = Plan(
        seeds,
        data.scenarios,
        train.rounds,
        train.participation,
        train.max_staleness,
        train.evaluate_before,
        train.patience,
    )
    total = train.rounds + (contender.fine_tune.rounds if contender.fine_tune else 0)
    federate(
        plan,
        method,
        clients,
        servers,
        common,
        journal,
        clients.rounds_done + 1,
        lambda done: progress(done, total),
    )
    if contender.fine_tune:
        rate = contender.fine_tune.learning_rate or train.learning_rate
        local = FineTuning(
            contender.fine_tune.rounds, contender.fine_tune.patience, Optimiser(rate, train.weight_decay)
        )
        last = clients.rounds_done
        fine_tune(clients, members, local, last, journal, lambda done: progress(train.rounds + done - last, total))
    journal.finish()
    _save_models(contender, clients, members, folder)


def _with_anchors(state: ClientState, penalties: Mapping[Any, float], roles: Mapping[str, Any]) -> ClientState:
    anchors = {name: value.clone() for name, value in state.parameters.items() if penalties.get(roles[name])}
    return ClientState(state.parameters, state.first, state.second, anchors=anchors)


class ContenderJournal:
    """Implements `rounds.Journal` in a contender's folder."""

    def __init__(self, folder: Path, clients: InProcess, lengths: Mapping[str, int]) -> None:
        self.folder, self.clients = folder, clients
        self.lines = {name: Lines(folder / f"{name}.jsonl", lengths.get(name, 0)) for name in ("metrics", "rounds")}

    def metrics(self, round_number: int, stage: str, split: str, found: Mapping[Member, list[Measure]]) -> None:
        for record in metric_records(round_number, stage, split, found):
            self.lines["metrics"].append(record)

    def round(self, record: Mapping[str, Any]) -> None:
        self.lines["rounds"].append(record)

    def checkpoint(self, round_number: int, servers: Mapping[int, ServerState]) -> None:
        lengths = {name: lines.commit() for name, lines in self.lines.items()}
        clients = self.clients
        checkpoints.save(
            self.folder / "checkpoint",
            Checkpoint(round_number, dict(servers), clients.states, clients.best, lengths),
        )

    def finish(self) -> None:
        for lines in self.lines.values():
            lines.commit()
            lines.close()


def _save_models(contender: Contender, clients: InProcess, members: list[Member], folder: Path) -> None:
    """Each scenario's model of its best round."""
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    chosen = []
    for member in members:
        for scenario in clients.data.tables[member.scenario].parts["validation"]:
            best = clients.best[Member(member.seed, scenario)]
            if math.isnan(best.score):
                raise UserError(
                    f"{folder.name}: scenario '{scenario}', seed {member.seed}, has no validation AUC in any round:"
                    " its training diverged, or its part of the validation rows has one class; lower the learning rate"
                )
            tensors = {n: p.clone().contiguous() for n, p in best.parameters.items()}
            card = _card(contender, clients, member, scenario, best.round)
            save_model(model_file(folder, scenario, member.seed), tensors, card)
            chosen.append({"seed": member.seed, "scenario": scenario, "round": best.round, "auc": best.score})
    write_json(folder / "validation.json", chosen)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)


def _card(contender: Contender, clients: InProcess, member: Member, scenario: str, round_number: int) -> ModelCard:
    return ModelCard(
        contender=contender.name,
        candidate=contender.candidate,
        method=contender.method,
        scenario=scenario,
        seed=member.seed,
        round=round_number,
        network=contender.model.model_dump(mode="json"),
        variant=variant(contender),
        table=member.scenario,
        fingerprint=clients.data.fingerprint,
        tasks=clients.data.layout.tasks,
        roles={name: str(role) for name, role in clients.model.roles().items()},
    )


def read_test_rows(data: EncodedData, folder: Path) -> None:
    """The only place that touches test rows: metrics and scores of the chosen models, once."""
    if (folder / "test.json").exists():
        return
    records: list[dict[str, Any]] = []
    scores: dict[str, Any] = {THREADS: computed_with()}
    owners = {name: table for table in data.tables.values() for name in table.parts["test"]}
    for chosen in read_json(folder / "validation.json"):
        scenario, seed = chosen["scenario"], chosen["seed"]
        table = owners[scenario]
        rows = table.splits["test"].take(table.parts["test"][scenario])
        parameters, card = load_model(model_file(folder, scenario, seed))
        logits = logits_of(card, parameters, data.layout, rows)
        found = measure(scenario, data.schema.task_names, data.schema.has_task(table.scenario), logits, rows.labels)
        records += [{"seed": seed, "round": chosen["round"], **m.as_dict()} for m in found]
        scores[f"{scenario}/{seed}"] = logits.astype(np.float32)
        scores[f"{scenario}/labels"], scores[f"{scenario}/group"] = rows.labels, rows.group
    np.savez(folder / "scores.npz", **scores)
    write_json(folder / "test.json", records)


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device is cuda but torch sees no CUDA device; set train.device=cpu")
    return torch.device(name)
