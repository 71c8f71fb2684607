"""The ways in which we ask a Destination for an authorisation, sound and not."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.verify.options import Options
from statecharts.vocabulary import Authorize, ServiceType

NO_STATION = "no-such-station"

AUTHORIZATIONS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "good": (None, {}),
    "any connector": (None, {"connector_identifier": None}),
    "unknown station": ("real-station", {"local_service_identifier": NO_STATION}),
    "connector 0": ("real-connector", {"connector_identifier": "0"}),
    "connector 9999": ("real-connector", {"connector_identifier": "9999"}),
    "connector x": ("real-connector", {"connector_identifier": "x"}),
    "parking": ("no-parking", {"service_type": ServiceType.PARKING}),
    "other operator": ("other-operator", {"pms_identifier": "XX-NOBODY"}),
    "no user": ("named-user", {"user_identifier": ""}),
}
"""Ways to ask for an authorisation: which rule says that it is refused (None: it is granted), and what differs."""


def authorization_request(options: Options, user: str, how: str) -> Authorize:
    """What we ask for, in this way."""
    good = Authorize(
        pms_identifier=options.own_pms,
        user_identifier=user,
        service_type=ServiceType.EV_CHARGING,
        local_service_identifier=options.service,
        connector_identifier=str(options.connector),
    )
    return msgspec.structs.replace(good, **AUTHORIZATIONS[how][1])
