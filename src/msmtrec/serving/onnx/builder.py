"""Nodes of an ONNX graph, written like function calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, OPSET_ML = 20, 4
"""String operators came with 20; LabelEncoder is of the ML operators."""
ML = "ai.onnx.ml"
KINDS = {
    "text": TensorProto.STRING,
    "integer": TensorProto.INT64,
    "number": TensorProto.DOUBLE,
    "vector": TensorProto.DOUBLE,
}


class Graph:
    """A graph that grows node by node; every method returns the name of what it computes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.constants: list[onnx.TensorProto] = []

    def input(self, name: str, kind: str, width: int | None = None) -> str:
        """A column of raw rows: [rows], or [rows, width]."""
        shape: list[str | int] = ["rows"] if width is None else ["rows", width]
        self.inputs.append(helper.make_tensor_value_info(name, KINDS[kind], shape))
        return name

    def constant(self, values: NDArray[Any] | list[str]) -> str:
        name = f"constant_{len(self.constants)}"
        array = np.array(values, object) if isinstance(values, list) else values
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, domain=domain, **attributes))
        return name

    def number(self, value: int) -> str:
        return self.constant(np.array([value], np.int64))

    def real(self, value: float) -> str:
        return self.constant(np.array([value], np.float64))

    def text(self, value: str) -> str:
        return self.constant([value])

    def any_of(self, conditions: list[str]) -> str:
        found = conditions[0]
        for condition in conditions[1:]:
            found = self("Or", found, condition)
        return found

    def look_up(self, texts: str, ids: dict[str, int], otherwise: int) -> str:
        """Texts of any shape -> int64."""
        keys, values = list(ids), list(ids.values())
        return self("LabelEncoder", texts, domain=ML, keys_strings=keys, values_int64s=values, default_int64=otherwise)

    def model(self, outputs: dict[str, int], rows: str = "rows") -> onnx.ModelProto:
        """outputs: name -> how many columns; float32 or, named ids, int32."""
        kinds = {name: TensorProto.INT32 if name == "ids" else TensorProto.FLOAT for name in outputs}
        infos = [helper.make_tensor_value_info(n, kinds[n], [rows, width]) for n, width in outputs.items()]
        graph = helper.make_graph(self.nodes, "raw rows", self.inputs, infos, self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, OPSET_ML)]
        return helper.make_model(graph, opset_imports=opsets)
