"""Made-up rows, drawn afresh in every pass: a chunk's streams come from (seed, scenario, part, number) alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

import polars as pl

from msmtrec.base.streams import numpy_stream
from msmtrec.data.logs import CHUNK, Chunk
from msmtrec.logs.synthetic.bayes import Scored
from msmtrec.logs.synthetic.knobs import Knobs
from msmtrec.logs.synthetic.shapes import Shape
from msmtrec.logs.synthetic.truth import GroundTruth, Values


@dataclass(frozen=True)
class Piece:
    """Rows that are drawn together.

    Args:
        scenario: its number.
        part: as the shape divides a scenario's rows; pieces of a part are numbered from 0.
        start: how many rows the scenario has before these.
    """

    scenario: int
    part: str
    number: int
    start: int
    _: KW_ONLY
    rows: int


class Rows:
    """The rows of all scenarios, in any order and as often as wanted.

    Args:
        knobs: the settings.
        shape: what the rows look like.
        sizes: scenario -> rows.
    """

    def __init__(self, knobs: Knobs, shape: Shape, sizes: dict[str, int]) -> None:
        self.seed, self.shape, self.sizes = knobs.seed, shape, sizes
        self.names = tuple(sizes)
        self.truth = GroundTruth(knobs, shape, self.names)

    def pieces(self, scenario: int, wanted: Sequence[str] | None = None) -> Iterator[Piece]:
        """Of all parts, or of those wanted."""
        before = 0
        for part, rows in self.shape.parts(self.sizes[self.names[scenario]]):
            for number, start in enumerate(range(0, rows, CHUNK)):
                if wanted is None or part in wanted:
                    yield Piece(scenario, part, number, before + start, rows=min(CHUNK, rows - start))
            before += rows

    def draw(self, piece: Piece) -> tuple[pl.DataFrame, Values, Values]:
        """Rows with labels and SPLIT, and the true probabilities behind these: of a click, of a conversion if clicked.

        Features and labels have streams of their own: a knob that changes labels leaves the features as they are.
        """
        keys = (self.names[piece.scenario], piece.part, piece.number)
        random = numpy_stream(self.seed, "synthetic", "rows", *keys)
        inputs = self.shape.draw(random, piece.rows, self.truth.shift(piece.scenario))
        click, conversion = self.truth.of_inputs(inputs, piece.scenario)
        chances = numpy_stream(self.seed, "synthetic", "labels", *keys).random((2, piece.rows))
        clicked = chances[0] < click
        frame = self.shape.frame(inputs, piece.scenario, piece.start).with_columns(
            pl.Series("click", clicked, pl.Int8), pl.Series("conversion", clicked & (chances[1] < conversion), pl.Int8)
        )
        return self.shape.labelled(frame, piece.part), click, conversion

    def stream(self) -> Iterator[Chunk]:
        """All rows, as logs hand them over."""
        for scenario, name in enumerate(self.names):
            for piece in self.pieces(scenario):
                yield name, self.draw(piece)[0]

    def scored(self, at_most: int | None = None, scenarios: int | None = None) -> Iterator[Scored]:
        """Test rows only: for each task the true probability over impressions, and the labels.

        Args:
            at_most: pieces of each scenario; scenarios: how many of them, from the first.
        """
        for scenario, name in list(enumerate(self.names))[:scenarios]:
            for piece in self.pieces(scenario, ("test",)):
                if at_most is None or piece.number < at_most:
                    frame, click, conversion = self.draw(piece)
                    scores = zip(self.shape.tasks, (click, click * conversion), strict=True)
                    yield name, {task.name: (score, frame[task.label].to_numpy()) for task, score in scores}
