"""Puts the REST APIs together as one Quart-Trio app."""

from __future__ import annotations

from collections.abc import Callable

import trio
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse as Response

from protocols.http import BODY_BYTES_MAX, BODY_TIMEOUT_S
from protocols.rest.auth import BearerAuth
from protocols.rest.bodies import IdentifierConverter, NumberConverter, answer
from protocols.rest.dv1 import dv1_blueprint
from protocols.rest.problems import register_problems
from protocols.rest.sv1 import sv1_blueprint
from protocols.rest.v1.apps import apps_blueprint
from protocols.rest.v1.operators import operators_blueprint
from statecharts.ports import AppDoor, OperatorDoor, Tokens


def make_app(
    *,
    pms_identifier: str,
    apps: AppDoor | None,
    operators: OperatorDoor,
    tokens: Tokens,
    new_correlation_id: Callable[[], str],
    draining: trio.Event,
    dv1: bool,
    version: str,
) -> QuartTrio:
    """An app with the REST APIs of the operator `pms_identifier`, to be served by `protocols.http.serve_http`.

    `apps` is the Source's door: without it sv1 and the routes for user apps are not mounted (404). `dv1` mounts the
    Destination's Motown API. Other services may be registered onto the app: tokens are checked per blueprint, while
    correlation ids, problem+json and the limits of bodies hold for all.
    """
    app = make_bare_app("roamnode", new_correlation_id)
    auth = BearerAuth(tokens)
    if apps is not None:
        app.register_blueprint(apps_blueprint(apps, auth, draining))
        app.register_blueprint(sv1_blueprint(apps, auth, pms_identifier))
    app.register_blueprint(operators_blueprint(operators, auth))
    if dv1:
        app.register_blueprint(dv1_blueprint(operators, auth, pms_identifier))
    _add_health(app, draining, version)
    return app


def make_bare_app(name: str, new_correlation_id: Callable[[], str]) -> QuartTrio:
    """An app without routes, for a listener of its own: correlation ids, problem documents and limits as everywhere."""
    app = QuartTrio(name, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=BODY_BYTES_MAX, BODY_TIMEOUT=BODY_TIMEOUT_S)
    app.url_map.converters.update(identifier=IdentifierConverter, number=NumberConverter)
    register_problems(app, new_correlation_id)
    return app


def _add_health(app: QuartTrio, draining: trio.Event, version: str) -> None:
    @app.get("/health")
    async def health() -> Response:
        """200 while the node takes work, 503 while it drains: for a load balancer."""
        status = "draining" if draining.is_set() else "ok"
        return answer({"status": status, "version": version}, 503 if draining.is_set() else 200)
