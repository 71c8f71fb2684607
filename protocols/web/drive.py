"""The driver's page of a Source: find a station, charge there, keep the receipt."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import (
    Cursor,
    Identifier,
    Latitude,
    Longitude,
    RadiusM,
    answer,
    checked_location,
    converted,
    query,
)
from protocols.rest.problems import Problem, report
from protocols.rest.v1.apps import newest_operation
from protocols.rest.v1.events import EventStreams
from protocols.web.receipts import receipt_pdf
from protocols.web.rooms import House, Room, principal_here, words_here
from statecharts.accounts import Accounts
from statecharts.doors import AppDoor, LocalServicesFound
from statecharts.page_limits import CHARGES_SHOWN, SERVICES_SHOWN
from statecharts.ports import AuthorizationRequest, CdrView, TransactionView
from statecharts.source_events import S
from statecharts.vocabulary import Location, Refused, ServiceStatus, ServiceType

NAME = "drive"
ANYWHERE_M = 20_100_000
NEAR_M = 25_000
STEPS = ("Ready", "StartTxRequested", "TxRunning", "StopTxRequested", "TxFinished", "Settled")
"""What a charge goes through, in its order."""

FAILED = ("Refused", "Expired")
OPEN = (S.AUTHORIZING, S.READY, S.START_TX_REQUESTED, S.TX_RUNNING, S.STOP_TX_REQUESTED)


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """Where somebody looks for stations; nowhere yet: everywhere."""

    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radius_m: RadiusM = NEAR_M
    free: Literal["", "on"] = ""


class Wish(msgspec.Struct):
    """The form by which a charge is authorised. `wish` names it, so that the same form sent twice is one charge."""

    destination: Identifier
    service: Identifier
    wish: Annotated[str, Meta(min_length=1, max_length=100)]
    connector: str = ""


class ChargesQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None


class Driver:
    """The routes of the driver's room."""

    def __init__(self, apps: AppDoor, accounts: Accounts, house: House, streams: EventStreams) -> None:
        self._apps, self._house, self._streams = apps, house, streams
        self.room = Room(NAME, accounts, house)
        get, post = self.room.blueprint.get, self.room.blueprint.post
        get("")(self.home)
        get("/services")(self.services)
        get("/services/<identifier:destination>/<identifier:service>")(self.service)
        get("/charges")(self.charges)
        post("/charges")(self.authorize)
        get("/charges/<identifier:transaction_id>")(self.charge)
        get("/charges/<identifier:transaction_id>/now")(self.now)
        get("/charges/<identifier:transaction_id>/course")(self.course)
        get("/charges/<identifier:transaction_id>/events")(self.events)
        post("/charges/<identifier:transaction_id>/start")(self.start)
        post("/charges/<identifier:transaction_id>/stop")(self.stop)
        get("/charges/<identifier:transaction_id>/receipt")(self.receipt)
        get("/charges/<identifier:transaction_id>/receipt.json")(self.receipt_json)
        get("/charges/<identifier:transaction_id>/receipt.pdf")(self.receipt_pdf)

    # -- finding a station ---------------------------------------------------------------------------------------------

    async def home(self) -> Response:
        """The map and the list, and the charges that go on."""
        open_now = [charge async for charge in self._open_charges()]
        return self.room.page("drive/home.html", open_now=open_now, place=self._place(query(Place)))

    async def _open_charges(self) -> Any:
        for state in OPEN:
            page = await self._apps.transactions(
                principal_here(), state=state, user_identifier=None, cursor=None, limit=CHARGES_SHOWN.limit
            )
            for charge in page.items:
                yield charge

    def _place(self, asked: Place) -> Place:
        """Where to look: where one asks for, else where the operator's map begins."""
        if asked.latitude is not None or self._house.look.place is None:
            return asked
        latitude, longitude = self._house.look.place
        return msgspec.structs.replace(asked, latitude=Decimal(str(latitude)), longitude=Decimal(str(longitude)))

    async def services(self) -> Response:
        """The stations near a place, nearest first, as their operators show them now."""
        place = self._place(query(Place))
        found = await self._found(place)
        shown = [each for each in found.local_services if not place.free or each.status is ServiceStatus.AVAILABLE]
        return self.room.page(
            "drive/services.html",
            services=shown[: SERVICES_SHOWN.limit],
            more=max(0, len(shown) - SERVICES_SHOWN.limit),
            unanswered=sorted(found.unanswered.items()),
            near=place.latitude is not None,
            place=place,
        )

    async def _found(self, place: Place) -> LocalServicesFound:
        everywhere = place.latitude is None or place.longitude is None
        location = (
            Location(latitude=Decimal(0), longitude=Decimal(0))
            if place.latitude is None or place.longitude is None
            else checked_location(place.latitude, place.longitude)
        )
        return await self._apps.local_services(
            principal_here(),
            location=location,
            radius_m=ANYWHERE_M if everywhere else place.radius_m,
            service_types=(ServiceType.EV_CHARGING,),
            destinations=(),
        )

    async def service(self, destination: str, service: str) -> Response:
        """A station's card: what it is, how it is now, and the form to charge there."""
        found = await self._apps.local_service(principal_here(), destination, service)
        return self._card(destination, service, found, None)

    def _card(self, destination: str, service: str, found: Any, problem: Problem | None) -> Response:
        return self.room.page(
            "drive/service.html",
            problem.status if problem else 200,
            destination=destination,
            service=service,
            found=found,
            problem=problem,
            wish=self._house.fresh_token(),
        )

    # -- charging ------------------------------------------------------------------------------------------------------

    async def authorize(self) -> Response:
        """Asks for a charge; what is refused is told on the station's card."""
        wish = converted({name: text for name, text in (await request.form).items() if name != "csrf"}, Wish)
        asked = AuthorizationRequest(
            user_identifier=self._user,
            destination=wish.destination,
            local_service_identifier=wish.service,
            connector_identifier=wish.connector.strip() or None,
            idempotency_key=f"page-{wish.wish}",
        )
        try:
            granted = await self._apps.authorize(principal_here(), asked)
        except Refused as no:
            found = await self._service_or_nothing(wish)
            return self._card(wish.destination, wish.service, found, report(no))
        return Response(b"", 303, {"Location": place_of(granted)})

    async def _service_or_nothing(self, wish: Wish) -> Any:
        try:
            return await self._apps.local_service(principal_here(), wish.destination, wish.service)
        except Refused:
            return None

    @property
    def _user(self) -> str:
        (user,) = principal_here().users or ("",)
        return user

    async def charges(self) -> Response:
        """All charges of the driver, newest first."""
        page = await self._apps.transactions(
            principal_here(),
            state=None,
            user_identifier=None,
            cursor=query(ChargesQuery).cursor,
            limit=CHARGES_SHOWN.limit,
        )
        return self.room.page("drive/charges.html", page=page)

    async def charge(self, transaction_id: str) -> Response:
        """One charge: what it is at, what it waits for and until when, its course."""
        return await self._charge("drive/charge.html", transaction_id)

    async def now(self, transaction_id: str) -> Response:
        """The part of it that changes."""
        return await self._charge("drive/charge_now.html", transaction_id)

    async def _charge(self, template: str, transaction_id: str, problem: Problem | None = None) -> Response:
        charge = await self._apps.transaction(principal_here(), transaction_id)
        return self.room.page(
            template,
            charge=charge,
            place=place_of(charge),
            steps=tuple(steps_of(charge)),
            start=newest_operation(charge, "start"),
            stop=newest_operation(charge, "stop"),
            failed=charge.state in FAILED,
            over=charge.state in ("Settled", *FAILED),
            lasted_s=_lasted_s(charge, self.room.house.now()),
            problem=problem,
        )

    async def course(self, transaction_id: str) -> Response:
        """What the plot begins with: when the meter had shown how much."""
        points = await self._apps.course(principal_here(), transaction_id)
        return answer([[point.at.timestamp(), point.energy_wh] for point in points])

    async def events(self, transaction_id: str) -> Response:
        """The charge as it is now and after each change (Server-Sent Events)."""
        return await self._streams.of_transaction(self._apps, principal_here(), transaction_id)

    async def start(self, transaction_id: str) -> Response:
        """Asks the station to start."""
        return await self._asked(self._apps.start, "start", transaction_id)

    async def stop(self, transaction_id: str) -> Response:
        """Asks the station to stop."""
        return await self._asked(self._apps.stop, "stop", transaction_id)

    async def _asked(self, ask: Any, what: str, transaction_id: str) -> Response:
        """Asks once for each form that was shown; a refusal is told beside what is so now."""
        version = (await request.form).get("version", "")[:20]
        try:
            await ask(principal_here(), transaction_id, f"page-{what}-{transaction_id}-{version}")
        except Refused as no:
            if no.refusal.code == 404:
                raise
            return await self._charge("drive/charge_now.html" if _is_part() else "drive/charge.html", transaction_id,
                                      report(no))  # fmt: skip
        if _is_part():
            return await self._charge("drive/charge_now.html", transaction_id)
        return Response(b"", 303, {"Location": f"/{NAME}/charges/{quote(transaction_id, safe='')}"})

    # -- receipts ------------------------------------------------------------------------------------------------------

    async def _record(self, transaction_id: str) -> tuple[TransactionView, CdrView]:
        charge = await self._apps.transaction(principal_here(), transaction_id)
        if charge.cdr is None:
            raise Problem(409, "no-receipt-yet", f"No charge record yet: the transaction is {charge.state}.")
        return charge, charge.cdr

    async def receipt(self, transaction_id: str) -> Response:
        """The receipt, to be read or printed."""
        charge, record = await self._record(transaction_id)
        return self.room.page("drive/receipt.html", charge=charge, record=record, place=place_of(charge))

    async def receipt_json(self, transaction_id: str) -> Response:
        """The charge record for programs."""
        _, record = await self._record(transaction_id)
        return answer(record, content_disposition=_saved_as(record, "json"))

    async def receipt_pdf(self, transaction_id: str) -> Response:
        """The receipt as a file to keep."""
        _, record = await self._record(transaction_id)
        content = await receipt_pdf(record, words_here(), self._house.look.operator)
        headers = {"Content-Disposition": _saved_as(record, "pdf"), "Cache-Control": "no-store"}
        return Response(content, 200, headers, content_type="application/pdf")


def _is_part() -> bool:
    return "HX-Request" in request.headers


def _saved_as(record: CdrView, ending: str) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in record.cdr_id)
    return f'attachment; filename="receipt-{name}.{ending}"'


def place_of(charge: TransactionView) -> str:
    """The address of a charge's page."""
    return f"/{NAME}/charges/{quote(charge.transaction_id, safe='')}"


def steps_of(charge: TransactionView) -> Iterator[tuple[str, str]]:
    """Each step of a charge and how it stands with it: done, current or ahead; a charge that failed has no current."""
    if charge.state in FAILED:
        yield from ((step, "ahead") for step in STEPS)
        return
    reached = STEPS.index(charge.state) if charge.state in STEPS else -1
    for number, step in enumerate(STEPS):
        over = number < reached or charge.state == "Settled"
        yield step, "done" if over else "current" if number == reached else "ahead"


def _lasted_s(charge: TransactionView, now: Any) -> float | None:
    """How long energy has flown, or could have: until the end, or until now (s)."""
    if charge.start_timestamp is None:
        return None
    return float(((charge.end_timestamp or now) - charge.start_timestamp).total_seconds())
