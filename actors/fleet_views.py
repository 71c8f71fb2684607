"""Stations as lists and their own pages show them: pure functions of the fleet and of what a station's actor knows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from actors.context import Context
from actors.station_messages import StationLook
from actors.station_standing import is_online
from statecharts import station
from statecharts.fleet import Member, Origin
from statecharts.fleet_door import (
    BootView,
    ChargeView,
    ConnectorView,
    ReservationView,
    SecurityView,
    StandingView,
    StationSheet,
    StationView,
)
from statecharts.model_limits import limits_of
from statecharts.station import Registration, StationCharge
from statecharts.station_details import EvseDetails

BROKEN = "Quarantined"
"""What lists show in place of the registration of a station whose actor cannot tell it."""


def view_of(context: Context, member: Member, look: StationLook | None) -> StationView:
    """A station in a list; `look` is None where its actor was put aside."""
    boot = look.data.registration.boot if look else None
    return StationView(
        identity=member.identity,
        origin=member.origin,
        standing=member.standing.state,
        registration=look.data.registration.state if look else BROKEN,
        online=is_online(context, member.identity) if look else False,
        connectors={str(number): look.data.evse(number).state for number in shown_connectors(look)} if look else {},
        vendor=boot.vendor if boot else None,
        model=boot.model if boot else None,
        protocol=look.data.connection.protocol if look else None,
        last_seen_at=look.last_seen_at if look else None,
        flags=flags_of(member),
    )


def sheet_of(context: Context, member: Member, look: StationLook | None) -> StationSheet:
    """Everything that is known of a station."""
    entry, details, decided = member.entry, member.details, member.standing
    connection = look.data.connection if look else station.Connection()
    online = is_online(context, member.identity) if look else False
    return StationSheet(
        identity=member.identity,
        origin=member.origin,
        standing=StandingView(
            state=decided.state, since=decided.since, by=decided.by or None, reason=decided.reason or None
        ),
        registration=look.data.registration.state if look else BROKEN,
        online=online,
        online_since=connection.since if online else None,
        connectors=tuple(_connectors(look, details.evses)) if look else (),
        reservations=tuple(_reservations(look, context.clock.wall())) if look else (),
        security=_security(member),
        connection_timeout_s=entry.connection_timeout_s,
        service_types=entry.service_types,
        boot=_boot(look.data.registration) if look else None,
        protocol=connection.protocol,
        ocpp_version=entry.ocpp_version,
        last_seen_at=look.last_seen_at if look else None,
        location=entry.location,
        name=details.name,
        address=details.address,
        opening_hours=details.opening_hours,
        price_note=details.price_note,
        registered_at=member.record.since if member.record and member.record.own else None,
        limits=limits_of(context.settings.quirks, look.data.registration.boot if look else None),
        flags=flags_of(member),
    )


def flags_of(member: Member) -> tuple[str, ...]:
    """What an operator should know: that a station stands in both places, or has no place yet."""
    in_both = member.origin is Origin.FILE and member.record is not None and member.record.own is not None
    placeless = member.entry.location is None or not member.entry.connectors
    return (*(("in-file-and-store",) if in_both else ()), *(("incomplete",) if placeless else ()))


def shown_connectors(look: StationLook) -> tuple[int, ...]:
    """Those that the station should have; of one of which nobody has said how many, those that it has named."""
    return look.connectors or tuple(sorted(number for number in look.data.evses if number > 0))


def _connectors(look: StationLook, told: Iterable[EvseDetails]) -> Iterable[ConnectorView]:
    by_number = {each.connector: each for each in told}
    for number in shown_connectors(look):
        shown, details, charge = look.data.evse(number), by_number.get(number), look.data.open_on(number)
        yield ConnectorView(
            connector=number,
            state=shown.state,
            since=shown.since,
            error_code=None if shown.error_code == "NoError" else shown.error_code,
            label=details.label if details else None,
            plugs=details.plugs if details else (),
            plug_states={str(plug): str(state) for plug, state in sorted(shown.plugs.items())},
            charge=_charge(charge) if charge else None,
        )


def _reservations(look: StationLook, now: datetime) -> Iterable[ReservationView]:
    """Those that count now, the one that lapses first before others."""
    kept = ((each.expires_at, each) for each in look.data.reservations.values() if each.counts(now) and each.expires_at)
    for expires_at, each in sorted(kept, key=lambda one: (one[0], one[1].number)):
        yield ReservationView(
            reservation_id=each.number,
            connector=each.connector_id,
            id_tag=each.id_tag,
            group=each.group,
            expires_at=expires_at,
            state=each.state,
        )


def _charge(charge: StationCharge) -> ChargeView:
    role, _, identifier = charge.transaction.partition("/")
    return ChargeView(
        role=role,
        transaction_id=identifier,
        number=charge.number,
        id_tag=charge.start.id_tag,
        start_timestamp=charge.start.timestamp,
    )


def _boot(registration: Registration) -> BootView | None:
    boot = registration.boot
    if boot is None:
        return None
    return BootView(
        at=registration.since,
        vendor=boot.vendor,
        model=boot.model,
        serial_number=boot.serial_number,
        firmware_version=boot.firmware_version,
        iccid=boot.iccid,
        imsi=boot.imsi,
        meter_type=boot.meter_type,
        meter_serial_number=boot.meter_serial_number,
        reason=boot.reason,
    )


def _security(member: Member) -> SecurityView:
    credentials, key = member.entry.credentials, member.key
    has_one = credentials.password_hash is not None
    origin = Origin.STORE if key.password_hash else member.origin
    return SecurityView(
        security_profile=int(credentials.profile),
        has_password=has_one,
        password_from=origin if has_one else None,
        key_state=key.state if has_one else None,
        key_cause=key.cause or None,
        certificate_name=credentials.certificate_name,
        certificate_issuer=credentials.certificate_issuer,
    )
