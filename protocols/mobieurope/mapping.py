"""Between the vocabulary and the contract's own names: what zeep writes and reads at one end, spyne at the other.

Written values are plain trees (text, lists, dictionaries by element name); read are objects with those names as
attributes. Whatever XML Schema has a type for but libraries disagree about (times, energy, truth) travels as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from protocols.mobieurope.envelope import writable
from statecharts.limits import DEGREES_DECIMALS, ENERGY
from statecharts.vocabulary import (
    Acknowledgement,
    Authorize,
    AuthorizeAnswer,
    EndTransaction,
    EnergyUnit,
    GetLocalServicesList,
    GetLocalServiceStatus,
    LocalService,
    LocalServiceAnswer,
    LocalServicesAnswer,
    Location,
    NotifyRequestResult,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingAnswer,
    RoamingRequest,
    ServiceStatus,
    ServiceType,
    TransactionData,
    TransactionProgressUpdate,
    TransactionStatus,
)

Tree = dict[str, Any]

_EXACT = Context(prec=400)
_SCALES = {EnergyUnit.WH: 0, EnergyUnit.KWH: 3}


class Unreadable(ValueError):
    """A value satisfies the schema and still cannot be taken; the text says which and why."""


# -- single values -----------------------------------------------------------------------------------------------------


def write_time(time: datetime) -> str:
    """xs:dateTime in UTC with Z. Raises ValueError for a naive time: every peer would read it differently."""
    if time.tzinfo is None:
        raise ValueError(f"time {time} has no time zone")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """xs:dateTime with any offset, as aware UTC, cut to microseconds; without an offset it is taken as UTC."""
    date, _, clock = text.strip().partition("T")
    # XSD part 2, section 3.2.7: 24:00:00 is the first instant of the next day
    midnight = clock.startswith("24:")
    try:
        time = datetime.fromisoformat(f"{date}T{'00' + clock[2:] if midnight else clock}")
        time += timedelta(days=1) if midnight else timedelta()
        return (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"time {text!r} is outside what can be stored") from None


def write_energy(energy_wh: int, unit: EnergyUnit) -> str:
    """Whole watt-hours in `unit`, exactly: 12345 Wh is "12345" or "12.345" (kWh)."""
    return format(Decimal(energy_wh).scaleb(-_SCALES[unit], _EXACT), "f")


def read_energy(text: str, unit: EnergyUnit) -> int:
    """Whole watt-hours, half rounded away from zero. Raises `Unreadable` for NaN, INF and more than 64 bits hold."""
    try:
        value = Decimal(text.strip())
        # Compared first: the exponent alone could ask for a number that fills the memory
        if value.is_finite() and abs(value) <= ENERGY.limit:
            energy_wh = int(value.scaleb(_SCALES[unit], _EXACT).to_integral_value(ROUND_HALF_UP))
            if abs(energy_wh) <= ENERGY.limit:
                return energy_wh
    except ArithmeticError:
        pass
    raise Unreadable(f"energyConsumed {text!r} is no amount of energy")


def read_boolean(text: str) -> bool:
    """xs:boolean: true, false, 1 or 0, with any white space around."""
    return text.strip() in {"true", "1"}


def read_long(text: str) -> int:
    """xs:long, with any number of leading zeros (of which `int` takes only 4300)."""
    return int(Decimal(text.strip()))


def write_location(location: Location) -> Tree:
    return {"latitude": format(location.latitude, "f"), "longitude": format(location.longitude, "f")}


def read_location(element: Any) -> Location:
    return Location(
        latitude=_degrees("latitude", element.latitude, 90), longitude=_degrees("longitude", element.longitude, 180)
    )


def _degrees(name: str, text: str | None, limit: int) -> Decimal:
    try:
        value = Decimal((text or "").strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value) > limit or _decimals(value) > DEGREES_DECIMALS.limit:
        raise Unreadable(f"{name} {text!r} is no number of degrees between -{limit} and {limit}")
    return value


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _service_types(texts: Iterable[str | None] | None) -> tuple[ServiceType, ...]:
    # The contract lets items be nil; such an item names no type
    return tuple(ServiceType(text) for text in texts or () if text is not None)


# -- requests ----------------------------------------------------------------------------------------------------------


def write_request(request: RoamingRequest, unit: EnergyUnit) -> Tree:
    """The content of the request's element. `unit` is that of energyConsumed."""
    tree = _WRITE[type(request)](request, unit)
    return {name: value for name, value in tree.items() if value is not None}


def read_request(kind: type[RoamingRequest], element: Any, unit: EnergyUnit) -> RoamingRequest:
    """The request of this kind in a schema-valid element; energy without a unit is in `unit`. Raises `Unreadable`."""
    return _READ[kind](element, unit)


def _write_authorize(request: Authorize, unit: EnergyUnit) -> Tree:
    return {
        "pmsIdentifier": request.pms_identifier,
        "userIdentifier": request.user_identifier,
        "serviceTypeIdentifier": request.service_type.value,
        "localServiceIdentifier": request.local_service_identifier,
        "connectorIdentifier": request.connector_identifier,
    }


def _read_authorize(element: Any, unit: EnergyUnit) -> Authorize:
    return Authorize(
        pms_identifier=element.pmsIdentifier,
        user_identifier=element.userIdentifier,
        service_type=ServiceType(element.serviceTypeIdentifier),
        local_service_identifier=element.localServiceIdentifier,
        connector_identifier=element.connectorIdentifier,
    )


def _write_operation(request: RequestStartTransaction | RequestStopTransaction, unit: EnergyUnit) -> Tree:
    return {
        "requestIdentifier": request.request_identifier,
        "authorizationIdentifier": request.authorization_identifier,
    }


def _read_start(element: Any, unit: EnergyUnit) -> RequestStartTransaction:
    return RequestStartTransaction(
        request_identifier=element.requestIdentifier, authorization_identifier=element.authorizationIdentifier
    )


def _read_stop(element: Any, unit: EnergyUnit) -> RequestStopTransaction:
    return RequestStopTransaction(
        request_identifier=element.requestIdentifier, authorization_identifier=element.authorizationIdentifier
    )


def _write_status(request: GetLocalServiceStatus, unit: EnergyUnit) -> Tree:
    return {"localServiceIdentifier": request.local_service_identifier}


def _read_status(element: Any, unit: EnergyUnit) -> GetLocalServiceStatus:
    return GetLocalServiceStatus(local_service_identifier=element.localServiceIdentifier)


def _write_list(request: GetLocalServicesList, unit: EnergyUnit) -> Tree:
    return {
        "Location": write_location(request.location),
        "searchRadius": request.search_radius_m,
        "serviceTypesList": [service_type.value for service_type in request.service_types],
    }


def _read_list(element: Any, unit: EnergyUnit) -> GetLocalServicesList:
    return GetLocalServicesList(
        location=read_location(element.Location),
        search_radius_m=read_long(element.searchRadius),
        service_types=_service_types(element.serviceTypesList),
    )


def _write_notify(request: NotifyRequestResult, unit: EnergyUnit) -> Tree:
    return {
        "requestIdentifier": request.request_identifier,
        "requestSuccess": "true" if request.request_success else "false",
        # Free text that may quote a station: a control character in it must not hold back the result
        "cause": None if request.cause is None else writable(request.cause),
    }


def _read_notify(element: Any, unit: EnergyUnit) -> NotifyRequestResult:
    return NotifyRequestResult(
        request_identifier=element.requestIdentifier,
        request_success=read_boolean(element.requestSuccess),
        cause=element.cause,
    )


def _write_progress(request: TransactionProgressUpdate, unit: EnergyUnit) -> Tree:
    return {
        "authorizationIdentifier": request.authorization_identifier,
        "startTransactionTimestamp": write_time(request.start_transaction_timestamp),
        "TransactionData": _write_data(request.transaction_data, unit),
    }


def _read_progress(element: Any, unit: EnergyUnit) -> TransactionProgressUpdate:
    return TransactionProgressUpdate(
        authorization_identifier=element.authorizationIdentifier,
        start_transaction_timestamp=read_time(element.startTransactionTimestamp),
        transaction_data=_read_data(element.TransactionData, unit),
    )


def _write_end(request: EndTransaction, unit: EnergyUnit) -> Tree:
    return {
        "authorizationIdentifier": request.authorization_identifier,
        "startTransactionTimestamp": write_time(request.start_transaction_timestamp),
        "endTransactionTimestamp": write_time(request.end_transaction_timestamp),
        "TransactionData": _write_data(request.transaction_data, unit),
    }


def _read_end(element: Any, unit: EnergyUnit) -> EndTransaction:
    return EndTransaction(
        authorization_identifier=element.authorizationIdentifier,
        start_transaction_timestamp=read_time(element.startTransactionTimestamp),
        end_transaction_timestamp=read_time(element.endTransactionTimestamp),
        transaction_data=_read_data(element.TransactionData, unit),
    )


def _write_data(data: TransactionData, unit: EnergyUnit) -> Tree:
    tree = {
        "serviceType": data.service_type.value,
        "startTimestamp": write_time(data.start_timestamp),
        "endTimestamp": None if data.end_timestamp is None else write_time(data.end_timestamp),
        "transactionStatus": data.transaction_status.value,
        "energyConsumed": None if data.energy_wh is None else write_energy(data.energy_wh, unit),
        "energyUnit": None if data.energy_wh is None else unit.value,
        "localOperatorIdentifier": data.local_operator_identifier,
        "localServiceIdentifier": data.local_service_identifier,
        "homeOperatorIdentifier": data.home_operator_identifier,
        "userIdentifier": data.user_identifier,
        "authorizationIdentifier": data.authorization_identifier,
    }
    return {name: value for name, value in tree.items() if value is not None}


def _read_data(element: Any, unit: EnergyUnit) -> TransactionData:
    unit = EnergyUnit(element.energyUnit or unit)
    return TransactionData(
        service_type=ServiceType(element.serviceType),
        start_timestamp=read_time(element.startTimestamp),
        end_timestamp=None if element.endTimestamp is None else read_time(element.endTimestamp),
        transaction_status=TransactionStatus(element.transactionStatus),
        energy_wh=None if element.energyConsumed is None else read_energy(element.energyConsumed, unit),
        local_operator_identifier=element.localOperatorIdentifier,
        local_service_identifier=element.localServiceIdentifier,
        home_operator_identifier=element.homeOperatorIdentifier,
        user_identifier=element.userIdentifier,
        authorization_identifier=element.authorizationIdentifier,
    )


_WRITE: dict[type[RoamingRequest], Callable[[Any, EnergyUnit], Tree]] = {
    Authorize: _write_authorize,
    RequestStartTransaction: _write_operation,
    RequestStopTransaction: _write_operation,
    GetLocalServiceStatus: _write_status,
    GetLocalServicesList: _write_list,
    NotifyRequestResult: _write_notify,
    TransactionProgressUpdate: _write_progress,
    EndTransaction: _write_end,
}
_READ: dict[type[RoamingRequest], Callable[[Any, EnergyUnit], RoamingRequest]] = {
    Authorize: _read_authorize,
    RequestStartTransaction: _read_start,
    RequestStopTransaction: _read_stop,
    GetLocalServiceStatus: _read_status,
    GetLocalServicesList: _read_list,
    NotifyRequestResult: _read_notify,
    TransactionProgressUpdate: _read_progress,
    EndTransaction: _read_end,
}


# -- answers -----------------------------------------------------------------------------------------------------------


def write_answer(kind: type[RoamingRequest], answer: RoamingAnswer) -> Tree:
    """The content of the answer's element. Raises TypeError for an answer that this kind of request cannot have."""
    match answer:
        case AuthorizeAnswer() if kind is Authorize:
            return {"authorizationIdentifier": answer.authorization_identifier}
        case LocalServiceAnswer() if kind is GetLocalServiceStatus:
            return {"LocalService": _write_service(answer.local_service)}
        case LocalServicesAnswer() if kind is GetLocalServicesList:
            return {"LocalService": [_write_service(service) for service in answer.local_services]}
        case Acknowledgement() if kind not in _READ_ANSWER:
            return {}
    raise TypeError(f"{type(answer).__name__} is no answer to {kind.__name__}")


def read_answer(kind: type[RoamingRequest], element: Any) -> RoamingAnswer:
    """The answer in a schema-valid element without ResponseError. Raises `Unreadable`."""
    read = _READ_ANSWER.get(kind)
    return Acknowledgement() if read is None else read(element)


def _read_authorize_answer(element: Any) -> AuthorizeAnswer:
    # Both parts of the contract's answers are optional; an answer with neither grants nothing
    if not element.authorizationIdentifier:
        raise Unreadable("the answer has neither authorizationIdentifier nor ResponseError")
    return AuthorizeAnswer(authorization_identifier=element.authorizationIdentifier)


def _read_status_answer(element: Any) -> LocalServiceAnswer:
    if element.LocalService is None:
        raise Unreadable("the answer has neither LocalService nor ResponseError")
    return LocalServiceAnswer(local_service=_read_service(element.LocalService))


def _read_list_answer(element: Any) -> LocalServicesAnswer:
    return LocalServicesAnswer(local_services=tuple(map(_read_service, element.LocalService or ())))


def _write_service(service: LocalService) -> Tree:
    return {
        "localServiceIdentifier": service.local_service_identifier,
        "localServiceStatus": service.status.value,
        "serviceTypesList": [service_type.value for service_type in service.service_types],
        "Location": write_location(service.location),
    }


def _read_service(element: Any) -> LocalService:
    return LocalService(
        # zeep reads an empty element as None
        local_service_identifier=element.localServiceIdentifier or "",
        status=ServiceStatus(element.localServiceStatus),
        service_types=_service_types(element.serviceTypesList),
        location=read_location(element.Location),
    )


_READ_ANSWER: dict[type[RoamingRequest], Callable[[Any], RoamingAnswer]] = {
    Authorize: _read_authorize_answer,
    GetLocalServiceStatus: _read_status_answer,
    GetLocalServicesList: _read_list_answer,
}
