"""Puts the REST APIs together as one Quart-Trio app."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import trio
from quart import Blueprint
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest
from werkzeug.exceptions import HTTPException

from protocols.http import BODY_TIMEOUT_S, body_bytes_max
from protocols.rest.auth import BearerAuth
from protocols.rest.bodies import CardConverter, IdentifierConverter, NumberConverter
from protocols.rest.cors import register_cors
from protocols.rest.description import description_routes
from protocols.rest.dv1 import dv1_routes
from protocols.rest.health import health_routes
from protocols.rest.idempotency import IdempotencyKeys
from protocols.rest.limits import RateLimiter
from protocols.rest.metrics import count_requests, metrics_routes
from protocols.rest.problems import register_problems
from protocols.rest.routes import Routes
from protocols.rest.sv1 import sv1_routes
from protocols.rest.v1.apps import apps_routes
from protocols.rest.v1.events import EventStreams
from protocols.rest.v1.operators import operators_routes
from statecharts.bounds import EVENT_STREAMS
from statecharts.doors import AppDoor, FirstAnswers, Insight, OperatorDoor
from statecharts.meters import Meters
from statecharts.ports import Tokens

Pages = Callable[[EventStreams], Iterable[Blueprint]]
"""Makes the pages for people, which stream what changes as the API does."""


class Request(TrioRequest):
    """A request whose body may be as long as its path allows; refused once (408, 413), its body is refused always:
    Quart 0.23 gives an empty one to whoever reads again what was too long.
    """

    def __init__(self, method: str, scheme: str, path: str, *args: Any, **more: Any) -> None:
        super().__init__(method, scheme, path, *args, **more | {"max_content_length": body_bytes_max(path)})
        self._refusal: HTTPException | None = None

    async def get_data(self, *args: Any, **more: Any) -> Any:
        """The body. Raises werkzeug's 413 or 408, the same one each time."""
        if self._refusal is not None:
            raise self._refusal
        try:
            return await super().get_data(*args, **more)
        except HTTPException as refusal:
            self._refusal = refusal
            raise


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the API grants: requests per second and at once of one app's token, browsers of which origins, and how many
    event streams to all together.
    """

    requests_per_s: float = 200.0
    burst: int = 1_000
    allowed_origins: tuple[str, ...] = ()
    event_streams_max: int = EVENT_STREAMS.limit


def make_app(
    *,
    pms_identifier: str,
    apps: AppDoor | None,
    operators: OperatorDoor,
    answers: FirstAnswers,
    tokens: Tokens,
    new_correlation_id: Callable[[], str],
    draining: trio.Event,
    dv1: bool,
    version: str,
    settings: ApiSettings,
    meters: Meters,
    insight: Insight,
    pages: Pages = lambda streams: (),
) -> QuartTrio:
    """An app with the REST APIs of the operator `pms_identifier`, to be served by `protocols.http.serve_http`.

    `apps` is the Source's door: without it sv1 and the routes for user apps are not mounted (404). `dv1` mounts the
    Destination's Motown API, `pages` gives those for people. Other services may be registered onto the app: tokens are
    checked per blueprint, while correlation ids, problem+json and the limits of bodies hold for all.
    """
    app, watermarks = make_bare_app("roamnode", new_correlation_id, meters), meters.watermarks
    register_cors(app, settings.allowed_origins)
    auth = BearerAuth(tokens, RateLimiter(settings.requests_per_s, settings.burst, watermarks), watermarks)
    streams = EventStreams(draining, settings.event_streams_max, watermarks)

    keys = IdempotencyKeys(answers, meters.duplicates)

    def rooms() -> Iterator[Routes]:
        if apps is not None:
            yield apps_routes(apps, auth, keys, streams)
        yield operators_routes(operators, auth, keys, streams)
        if apps is not None:
            yield sv1_routes(apps, auth, pms_identifier)
        if dv1:
            yield dv1_routes(operators, auth, pms_identifier)
        yield health_routes(insight, version)
        yield metrics_routes(auth, meters, insight, version)

    described = [*rooms()]
    for routes in (*described, description_routes(described, version)):
        app.register_blueprint(routes.blueprint)
    for blueprint in pages(streams):
        app.register_blueprint(blueprint)
    return app


def make_bare_app(name: str, new_correlation_id: Callable[[], str], meters: Meters) -> QuartTrio:
    """An app without routes, for a listener of its own: correlation ids, problem documents and limits as everywhere."""
    app = QuartTrio(name, static_folder=None)
    app.request_class = Request
    app.config.update(BODY_TIMEOUT=BODY_TIMEOUT_S)
    app.url_map.converters.update(identifier=IdentifierConverter, card=CardConverter, number=NumberConverter)
    count_requests(app, meters)
    register_problems(app, new_correlation_id)
    return app
