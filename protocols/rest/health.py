"""Is the node alive, is it ready, and if not, why: for load balancers, for supervisors of processes, and for people."""

from __future__ import annotations

import msgspec
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import answer
from protocols.rest.routes import Routes
from statecharts.doors import Ailment, Insight


class Health(msgspec.Struct):
    """`status` is ok, draining or unready, with every reason why; `version` is the release."""

    status: str
    version: str
    reasons: tuple[Ailment, ...]


def health_routes(insight: Insight, version: str) -> Routes:
    """The routes that say how the node is; anybody may ask."""
    routes = Routes(name="health", prefix="/health")

    @routes.get("/live", Health)
    async def live() -> Response:
        """Says 200 while the node answers at all. Whoever restarts processes asks here: an unready node is not dead."""
        return answer(Health("ok", version, ()))

    async def now() -> Response:
        ailments = await insight.ailments()
        is_draining = any(ailment.check == "draining" for ailment in ailments)
        status = "draining" if is_draining else "unready" if ailments else "ok"
        return answer(Health(status, version, ailments), 503 if ailments else 200)

    @routes.get("", {200: Health, 503: Health})
    async def health() -> Response:
        """Says 200 while the node takes work, else 503 and every reason why not."""
        return await now()

    @routes.get("/ready", {200: Health, 503: Health})
    async def ready() -> Response:
        """Says the same, for a load balancer."""
        return await now()

    return routes
