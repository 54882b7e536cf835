"""Whole graphs, float beside 8-bit: seconds for 1, 100, 1,000 and 10,000 rows, as ratios to float.

    python benchmarks/quantised_speed.py RUN SCENARIO [CONTENDER]

The run's test rows are read again from its logs. Forms take turns, so that a busy machine slows all of them; the
figure is the median.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

import onnxruntime
import polars as pl

import msmtrec
from msmtrec.serving.labelled import LabelledRows
from msmtrec.serving.onnx.export import to_onnx, to_quantised
from msmtrec.serving.onnx.inputs import feeds

THREADS, SIZES = 2, (1, 100, 1_000, 10_000)


def main(run: str, scenario: str, contender: str | None = None) -> None:
    finished = msmtrec.load(run)
    predictor = finished.predictor(scenario, contender=contender)
    rows = LabelledRows(finished, predictor)
    model, inputs = to_onnx(predictor)
    graphs = {"float": model}
    for what in ("tables", "all"):
        graphs[what], _, measured = to_quantised(predictor, what, rows)
        print(what, measured.as_dict())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    sessions = {
        name: onnxruntime.InferenceSession(graph.SerializeToString(), options) for name, graph in graphs.items()
    }
    frame = pl.concat([found for found, _ in rows.chunks()])
    for size in SIZES:
        given = feeds(inputs, frame[:size])
        seconds: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(max(15, min(500, 30_000 // size))):
            for name, session in sessions.items():
                start = perf_counter()
                session.run(None, given)
                seconds[name].append(perf_counter() - start)
        middle = {name: median(found) for name, found in seconds.items()}
        ratios = ", ".join(f"{name} {middle[name] / middle['float']:.2f}" for name in ("tables", "all"))
        print(f"{size:,} rows: float {1e3 * middle['float']:.3f} ms; times as long: {ratios}")


if __name__ == "__main__":
    main(*sys.argv[1:])
