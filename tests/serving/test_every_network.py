"""Every network as a torch program of any number of rows, and as an ONNX graph those with operations of their own."""

from __future__ import annotations

import logging
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import numpy as np
import onnxruntime
import pytest
import torch
from torch.export import Dim, ExportedProgram

from models.networks import NETWORKS
from models.small import LAYOUT, rows, scrambled
from msmtrec.data.table import Field
from msmtrec.models.predict import predict
from msmtrec.serving.network import Network
from msmtrec.serving.onnx.export import OPSET

FLAT = replace(LAYOUT, fields=(Field("user", 0, 1, False), Field("item", 1, 1, True)))
NEW = [name for name in NETWORKS if name not in ("mmoe", "ple", "star")]  # these: test_onnx.py


def exported(name: str, scenario: int) -> tuple[ExportedProgram, np.ndarray, list[np.ndarray]]:
    """The program, probabilities of some rows, and the rows."""
    model, params = scrambled(NETWORKS[name], FLAT)
    served = model.folded(params, scenario)
    any_rows = {0: Dim("rows", min=1)}
    given = torch.zeros(3, FLAT.columns, dtype=torch.int32), torch.zeros(3, FLAT.floats)
    program = torch.export.export(Network([served], [0, 1]).eval(), given, dynamic_shapes=(any_rows, any_rows))
    data = replace(rows(7), ids=np.ascontiguousarray(rows(7).ids[:, :2]), scenario=np.full(7, scenario))
    return program, torch.sigmoid(predict(model, params, data)).numpy(), [data.ids, data.numeric]


@pytest.mark.parametrize("name", NEW)
def test_a_torch_program_scores_as_the_network(name: str) -> None:
    program, wanted, given = exported(name, 1)
    for part in (slice(None), slice(0, 1)):
        found = program.module()(*(torch.from_numpy(each[part]) for each in given)).detach().numpy()
        assert np.abs(found - wanted[part]).max() < 1e-5


@pytest.mark.parametrize("name", ["esmm", "hinet", "m2m"])
def test_an_onnx_graph_scores_as_the_network(name: str) -> None:
    program, wanted, given = exported(name, 2)
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        graph = torch.onnx.export(program, dynamo=True, opset_version=OPSET, input_names=["ids", "numeric"])
    assert graph is not None
    session = onnxruntime.InferenceSession(graph.model_proto.SerializeToString())
    for part in (slice(None), slice(0, 1)):
        (found,) = session.run(None, {"ids": given[0][part], "numeric": given[1][part]})
        assert np.abs(found - wanted[part]).max() < 1e-5
