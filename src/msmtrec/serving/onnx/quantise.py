"""Graphs with 8-bit weights, and what they lose on real rows.

`tables`: embedding tables are kept as 8-bit integers with one scale each, and made floats row by row where they are
looked up. `all`: matrix products are computed in 8 bits too; their inputs are scaled by the batch they are in (dynamic
quantisation), so that a row's probability depends a little on the rows beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxscript import optimizer

from msmtrec.base.errors import UserError
from msmtrec.evaluation.metrics import auc
from msmtrec.serving.labelled import LabelledRows
from msmtrec.serving.onnx.inputs import Input, feeds

OPERATORS = {"tables": ["Gather"], "all": ["Gather", "MatMul"]}
"""What is quantised -> operators whose constants become 8-bit integers."""
_ANY = 1 << 40
"""Constants of any size are worked out."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A graph and its quantised form on the same rows.

    Args:
        rows: which, in words.
        count: how many.
        bytes: of the two graphs.
        auc: task -> of the two, None where the labelled rows have one class.
        furthest: the largest difference between two probabilities.
    """

    rows: str
    count: int
    bytes: tuple[int, int]
    auc: Mapping[str, tuple[float | None, float | None]]
    furthest: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "measured_on": self.rows,
            "rows": self.count,
            "bytes": {"float": self.bytes[0], "quantised": self.bytes[1]},
            "auc": {task: {"float": one, "quantised": two} for task, (one, two) in self.auc.items()},
            "largest_difference": self.furthest,
        }


def quantised(network: onnx.ModelProto, what: str) -> onnx.ModelProto:
    """The network's graph with 8-bit weights; `what` is one of OPERATORS."""
    given = _constants_on_the_right(network) if what == "all" else network
    with TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "network.onnx"
        quantize_dynamic(given, path, weight_type=QuantType.QInt8, op_types_to_quantize=OPERATORS[what])
        return onnx.load(path)


def measure(
    models: tuple[onnx.ModelProto, onnx.ModelProto], inputs: Mapping[str, Input], rows: LabelledRows
) -> Measured:
    """Both graphs on labelled rows.

    Raises:
        UserError: as `LabelledRows.chunks`; no task has rows of both classes.
    """
    contents = [model.SerializeToString() for model in models]
    sessions = [onnxruntime.InferenceSession(content) for content in contents]
    truth, scores = [], []
    for frame, labels in rows.chunks():
        given = feeds(inputs, frame)
        truth.append(labels)
        scores.append([np.stack(session.run(None, given), 1) for session in sessions])
    labels = np.concatenate(truth) if truth else np.empty((0, len(rows.predictor.tasks)), np.float32)
    found = [np.concatenate([pair[n] for pair in scores]) if scores else np.empty(labels.shape) for n in (0, 1)]
    areas = {
        task: (_auc(found[0][:, t], labels[:, t]), _auc(found[1][:, t], labels[:, t]))
        for t, task in enumerate(rows.predictor.tasks)
    }
    if all(one is None for one, _ in areas.values()):
        raise UserError(f"{rows.origin} have no task with both classes, so that no AUC can be measured; give others")
    furthest = float(np.abs(found[0] - found[1]).max())
    return Measured(
        rows=rows.origin,
        count=len(labels),
        bytes=(len(contents[0]), len(contents[1])),
        auc=areas,
        furthest=furthest,
    )


def _auc(scores: NDArray[Any], labels: NDArray[Any]) -> float | None:
    known = ~np.isnan(labels)
    found = auc(scores[known], labels[known])
    return None if np.isnan(found) else found


def _constants_on_the_right(network: onnx.ModelProto) -> onnx.ModelProto:
    """W·X written as (Xᵀ·Wᵀ)ᵀ: onnxruntime quantises a constant on the right of a product only."""
    found = onnx.ModelProto()
    found.CopyFrom(network)
    optimizer.fold_constants(found, input_size_limit=_ANY, output_size_limit=_ANY)  # weights that are reshaped
    constants = {one.name: one for one in found.graph.initializer}
    turned: dict[str, onnx.TensorProto] = {}
    nodes = []
    for node in found.graph.node:
        if node.op_type != "MatMul" or node.input[0] not in constants:
            nodes.append(node)
            continue
        weights = numpy_helper.to_array(constants[node.input[0]])
        name, result = f"{node.input[0]}_turned", node.output[0]
        turned[name] = numpy_helper.from_array(np.ascontiguousarray(weights.swapaxes(-1, -2)), name)
        order = [*range(max(weights.ndim, 3) - 2), max(weights.ndim, 3) - 1, max(weights.ndim, 3) - 2]
        nodes += [
            helper.make_node("Transpose", [node.input[1]], [f"{result}_given"], f"{node.name}_given", perm=order),
            helper.make_node("MatMul", [f"{result}_given", name], [f"{result}_found"], node.name),
            helper.make_node("Transpose", [f"{result}_found"], [result], f"{node.name}_found", perm=order),
        ]
    used = {name for node in nodes for name in node.input}
    kept = [one for one in found.graph.initializer if one.name in used]
    del found.graph.node[:], found.graph.initializer[:]
    found.graph.node.extend(nodes)
    found.graph.initializer.extend([*kept, *turned.values()])
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that onnxruntime logs for pictures."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
