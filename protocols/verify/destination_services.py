"""What a Destination shows of its local services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from protocols.mobieurope.contract import COMMON_NAMESPACE
from protocols.mobieurope.mapping import Unreadable, read_location
from protocols.verify import steps
from protocols.verify.authorizations import NO_STATION
from protocols.verify.conversation import Conversation
from protocols.verify.options import CannotVerify
from protocols.verify.partner import Reply
from statecharts.vocabulary import GetLocalServicesList, GetLocalServiceStatus, Location, ServiceStatus

if TYPE_CHECKING:
    from protocols.verify.destination import DestinationScene, Life

RADIUS_M = 1_000
LOOK_AGAIN_S = 0.5

_SERVICE = f"{{{COMMON_NAMESPACE}}}LocalService"


@dataclass(frozen=True, slots=True)
class _Place:
    latitude: str
    longitude: str


async def ask_for_services(life: Life, step: steps.Ask) -> None:
    """Asks for the status of the service (or of none), or for the list of those around it, and judges the answer."""
    service = NO_STATION if step.what == "unknown" else life.scene.options.service
    request = GetLocalServiceStatus(local_service_identifier=service)
    reply = await life.scene.partner.ask(life.talk, request, f"getLocalServiceStatus ({step.what})")
    if step.what == "unknown":
        life.expect_refusal("status-true", reply)
        return
    shown = reply.text(f"{_SERVICE}/localServiceIdentifier"), reply.text(f"{_SERVICE}/localServiceStatus")
    true = reply.done and shown[0] == service and _fits(life, shown[1])
    life.talk.expect("status-true", true, f"{service} is shown as {shown}, answered {reply}")
    if true and step.what == "list":
        await _list(life, reply)


async def why_not_granted(life: Life, how: str) -> None:
    """Raises `CannotVerify` if it is not the partner's fault that nothing was granted yet: the connector given is not
    one of the service's, or somebody charges there, perhaps for an earlier verification.
    """
    options, partner = life.scene.options, life.scene.partner
    if "status" in options.operations:
        asked = GetLocalServiceStatus(local_service_identifier=options.service)
        status = (await partner.ask(life.talk, asked)).text(f"{_SERVICE}/localServiceStatus")
        if status == ServiceStatus.IN_USE:
            raise CannotVerify(f"{options.service} is in use, so nothing is authorised there: wait until it is free")
    if how == "good":
        reply = await partner.ask(life.talk, life.request_of("any connector"), "authorize (any connector)")
        if reply.done:
            wrong = f"{options.service} is authorised, but not its connector {options.connector}"
            raise CannotVerify(f"{wrong}: --connector names one that it has")


async def await_free(scene: DestinationScene) -> None:
    """Returns once the service is free again, or our patience is at its end: at a station that is not ours, somebody
    has to unplug a car.
    """
    request = GetLocalServiceStatus(local_service_identifier=scene.options.service)
    with trio.move_on_after(scene.options.patience_s):
        while (reply := await scene.partner.ask(Conversation(), request)).done:
            if reply.text(f"{_SERVICE}/localServiceStatus") == ServiceStatus.AVAILABLE:
                return
            await trio.sleep(LOOK_AGAIN_S)


def _fits(life: Life, status: str) -> bool:
    station = life.scene.station
    if station is None:
        return status in set(ServiceStatus)
    busy = station.charge is not None or station.held is not None
    # A station may have more connectors than the one that we are
    return status == ServiceStatus.AVAILABLE or (busy and status == ServiceStatus.IN_USE)


async def _list(life: Life, status: Reply) -> None:
    place = _place_of(life, status)
    if place is None:
        return
    request = GetLocalServicesList(location=place, search_radius_m=RADIUS_M)
    reply = await life.scene.partner.ask(life.talk, request)
    content = reply.envelope.content if reply.envelope is not None else ()
    names = [each.findtext("localServiceIdentifier") for each in content]
    service = life.scene.options.service
    life.talk.expect("list-true", service in names, f"around {service} are listed {names}, answered {reply}")


def _place_of(life: Life, status: Reply) -> Location | None:
    location = f"{_SERVICE}/{{{COMMON_NAMESPACE}}}Location"
    try:
        return read_location(_Place(status.text(f"{location}/latitude"), status.text(f"{location}/longitude")))
    except Unreadable as error:
        life.talk.expect("status-true", False, str(error))
        return None
