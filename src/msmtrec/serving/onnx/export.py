"""From a predictor to a file that ONNX runtimes read."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, compose, helper

from msmtrec.serving.labelled import LabelledRows
from msmtrec.serving.network import program
from msmtrec.serving.onnx.builder import ML, OPSET, OPSET_ML, Graph
from msmtrec.serving.onnx.encoding import EncodingNodes
from msmtrec.serving.onnx.inputs import Input
from msmtrec.serving.onnx.quantise import Measured, measure, quantised
from msmtrec.serving.predictor import Predictor


def to_onnx(predictor: Predictor) -> tuple[onnx.ModelProto, dict[str, Input]]:
    """One graph: raw columns in, an output of float32 [rows] per task, named by it; and what each input means.

    Several seeds are one graph that gives the mean of their probabilities.
    """
    return _whole(predictor, _network(predictor))


def to_quantised(
    predictor: Predictor, what: str, rows: LabelledRows
) -> tuple[onnx.ModelProto, dict[str, Input], Measured]:
    """As `to_onnx` with 8-bit weights, and what that does to the labelled rows; errors as `quantise.measure`."""
    network = _network(predictor)
    exact, inputs = _whole(predictor, network)
    small, _ = _whole(predictor, quantised(network, what))
    return small, inputs, measure((exact, small), inputs, rows)


def _whole(predictor: Predictor, network: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Input]]:
    """The encoder's graph before a network's."""
    graph, layout = Graph(), predictor.encoder.layout
    nodes = EncodingNodes(graph, predictor.encoder, predictor.scenario)
    graph("Identity", nodes.ids())
    graph.nodes[-1].output[0] = "ids"
    outputs = {"ids": layout.columns}
    if layout.floats:
        graph("Identity", nodes.numerics())
        graph.nodes[-1].output[0] = "numeric"
        outputs["numeric"] = layout.floats
    rows = graph.model(outputs)
    rows.ir_version = network.ir_version
    whole = compose.merge_models(rows, network, io_map=[(name, name) for name in outputs])
    _name_outputs(whole, predictor.tasks)
    onnx.checker.check_model(whole)
    return whole, nodes.inputs


def _network(predictor: Predictor) -> onnx.ModelProto:
    """ids and numeric -> probabilities [rows, tasks]."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        found = torch.onnx.export(
            program(predictor),
            dynamo=True,
            opset_version=OPSET,
            input_names=["ids", "numeric"],
            output_names=["probabilities"],
        )
    assert found is not None
    network = found.model_proto
    read = {name for node in network.graph.node for name in node.input}
    for unread in [one for one in network.graph.input if one.name not in read]:
        network.graph.input.remove(unread)  # of rows without numbers nobody has to give them
    network.opset_import.append(helper.make_opsetid(ML, OPSET_ML))
    return compose.add_prefix(network, "network/", rename_inputs=False, rename_outputs=False)


def _name_outputs(model: onnx.ModelProto, tasks: tuple[str, ...]) -> None:
    """An output per task in place of one for all."""
    graph = model.graph
    del graph.output[:]
    for place, task in enumerate(tasks):
        index = f"task_{place}"
        graph.initializer.append(helper.make_tensor(index, TensorProto.INT64, [], [place]))
        graph.node.append(helper.make_node("Gather", ["probabilities", index], [task], f"output_{place}", axis=1))
        graph.output.append(helper.make_tensor_value_info(task, TensorProto.FLOAT, ["rows"]))


def save_onnx(predictor: Predictor, path: Path, card: Mapping[str, Any]) -> dict[str, Input]:
    """Write the graph; its metadata hold the card and what each input means, which is returned."""
    model, inputs = to_onnx(predictor)
    write_onnx(model, inputs, path, card)
    return inputs


def write_onnx(model: onnx.ModelProto, inputs: Mapping[str, Input], path: Path, card: Mapping[str, Any]) -> None:
    """A graph with the card and what each input means in its metadata."""
    described = {name: one.as_dict() for name, one in inputs.items()}
    helper.set_model_props(model, {"msmtrec": json.dumps({**card, "inputs": described}, ensure_ascii=False)})
    path.write_bytes(model.SerializeToString())
