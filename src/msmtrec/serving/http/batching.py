"""Requests of one scenario that wait are scored together: a graph costs nearly as much for one row as for fifty."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.plain import Feeds
from msmtrec.serving.http.refused import Refused
from msmtrec.serving.http.scorer import Scorer
from msmtrec.serving.http.settings import Limits
from msmtrec.serving.http.stages import Stages

Scores = list[NDArray[np.float32]]
"""For each task, [N]."""


@dataclass(eq=False)
class _Waiting:
    feeds: Feeds
    rows: int
    stages: Stages
    answer: asyncio.Future[Scores]
    _: KW_ONLY
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """The queue of one scenario, and who works on it.

    Args:
        pool: where graphs are computed, beside the loop that reads requests.
    """

    def __init__(self, scorer: Scorer, limits: Limits, pool: Executor, metrics: Metrics) -> None:
        self.scorer, self.limits, self._pool, self._metrics = scorer, limits, pool, metrics
        self._waiting: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._workers = [asyncio.create_task(self._work()) for _ in range(limits.threads)]

    async def score(self, feeds: Feeds, rows: int, stages: Stages) -> Scores:
        """The scores of one request's rows.

        Raises:
            Refused: too many requests wait, or its time is over.
            UserError: its rows cannot be computed.
        """
        if len(self._waiting) >= self.limits.queue:
            raise Refused(503, f"{self.limits.queue} requests wait already; try again in a second", "queue", 1)
        one = _Waiting(feeds, rows, stages, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._filled.set()
        self._metrics.queue(self.scorer.scenario, len(self._waiting))
        try:
            async with asyncio.timeout(self.limits.timeout - stages.total):
                return await one.answer
        except TimeoutError:
            with suppress(ValueError):  # it is being scored
                self._waiting.remove(one)
            sentence = f"no scores within {self.limits.timeout:g} seconds; send fewer rows, or try again later"
            raise Refused(504, sentence, "timeout") from None

    @property
    def works(self) -> bool:
        """Whether somebody works on the queue."""
        return not any(worker.done() for worker in self._workers)

    async def close(self) -> None:
        """Nobody works on it any more."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            batch = await self._next()
            began = time.perf_counter()
            for one in batch:
                one.stages.add("wait", began - one.since)
            found = await asyncio.get_running_loop().run_in_executor(self._pool, _scored, self.scorer, batch)
            spent = time.perf_counter() - began
            self._metrics.batch(len(batch), sum(one.rows for one in batch))
            for one, scores in zip(batch, found, strict=True):
                one.stages.add("score", spent)
                if one.answer.done():
                    continue  # its time is over
                if isinstance(scores, UserError):
                    one.answer.set_exception(scores)
                else:
                    one.answer.set_result(scores)

    async def _next(self) -> list[_Waiting]:
        """What is scored together next: at least one request."""
        while True:
            await self._filled.wait()
            if self.limits.batch_wait:
                await asyncio.sleep(self.limits.batch_wait)
            batch: list[_Waiting] = []
            rows = 0
            while self._waiting and (not batch or rows + self._waiting[0].rows <= self.limits.batch_rows):
                batch.append(self._waiting.popleft())
                rows += batch[-1].rows
            if not self._waiting:
                self._filled.clear()
            self._metrics.queue(self.scorer.scenario, len(self._waiting))
            if batch:
                return batch


def _scored(scorer: Scorer, batch: list[_Waiting]) -> list[Scores | UserError]:
    """The scores of each request; where all together cannot be computed, of each by itself."""
    try:
        found = scorer.run(_together([one.feeds for one in batch]))
    except UserError as error:
        return [error] if len(batch) == 1 else [part for one in batch for part in _scored(scorer, [one])]
    ends = np.cumsum([one.rows for one in batch])
    return list(_parts(found, ends))


def _parts(found: Scores, ends: NDArray[np.int64]) -> Iterable[Scores]:
    start = 0
    for end in ends.tolist():
        yield [scores[start:end] for scores in found]
        start = end


def _together(feeds: list[Feeds]) -> Feeds:
    if len(feeds) == 1:
        return feeds[0]
    return {name: np.concatenate([one[name] for one in feeds]) for name in feeds[0]}
