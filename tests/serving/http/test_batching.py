"""The queue of a scenario: who is scored together, and who is told to come again. The scorer is a stub that counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from msmtrec.base.errors import UserError
from msmtrec.serving.http.batching import Batcher
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.refused import Refused
from msmtrec.serving.http.settings import Limits
from msmtrec.serving.http.stages import Stages


class Doubling:
    """Scores are twice the value; a negative value cannot be computed. Waits until it may go on."""

    scenario = "NL"

    def __init__(self) -> None:
        self.go, self.batches = threading.Event(), list[list[float]]()

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.go.wait(10)
        values = feeds["x"]
        self.batches.append(values.tolist())
        if (values < 0).any():
            raise UserError("negative")
        return [values * 2, values * 3]


def with_batcher(limits: Limits, story: Callable[[Batcher, Doubling], Awaitable[None]]) -> Metrics:
    async def run() -> Metrics:
        scorer, metrics = Doubling(), Metrics()
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(scorer, limits, pool, metrics)  # type: ignore[arg-type]
            try:
                await asyncio.wait_for(story(batcher, scorer), 20)
            finally:
                scorer.go.set()
                await batcher.close()
        assert not batcher.works
        return metrics

    return asyncio.run(run())


def asked(batcher: Batcher, *values: float) -> asyncio.Task[Any]:
    feeds = {"x": np.array(values, np.float32)}
    return asyncio.create_task(batcher.score(feeds, len(values), Stages()))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0.01)


LIMITS = Limits(batch_rows=4, queue=3)


def test_those_who_wait_are_scored_together_up_to_so_many_rows() -> None:
    async def story(batcher: Batcher, scorer: Doubling) -> None:
        first = asked(batcher, 1)
        await settled()
        others = [asked(batcher, 2, 3), asked(batcher, 4), asked(batcher, 5, 6)]
        await settled()
        scorer.go.set()
        found = await asyncio.gather(first, *others)
        assert scorer.batches == [[1], [2, 3, 4], [5, 6]]
        assert [scores[1].tolist() for scores in found] == [[3], [6, 9], [12], [15, 18]]
        assert (await asked(batcher, *range(9)))[0].tolist() == [2 * n for n in range(9)]  # one alone may have more

    text = with_batcher(LIMITS, story).text().decode()
    assert 'msmtrec_batch_requests_bucket{le="1.0"} 3.0' in text
    assert 'msmtrec_batch_requests_bucket{le="2.0"} 4.0' in text
    assert 'msmtrec_queue_depth{scenario="NL"} 0.0' in text


def test_one_that_fails_does_not_fail_its_neighbours() -> None:
    async def story(batcher: Batcher, scorer: Doubling) -> None:
        first = asked(batcher, 1)
        await settled()
        good, bad, also = asked(batcher, 2), asked(batcher, -1), asked(batcher, 3)
        await settled()
        scorer.go.set()
        assert (await good)[0].tolist() == [4]
        assert (await also)[0].tolist() == [6]
        with pytest.raises(UserError, match="negative"):
            await bad
        await first
        assert batcher.works

    with_batcher(LIMITS, story)


def test_a_full_queue_refuses_and_time_that_is_over_is_over() -> None:
    async def story(batcher: Batcher, scorer: Doubling) -> None:
        first = asked(batcher, 1)
        await settled()
        waiting = [asked(batcher, n) for n in (2, 3, 4)]
        await settled()
        with pytest.raises(Refused, match="3 requests wait already") as refused:
            await asked(batcher, 5)
        assert (refused.value.status, refused.value.later) == (503, 1)
        for one in (first, *waiting):
            with pytest.raises(Refused, match=r"no scores within 0\.3 seconds") as late:
                await one
            assert late.value.status == 504
        scorer.go.set()
        assert (await asked(batcher, 6))[0].tolist() == [12]
        assert scorer.batches == [[1], [6]]  # nobody computes for those who have left

    with_batcher(replace(LIMITS, timeout=0.3), story)


def test_the_first_may_wait_for_others() -> None:
    async def story(batcher: Batcher, scorer: Doubling) -> None:
        scorer.go.set()
        first = asked(batcher, 1)
        await asyncio.sleep(0.05)
        second = asked(batcher, 2)
        await asyncio.gather(first, second)
        assert scorer.batches == [[1, 2]]

    with_batcher(replace(LIMITS, batch_wait=0.3), story)
