"""A scenario's half of a deployed experiment: its rows, models and memories stay in its own run directory."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msmtrec.base.errors import Diverged, UserError
from msmtrec.base.version import __version__
from msmtrec.deployed.messages import (
    Answer,
    Asked,
    Begin,
    Do,
    End,
    Ended,
    Keep,
    Kept,
    Key,
    Know,
    Known,
    Refused,
    Score,
    Scored,
    Weigh,
    Weighed,
)
from msmtrec.deployed.node_run import NodeRun
from msmtrec.deployed.standing import NodeStanding
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.described import unit_of
from msmtrec.experiment.here import begun
from msmtrec.experiment.keeping import keep_scores, save_models
from msmtrec.experiment.known import halves
from msmtrec.experiment.sites import site_on
from msmtrec.federation import checkpoint as snapshots
from msmtrec.record.directory import (
    RESULTS,
    SCORES,
    TEST,
    VALIDATION,
    VALIDATION_SCORES,
    contender_folder,
    read_json,
    write_json,
)
from msmtrec.record.summary import Finished, Tables, reference_of, summarise
from msmtrec.runtime.threads import threads_set
from msmtrec.statistics.encoded import Known as KnownOfRows
from msmtrec.statistics.encoded import Statistics, with_statistics
from msmtrec.statistics.exchange import Half, Said, answered, known_of, step

log = logging.getLogger("msmtrec.node")
STATE = "state"
"""In a contender's folder while the run goes on: what was heard before the first round, memories after exchanges."""
BEGIN = ".begin"
"""What the server began the run with."""
KNOWN = "known"
"""In the state: the question after which a scenario knew all."""


class Node:
    """Answers what a server asks. Killed, and made anew on its folder, it answers alike.

    Args:
        folder: its run directory.
        data: the section `data` of its own config.
        scenarios: that it has.
        cache: where encoded rows are kept; None keeps them in memory.
    """

    def __init__(
        self, folder: Path, data: Mapping[str, Any], scenarios: tuple[str, ...], cache: Path | None = None
    ) -> None:
        self.folder, self.data, self.scenarios, self.cache = folder, data, scenarios, cache
        self._run: NodeRun | None = None
        self._training: tuple[Key, NodeStanding] | None = None
        self._halves: tuple[Key, int, dict[str, Half[Any]]] | None = None

    def __call__(self, asked: Asked) -> Answer:
        """Never raises: what went wrong is the answer, and in full in this node's log."""
        try:
            return self._answer(asked)
        except Diverged as error:
            return Refused("diverged", str(error))
        except UserError as error:
            log.error("%s", error)
            return Refused("user", self._sentence("cannot go on; its log says why"))
        except Exception:
            log.exception("a fault")
            return Refused("fault", self._sentence("met a fault; its log has it"))

    def _sentence(self, what: str) -> str:
        """Nothing of what a row may hold leaves with a sentence."""
        names = ", ".join(f"'{name}'" for name in self.scenarios)
        return f"the node of {'scenario' if len(self.scenarios) == 1 else 'scenarios'} {names} {what}"

    def _answer(self, asked: Asked) -> Answer:
        if isinstance(asked, Begin):
            return self._begin(asked)
        if isinstance(asked, Weigh):
            return self._weigh(asked)
        if isinstance(asked, End):
            return self._end(asked)
        run = self.run
        contender = run.contender(asked.key)
        with threads_set(contender.train.threads or run.threads):
            if isinstance(asked, Know):
                return self._know(asked)
            if isinstance(asked, Do):
                return self._standing(asked.key).do(asked)
            return self._keep(asked) if isinstance(asked, Keep) else self._score(asked)

    @property
    def after(self) -> int:
        """The exchange that its memories stand after."""
        return self._training[1].after if self._training else 0

    @property
    def run(self) -> NodeRun:
        """As it was begun, in an earlier process too."""
        if self._run is None:
            place = self.folder / BEGIN
            if not place.exists():
                raise UserError(f"{self.folder} has no run that was begun")
            begin = snapshots.read(place, Begin)
            self._run = NodeRun.open(self.folder, self.data, self.scenarios, begin, self.cache)
        return self._run

    def _begin(self, asked: Begin) -> Answer:
        if asked.version != __version__:
            return Refused(
                "user", self._sentence(f"has msmtrec {__version__}, the server {asked.version}; install the same")
            )
        self._training = self._halves = None
        self._run = NodeRun.open(self.folder, self.data, self.scenarios, asked, self.cache)
        snapshots.write(self.folder / BEGIN, asked)
        return self._run.facts()

    def _state(self, key: Key) -> Path:
        return self.run.folder_of(key) / STATE

    def _know(self, asked: Know) -> Known:
        """The next step, of halves that are still there or of new ones that hear all once more."""
        data, heard, kept = self.run.rows_of(self.run.contender(asked.key)), asked.heard, self._halves
        if kept is not None and kept[:2] == (asked.key, len(heard) - 1):
            going = kept[2]
            found = {name: step(half, heard[-1]) for name, half in going.items()}
        else:
            going, found = self._answered(asked)
        if said := {name: one for name, one in found.items() if isinstance(one, Said)}:
            self._halves = asked.key, len(heard), going
            return Known(said)
        self._halves = None
        snapshots.write(self._state(asked.key) / KNOWN, asked)
        site = self._ready(asked, known_of(found)).clients.site
        known = site.statistics.known if site.statistics else {}
        return Known(
            {},
            {name: site.deck.counted[name] for name in data.scenarios},
            {name: own.sent for name, own in known.items()},
            next((own.more for own in known.values()), 0),
        )

    def _answered(self, asked: Know) -> tuple[dict[str, Half[Any]], dict[str, Any]]:
        """(halves that have heard all so far, what they say next or know)"""
        contender = self.run.contender(asked.key)
        going = halves(contender, self.run.rows_of(contender))
        return going, {name: answered(half, asked.heard) for name, half in going.items()}

    def _ready(self, asked: Know, known: Mapping[str, KnownOfRows]) -> NodeStanding:
        """Before the first exchange."""
        contender = self.run.contender(asked.key)
        data, statistics = self.run.rows_of(contender), None
        if known:
            statistics = Statistics(data.layout, known)
            data = with_statistics(data, statistics)
        clients = begun(contender, site_on(contender, data, statistics, asked.rows), self.run.config.seeds)
        standing = NodeStanding(clients, self._state(asked.key))
        self._training = asked.key, standing
        return standing

    def _standing(self, key: Key) -> NodeStanding:
        """Of the training that is going on, also after a kill."""
        if self._training is not None and self._training[0] == key:
            return self._training[1]
        place = self._state(key) / KNOWN
        if not place.exists():
            raise UserError(f"{self.folder}: '{key.contender}' was not begun here")
        asked = snapshots.read(place, Know)
        return self._ready(asked, known_of(self._answered(asked)[1]))

    def _keep(self, asked: Keep) -> Kept:
        contender, standing = self.run.contender(asked.key), self._standing(asked.key)
        standing.stand(asked.after)
        place = column_folders(contender, self.run.folder_of(asked.key))[asked.column]
        for name in (TEST, SCORES, VALIDATION_SCORES):  # of other models, where a run was begun anew
            (place / name).unlink(missing_ok=True)
        chosen = save_models(contender, asked.column, standing.clients, standing.members(), place)
        write_json(place / VALIDATION, chosen)
        return Kept(json.dumps(chosen))

    def _score(self, asked: Score) -> Scored:
        contender = self.run.contender(asked.key)
        place = column_folders(contender, self.run.folder_of(asked.key))[asked.column]
        keep_scores(self.run.rows_of(contender), place)
        return Scored(json.dumps(read_json(place / TEST)))

    def _weigh(self, asked: Weigh) -> Weighed:
        columns, schema = self._columns(asked.chosen), next(iter(self.run.data.values())).schema
        return Weighed(Tables.of(columns).evidence(columns, schema.task_names, reference_of(columns)))

    def _end(self, asked: End) -> Ended:
        """The table of its own lines: what scores that never leave can say. The models can be used from now on."""
        run, schema = self.run, next(iter(self.run.data.values())).schema
        results = summarise(run.config.name, self._columns(asked.chosen), schema.task_names, (), unit_of(schema.group))
        write_json(self.folder / RESULTS, results.as_dict())
        for key in self._keys():
            shutil.rmtree(self._state(key), ignore_errors=True)
        self._training = self._halves = None
        return Ended()

    def _columns(self, chosen: Mapping[str, str]) -> dict[str, Finished]:
        kinds = {column: one.kind for own in self.run.config.contenders for one in own for column in one.columns}
        return {
            column: Finished(contender_folder(self.folder, column, candidate), candidate, kinds[column])
            for column, candidate in chosen.items()
        }

    def _keys(self) -> Iterator[Key]:
        for candidates in self.run.config.contenders:
            yield from (Key(contender.name, contender.candidate) for contender in candidates)
