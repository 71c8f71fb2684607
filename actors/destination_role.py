"""The Destination at its counter: what trusted Sources may ask of us, checked before any chart is asked.

Every look-up is scoped by the peer that asks: another's transaction is answered like none.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

import msgspec
import trio

from actors.actor import current_correlation_id
from actors.blocked import refuse_blocked
from actors.connectors import taken
from actors.context import Context, Place
from actors.holding import holding
from actors.looks import Look, is_known
from actors.station_messages import Hold, StationLook
from actors.system import is_broken
from statecharts.bounds import OPEN_AUTHORIZATIONS, REQUESTS_KEPT
from statecharts.destination_events import (
    AuthorizationIssued,
    DestinationTransaction,
    S,
    StartRequested,
    StopRequested,
)
from statecharts.limits import IDENTIFIER, MINTING_ATTEMPTS
from statecharts.places import distance_m, service_status
from statecharts.vocabulary import (
    Acknowledgement,
    Authorize,
    AuthorizeAnswer,
    DestinationRequest,
    GetLocalServicesList,
    GetLocalServiceStatus,
    LocalService,
    LocalServiceAnswer,
    LocalServicesAnswer,
    Refused,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingAnswer,
    ServiceStatus,
    ServiceType,
    refused,
)

OPEN = (S.READY, S.START_TX_REQUESTED, S.TX_RUNNING, S.STOP_TX_REQUESTED)


class DestinationRole:
    """`ports.DestinationDoor`: call it with the authenticated peer and its request."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._issuing: WeakValueDictionary[tuple[str, str], trio.Lock] = WeakValueDictionary()

    async def __call__(self, peer: str, request: DestinationRequest) -> RoamingAnswer:
        _check_identifiers(request)
        match request:
            case Authorize():
                return await self._authorize(peer, request)
            case RequestStartTransaction():
                return await self._start(peer, request)
            case RequestStopTransaction():
                return await self._stop(peer, request)
            case GetLocalServiceStatus(local_service_identifier=identifier):
                return LocalServiceAnswer(local_service=await self._shown(self._place(identifier)))
            case GetLocalServicesList():
                return await self._list(request)

    # -- authorise -----------------------------------------------------------------------------------------------------

    async def _authorize(self, peer: str, request: Authorize) -> RoamingAnswer:
        if request.pms_identifier != peer:
            raise refused(403, "not-you", f"pmsIdentifier {request.pms_identifier} is not the authenticated peer")
        await refuse_blocked(self._context, peer)
        place = self._place(request.local_service_identifier)
        if request.service_type is not ServiceType.EV_CHARGING:
            raise refused(400, "not-authorisable", f"{request.service_type} needs no authorisation and gets none here")
        if not place.connectors or request.service_type not in place.service_types:
            raise refused(400, "no-such-service", f"{place.identity} does not offer {request.service_type}")
        connector = self._connector(request.connector_identifier, place)
        await self._check_station(place, connector)
        async with self._one_at_a_time(peer, request.user_identifier):
            await self._check_quota(peer, request.user_identifier)
            return await self._issue(peer, request, place, connector)

    def _one_at_a_time(self, peer: str, user_identifier: str) -> trio.Lock:
        """Held from counting a user's authorisations until the next one counts too; gone when nobody waits for it."""
        return self._issuing.setdefault((peer, user_identifier), trio.Lock())

    def _connector(self, text: str | None, place: Place) -> int | None:
        """The connector asked for, None for any. Raises `Refused` (400) for no number, 0 or an unknown one."""
        if text is None:
            return None
        digits = text.strip()
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0
        if not 1 <= number <= place.connectors:
            message = f"connectorIdentifier must be a number from 1 to {place.connectors}, not {text[:20]!r}"
            raise refused(400, "unknown-connector", message)
        return number

    async def _check_station(self, place: Place, connector: int | None) -> None:
        look = await self._look(place)
        if not look.in_service:
            raise refused(409, "station-unavailable", f"{place.identity} is not connected or not in service")
        wanted = look.connectors if connector is None else (connector,)
        if not set(wanted) & set(look.free):
            which = f"connector {connector}" if connector else "every connector"
            raise taken(f"{which} of {place.identity}", wanted, look.kept)

    async def _check_quota(self, peer: str, user_identifier: str) -> None:
        running = await self._context.ledger.count_open(peer, user_identifier, states=OPEN)
        most = self._context.settings.open_authorizations_per_user_max
        self._context.watermarks.saw(OPEN_AUTHORIZATIONS, min(running + 1, most))
        if running >= most:
            raise refused(
                429, "too-many-authorisations", f"this user has {running} open authorisations, the most is {most}"
            )

    async def _issue(self, peer: str, request: Authorize, place: Place, connector: int | None) -> RoamingAnswer:
        """Mints an identifier that was never used: one that was is refused by its own chart, and another is tried."""
        for _ in range(MINTING_ATTEMPTS.limit):
            name = self._context.ids.authorization_identifier()
            event = AuthorizationIssued(
                at=self._context.clock.now(),
                correlation_id=current_correlation_id(),
                id=name,
                peer=peer,
                own_pms_identifier=self._context.settings.pms_identifier,
                user_identifier=request.user_identifier,
                service_type=request.service_type,
                station=place.identity,
                connector_asked=connector,
                deadlines=place.deadlines,
            )
            try:
                await self._context.system.ask(f"destination/{name}", event)
            except Refused as no:
                if no.refusal.kind != "wrong-state":
                    raise
            else:
                return AuthorizeAnswer(authorization_identifier=name)
        raise refused(500, "no-identifier", "no fresh authorisation identifier was found")

    # -- start and stop ------------------------------------------------------------------------------------------------

    async def _start(self, peer: str, request: RequestStartTransaction) -> RoamingAnswer:
        data = await self._own(peer, request.authorization_identifier)
        fresh = all(r.request_identifier != request.request_identifier for r in data.requests)
        if fresh:
            await refuse_blocked(self._context, peer)
        stream, station = f"destination/{data.id}", f"station/{data.station}"
        now = self._context.clock.now()
        event = StartRequested(
            at=now,
            correlation_id=current_correlation_id(),
            request_identifier=request.request_identifier,
            connector_id=data.connector_id or 0,
        )
        if not (fresh and data.state == S.READY):
            await self._context.system.ask(stream, event)
            return Acknowledgement()
        # Ready reserves nothing: whoever starts first holds the connector, the next one is told 409.
        hold = Hold(transaction=stream, connector_id=data.connector_asked, id_tag=data.id, at=now)
        async with holding(self._context, station, hold) as connector:
            await self._context.system.ask(stream, msgspec.structs.replace(event, connector_id=connector))
        return Acknowledgement()

    async def _stop(self, peer: str, request: RequestStopTransaction) -> RoamingAnswer:
        data = await self._own(peer, request.authorization_identifier)
        event = StopRequested(
            at=self._context.clock.now(),
            correlation_id=current_correlation_id(),
            request_identifier=request.request_identifier,
        )
        await self._context.system.ask(f"destination/{data.id}", event)
        return Acknowledgement()

    async def _own(self, peer: str, authorization_identifier: str) -> DestinationTransaction:
        """This peer's transaction with that identifier. Raises `Refused` (404), also for another peer's."""
        stream = f"destination/{authorization_identifier}"
        if await is_known(self._context, stream):
            data: DestinationTransaction = await self._context.system.ask(stream, Look())
            if data.peer == peer:
                self._context.watermarks.saw(REQUESTS_KEPT, min(len(data.requests) + 1, REQUESTS_KEPT.limit))
                return data
        raise refused(404, "unknown-authorization", "no authorisation of yours has this identifier")

    # -- local services ------------------------------------------------------------------------------------------------

    async def _list(self, request: GetLocalServicesList) -> RoamingAnswer:
        wanted = set(request.service_types) or set(ServiceType)
        near = [
            (distance_m(request.location, place.location), place)
            for place in self._context.places.values()
            if wanted & set(place.service_types)
        ]
        nearest = sorted(near, key=lambda found: (found[0], found[1].identity))
        shown = [await self._shown(place) for metres, place in nearest if metres <= request.search_radius_m]
        return LocalServicesAnswer(local_services=tuple(shown))

    def _place(self, identifier: str) -> Place:
        place = self._context.places.get(identifier)
        if place is None:
            raise refused(404, "unknown-local-service", f"there is no local service {identifier[:60]!r}")
        return place

    async def _look(self, place: Place) -> StationLook:
        look: StationLook = await self._context.system.ask(f"station/{place.identity}", Look())
        return look

    async def _shown(self, place: Place) -> LocalService:
        return LocalService(
            local_service_identifier=place.identity,
            status=await self._status(place),
            service_types=place.service_types,
            location=place.location,
        )

    async def _status(self, place: Place) -> ServiceStatus:
        if not place.connectors:
            return place.status
        try:
            look = await self._look(place)
        except Refused as no:
            if not is_broken(no):
                raise
            return ServiceStatus.UNKNOWN
        states = {connector: look.data.evse(connector).state for connector in look.connectors}
        return service_status(states, look.free, in_service=look.in_service)


def _check_identifiers(request: DestinationRequest) -> None:
    """Raises `Refused` (400) for one that names nothing or is too long to be kept."""
    for field in msgspec.structs.fields(request):
        value = getattr(request, field.name)
        if field.name.endswith("_identifier") and value is not None and not 1 <= len(value) <= IDENTIFIER.limit:
            what = field.name.replace("_", " ")
            raise refused(400, "invalid-identifier", f"the {what} must have 1 to {IDENTIFIER.limit} characters")
