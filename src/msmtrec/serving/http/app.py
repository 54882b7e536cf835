"""Routes: take the request apart, ask the model that answers, write the answer."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.version import __version__
from msmtrec.serving.http.answers import Alive, Error, Identity, Model, Ready, Reloaded, Scenarios
from msmtrec.serving.http.body import kind_of, read
from msmtrec.serving.http.described import BODY, SCORE, Description, scenario_of
from msmtrec.serving.http.desk import Desk
from msmtrec.serving.http.refused import Refused
from msmtrec.serving.http.settings import TOKEN
from msmtrec.serving.http.story import KEY, Story, Storyteller

_LARGE = 1 << 16
"""Bytes of a body that is read beside the loop, so that it does not hold up small ones."""
_CODES = {
    400: "The body cannot be read.",
    404: "No such scenario.",
    408: "The body came too slowly.",
    413: "Too many rows or bytes.",
    415: "Neither JSON nor Arrow.",
    422: "The rows do not fit.",
    503: "Not ready, or too many requests wait.",
    504: "No scores in time.",
}


def make_app(desk: Desk) -> FastAPI:
    """The application around a desk, whose first model is loaded when it starts."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        desk.start()
        yield
        await desk.close()

    app = FastAPIOffline(
        title="msmtrec serve",
        version=__version__,
        lifespan=life,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url="/docs/oauth2-redirect",
        swagger_ui_parameters={"validatorUrl": None},  # the page's own default asks another host
    )
    app.add_middleware(Storyteller, metrics=desk.metrics)
    _add_refusals(app)
    _add_scores(app, desk)
    _add_looks(app, desk)
    _add_reload(app, desk)
    app.openapi = Description(app, desk)  # type: ignore[method-assign]
    return app


def _story(request: Request) -> Story:
    story: Story = request.scope[KEY]
    return story


def _add_scores(app: FastAPI, desk: Desk) -> None:
    codes: dict[int | str, dict[str, Any]] = {n: {"description": text, "model": Error} for n, text in _CODES.items()}

    @app.post(SCORE, tags=["scores"], responses=codes, openapi_extra=BODY, response_class=Response)
    async def score(scenario: str, request: Request) -> Response:
        """Probabilities of raw rows, in the kind in which the rows came: JSON, or an Arrow stream."""
        story, limits = _story(request), desk.settings.limits
        story.scores = True
        with desk.using() as current:
            batcher = current.batchers.get(scenario)
            if batcher is None:
                near = nearest(scenario, current.batchers)
                raise Refused(404, f"there is no scenario '{scenario}'; {near}", "scenario")
            served, scorer = current.served, batcher.scorer
            story.scenario, story.model = scenario, served.digest
            kind, stages = kind_of(request), story.stages
            with stages.timed("read"):
                body = await read(request, limits)
                rows, story.rows = await _beside(body, kind.rows, body, limits.rows)
            with stages.timed("encode"):
                feeds = await _beside(body, kind.feeds, scorer, rows)
            scores = await batcher.score(feeds, story.rows, stages) if story.rows else scorer.nothing
            with stages.timed("write"):
                answer = kind.write(scorer.tasks, scores, served.identity)
        return Response(answer, media_type=kind.media)


async def _beside(body: bytes, work: Any, *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments) if len(body) > _LARGE else work(*arguments)


def _add_looks(app: FastAPI, desk: Desk) -> None:
    """Routes that only look."""

    @app.get("/health", tags=["state"])
    async def health() -> Alive:
        """The process lives and its loop turns."""
        return Alive(alive=True)

    @app.get("/ready", tags=["state"], responses={503: {"model": Ready, "description": "Not yet, or no longer."}})
    async def ready() -> JSONResponse:
        """Whether requests are scored; what is missing, and why the last reload failed, if it did."""
        current = desk.current
        missing = desk.missing if current is None else current.lame
        works = current is not None and not missing
        found = Ready(
            ready=works,
            missing=missing,
            model=Identity(**current.served.identity) if current else None,
            reload_failed=desk.failure,
        )
        return JSONResponse(found.model_dump(), 200 if works else 503)

    @app.get("/metrics", tags=["state"], response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(desk.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/scenarios", tags=["models"], responses={503: {"model": Error}})
    async def scenarios() -> Scenarios:
        """Whose rows can be scored, for which tasks, and which columns rows must have."""
        with desk.using() as current:
            return Scenarios(scenarios=[scenario_of(scorer) for scorer in current.served.scorers.values()])

    @app.get("/v1/model", tags=["models"], responses={503: {"model": Error}})
    async def model() -> Model:
        """The model that answers, and its card for each scenario: data, licence, test figures."""
        with desk.using() as current:
            served = current.served
            cards = {name: dict(scorer.card) for name, scorer in served.scorers.items()}
            return Model(model=Identity(**served.identity), scenarios=cards)


def _add_reload(app: FastAPI, desk: Desk) -> None:
    codes: dict[int | str, dict[str, Any]] = {
        403: {"model": Error, "description": "Off, or another token."},
        409: {"model": Error, "description": "The run cannot take the old one's place, which goes on."},
    }

    @app.post("/v1/reload", tags=["models"], responses=codes)
    async def reload(request: Request) -> Reloaded:
        """Open the run directory again and let it answer; as SIGHUP does. Needs `Authorization: Bearer TOKEN`."""
        _check_token(request, desk.settings.token)
        try:
            swapped = await desk.reload()
        except UserError as error:
            raise Refused(409, str(error), "reload") from error
        with desk.using() as current:
            return Reloaded(swapped=swapped, model=Identity(**current.served.identity))


def _check_token(request: Request, token: str) -> None:
    if not token:
        raise Refused(403, f"reloading over HTTP is off; start the server with {TOKEN}, or send it SIGHUP", "token")
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Refused(403, f"a reload needs 'Authorization: Bearer' and the token of {TOKEN}", "token")


def _add_refusals(app: FastAPI) -> None:
    """Every answer without scores is {"error": sentence}, and none shows what went on inside."""

    def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        _story(request).why = error.why
        return answer(error.status, error.sentence, {"Retry-After": str(error.later)} if error.later else None)

    @app.exception_handler(UserError)
    async def unfit(request: Request, error: UserError) -> JSONResponse:
        _story(request).why = "rows do not fit"
        return answer(422, str(error))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        _story(request).why = "route"
        return answer(error.status_code, f"{error.detail}; see /docs", dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def broken(request: Request, _: Exception) -> JSONResponse:
        story = _story(request)
        sentence = f"the server failed; its log has more under {story.identifier}"
        return answer(500, sentence, {"X-Request-Id": story.identifier})  # the storyteller has been left by now
