"""What the checkers read of SOAP and OCPP: a reading of their own, which shares no code with the node's codecs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from lxml import etree

DECLINED_STATUSES = (400, 404, 405, 413, 415)
"""HTTP statuses after which a message is never sent again (DESIGN: delivery between operators)."""


class Soap(msgspec.Struct, frozen=True, kw_only=True):
    """One envelope: the name of what is in its body, without "Request" or "Response", and its texts by element name.

    Of elements that come twice (the inner and the outer authorizationIdentifier) `fields` has the outer, `inner` all
    that is within TransactionData.
    """

    operation: str
    fields: Mapping[str, str]
    inner: Mapping[str, str]

    @property
    def name(self) -> str:
        """The authorizationIdentifier that it speaks of."""
        return self.fields.get("authorizationIdentifier", "")

    @property
    def request(self) -> str:
        return self.fields.get("requestIdentifier", "")

    @property
    def energy_wh(self) -> Decimal | None:
        """The energy of TransactionData in Wh, exactly as it stands there."""
        text = self.inner.get("energyConsumed")
        return None if text is None else Decimal(text) * (1000 if self.inner.get("energyUnit") == "kWh" else 1)


@lru_cache(maxsize=4096)
def soap(body: str) -> Soap | None:
    """What stands in an envelope; None for what is none."""
    try:
        root = etree.fromstring(body.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None
    content = next((child for part in root if _local(part) == "Body" for child in part), None)
    if content is None:
        return None
    fields: dict[str, str] = {}
    inner: dict[str, str] = {}
    for element in content.iter(tag=etree.Element):
        if len(element):
            continue
        within = any(_local(above) == "TransactionData" for above in element.iterancestors())
        (inner if within else fields).setdefault(_local(element), element.text or "")
    operation = _local(content).removesuffix("Request").removesuffix("Response")
    return Soap(operation=operation, fields=fields, inner=inner)


def _local(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def is_done(status: int, body: str) -> bool:
    """Whether an answer says that the message was taken: 200 and neither Fault nor ResponseError."""
    said = soap(body) if status == 200 else None
    return said is not None and said.operation != "Fault" and "errorCode" not in said.fields


def is_declined(status: int, body: str) -> bool:
    """Whether an answer ends a message for good: a 4xx of those statuses, a ResponseError 4xx, a Fault of Sender."""
    said = soap(body)
    if said is not None and said.operation == "Fault":
        return status in DECLINED_STATUSES or any(value.endswith("Sender") for value in said.fields.values())
    code = said.fields.get("errorCode", "").strip() if said is not None and status == 200 else ""
    return status in DECLINED_STATUSES or (len(code) == 3 and code.isdigit() and code.startswith("4"))


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """An OCPP-J frame: `kind` 2 is a CALL, 3 a CALLRESULT, 4 a CALLERROR."""

    kind: int
    id: str
    action: str = ""
    payload: Any = None


def frame(text: str) -> Frame | None:
    """The frame in a WebSocket message; None for what is none."""
    try:
        parts = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    match parts:
        case [2, str(identifier), str(action), dict(payload)]:
            return Frame(kind=2, id=identifier, action=action, payload=payload)
        case [3, str(identifier), payload]:
            return Frame(kind=3, id=identifier, payload=payload)
        case [4, str(identifier), str(code), *_]:
            return Frame(kind=4, id=identifier, payload=code)
    return None


def document(body: str) -> Any:
    """What stands in a JSON body; None for one that is none, or broke off."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


@lru_cache(maxsize=4096)
def moment(text: str) -> datetime:
    """A time as XML and JSON write it, in UTC; without a zone it is taken as UTC."""
    time = datetime.fromisoformat(text)
    return (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
