"""The OpenAPI description, with the scenarios and columns of the model that answers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from msmtrec.serving.http.answers import Column, Rows, Scenario, Scores
from msmtrec.serving.http.body import ARROW, JSON
from msmtrec.serving.http.desk import Desk
from msmtrec.serving.http.scorer import Scorer
from msmtrec.serving.http.served import kind_in

SCORE = "/v1/scenarios/{scenario}/score"
_ABOUT = "Scores of a finished run: raw rows in, a probability per task out."
_BINARY = {"schema": {"type": "string", "format": "binary", "description": "A stream of record batches."}}
BODY = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Rows"}}, ARROW: _BINARY},
    }
}
_MADE_UP = {"numbers": 0.5, "ids": "7", "truth values": True}


def scenario_of(scorer: Scorer) -> Scenario:
    """What rows of a scenario must have."""
    schema = scorer.encoder.schema
    complete = {feature.name for feature in (*schema.numeric, *schema.vectors) if not feature.missing}
    columns = [
        Column(name=name, kind=kind_in(scorer.encoder, name), missing=name not in complete) for name in scorer.columns
    ]
    return Scenario(name=scorer.scenario, tasks=list(scorer.tasks), columns=columns)


def example(scorer: Scorer) -> dict[str, Any]:
    """A row with made-up values: those of training stay where they are."""

    sizes = {f"vectors of {feature.size} numbers": feature.size or 1 for feature in scorer.encoder.schema.vectors}

    tags = {
        f"lists of id{feature.weight_separator}weight": f"7{feature.weight_separator}0.5"
        for feature in scorer.encoder.schema.weighted
    }

    def value(kind: str) -> Any:
        if kind in tags:
            return [tags[kind]]
        if kind in sizes:
            return [_MADE_UP["numbers"]] * sizes[kind]
        listed = kind.startswith("lists of ")
        one = _MADE_UP.get(kind.removeprefix("lists of "))
        return [one] if listed and one is not None else one

    return {column.name: value(column.kind) for column in scenario_of(scorer).columns}


class Description:
    """OpenAPI of an application, made once, with what today's model has put in."""

    def __init__(self, app: FastAPI, desk: Desk) -> None:
        self.desk = desk
        self._whole = get_openapi(title=app.title, version=app.version, summary=_ABOUT, routes=app.routes)
        schemas = self._whole["components"]["schemas"]
        for model in (Rows, Scores):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas[model.__name__] = schema
        scores = {JSON: {"schema": {"$ref": "#/components/schemas/Scores"}}, ARROW: _BINARY}
        self._whole["paths"][SCORE]["post"]["responses"]["200"]["content"] = scores

    def __call__(self) -> dict[str, Any]:
        found = deepcopy(self._whole)
        if self.desk.current is not None:
            scorers = self.desk.current.served.scorers
            score = found["paths"][SCORE]["post"]
            (parameter,) = score["parameters"]
            parameter["schema"]["enum"] = list(scorers)
            score["requestBody"]["content"][JSON]["examples"] = {
                name: {"summary": f"a row of '{name}', made up", "value": {"rows": [example(scorer)]}}
                for name, scorer in scorers.items()
            }
        return found
