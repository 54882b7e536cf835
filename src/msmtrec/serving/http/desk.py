"""Which model answers, and how a newer one takes its place without a request being dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.serving.http.batching import Batcher
from msmtrec.serving.http.graphs import Maker
from msmtrec.serving.http.journal import LOGGER, complain, say
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.refused import Refused
from msmtrec.serving.http.served import Plan, Served
from msmtrec.serving.http.settings import Settings


class Open:
    """A model that answers, and the requests that hold on to it."""

    def __init__(self, served: Served, batchers: dict[str, Batcher]) -> None:
        self.served, self.batchers = served, batchers
        self.users = 0
        self.left = asyncio.Event()

    @property
    def lame(self) -> list[str]:
        """Scenarios that nobody works on any more."""
        return [name for name, batcher in self.batchers.items() if not batcher.works]


class Desk:
    """Holds the model that answers.

    A request takes hold of it once and keeps it until its answer is written, so that no answer is of two models; the
    old one is let go when the last request that holds it is answered.
    """

    def __init__(self, settings: Settings, metrics: Metrics, give_up: Callable[[], None] = lambda: None) -> None:
        self.settings, self.metrics = settings, metrics
        self.current: Open | None = None
        self.missing: list[str] = []
        self.failure: dict[str, str] | None = None
        self.error: BaseException | None = None
        self._give_up = give_up
        self._pool = ThreadPoolExecutor(settings.limits.threads, thread_name_prefix="score")
        self._maker = Maker()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Load the first model; where that is impossible, `error` says why and the server is told to give up."""
        self._later(self._first())

    def reload_later(self) -> None:
        """`reload` without anybody who waits for it."""
        self._later(self._reload_quietly())

    async def reload(self) -> bool:
        """Open the run again, beside the old one, and let it answer; False where it is the one that answers already.

        Raises:
            UserError: it cannot be loaded, or not take the old one's place, which goes on.
        """
        async with self._lock:
            sentence: str | None = "the server failed; its log says more"
            try:
                swapped = await self._reload()
                sentence = None
            except UserError as error:
                sentence = str(error)
                raise
            except asyncio.CancelledError:  # the server stops
                sentence = None
                raise
            finally:
                self._say_of_reload(sentence)
            self.metrics.reload("swapped" if swapped else "same")
            return swapped

    def _say_of_reload(self, failure: str | None) -> None:
        """In /ready, and where it failed in metrics and log."""
        self.failure = None
        if failure is not None:
            self.failure = {"error": failure, "time": datetime.now(UTC).isoformat(timespec="seconds")}
            self.metrics.reload("failed")
            complain("reload failed", reason=failure)

    @contextmanager
    def using(self) -> Iterator[Open]:
        """The model that answers now.

        Raises:
            Refused: there is none yet.
        """
        current = self.current
        if current is None:
            raise Refused(503, "the models are still being loaded; try again when /ready says so", "not ready", 5)
        current.users += 1
        try:
            yield current
        finally:
            current.users -= 1
            if not current.users and current is not self.current:
                current.left.set()

    async def close(self) -> None:
        """Nothing is loaded or scored any more."""
        self._maker.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.current is not None:
            for batcher in self.current.batchers.values():
                await batcher.close()
        self._pool.shutdown()

    async def _first(self) -> None:
        try:
            plan = await asyncio.to_thread(Plan.of, self.settings)
            self._open(await self._load(plan))
        except UserError as error:  # said by who gives up
            self.error = error
            self._give_up()

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except UserError:
            return  # it has been logged

    async def _reload(self) -> bool:
        if self.current is None:
            raise UserError("the first models are still being loaded; reload when /ready says so")
        old = self.current
        plan = await asyncio.to_thread(Plan.of, self.settings)
        if (plan.digest, plan.run.folder) == (old.served.digest, old.served.folder):
            say("reload changed nothing", model=old.served.digest, run=old.served.folder.name)
            return False
        await asyncio.to_thread(plan.check_succeeds, old.served)
        self._open(await self._load(plan))
        self._later(self._let_go(old))
        return True

    async def _load(self, plan: Plan) -> Served:
        self.missing = list(plan.digests)

        def load() -> Served:
            plan.export(self._maker, lambda scenario: say("exported", scenario=scenario))
            return plan.load(self.missing.remove)

        try:
            return await asyncio.to_thread(load)
        finally:
            self.missing = []

    def _open(self, served: Served) -> None:
        limits, pool, metrics = self.settings.limits, self._pool, self.metrics
        batchers = {name: Batcher(scorer, limits, pool, metrics) for name, scorer in served.scorers.items()}
        self.current = Open(served, batchers)
        metrics.model(served.identity)
        say("ready", model=served.digest, run=served.folder.name, contender=served.contender)

    async def _let_go(self, old: Open) -> None:
        if old.users:
            await old.left.wait()
        for batcher in old.batchers.values():
            await batcher.close()
        say("old model let go", model=old.served.digest, run=old.served.folder.name)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOGGER.error("a task of the server failed", exc_info=error)
            if self.current is None:
                self.error = error
                self._give_up()
