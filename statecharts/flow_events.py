"""The transaction that `flows` tells of, and Hypothesis strategies of the single events it may meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from statecharts import destination_events as de
from statecharts import source_events as se
from statecharts import transaction_local as tl
from statecharts.charging import (
    ChargingDeadlines,
    CloseAsked,
    ConnectorTaken,
    MeterRead,
    Opening,
    StationConfirmed,
    StationDenied,
    StationDoubted,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.events import DeadlineReached, Event, NodeRestarted, StationAnswered
from statecharts.ports import AuthorizationRequest
from statecharts.station_commands import CallOutcome, CallVerdict
from statecharts.vocabulary import EndTransaction, Refusal, ServiceType, TransactionData, TransactionStatus

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOME, LOCAL, NAME, STATION, USER = "PT-HOME", "ES-LOCAL", "0A1B2C3D4E5F", "CS01", "ada"
NUMBER, OTHER_NUMBER = 7, 99
AT_SOURCE, AT_STATION = se.SourceDeadlines(), ChargingDeadlines()
FAILED_VERDICTS = (CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT)

REFUSAL = Refusal(code=409, kind="connector-busy", message="the connector is busy")
REQUESTED = se.AuthorizationRequested(
    at=BEGIN,
    id="tx-1",
    app="app",
    own_pms_identifier=HOME,
    request=AuthorizationRequest(user_identifier=USER, destination=LOCAL, local_service_identifier=STATION),
    deadlines=AT_SOURCE,
)
ISSUED = de.AuthorizationIssued(
    at=BEGIN,
    id=NAME,
    peer=HOME,
    own_pms_identifier=LOCAL,
    user_identifier=USER,
    service_type=ServiceType.EV_CHARGING,
    station=STATION,
    connector_asked=1,
    deadlines=AT_STATION,
)
OPENING = Opening(id="local-1", station=STATION, id_tag="CARD", deadlines=AT_STATION)
LOCAL_START = tl.LocalStartRequested(at=BEGIN, opening=OPENING, connector_id=1)


def content(energy_wh: int | None, *, end: datetime | None = None, user: str = USER) -> TransactionData:
    """What the Destination says of the transaction: ended at `end`, or still going on."""
    return TransactionData(
        start_timestamp=BEGIN,
        end_timestamp=end,
        transaction_status=TransactionStatus.TERMINATED if end else TransactionStatus.ACTIVE,
        energy_wh=energy_wh,
        local_operator_identifier=LOCAL,
        local_service_identifier=STATION,
        home_operator_identifier=HOME,
        user_identifier=user,
        authorization_identifier=NAME,
    )


def charge_record(energy_wh: int | None, *, user: str = USER) -> EndTransaction:
    end = BEGIN + timedelta(hours=1)
    return EndTransaction(
        authorization_identifier=NAME,
        start_transaction_timestamp=BEGIN,
        end_transaction_timestamp=end,
        transaction_data=content(energy_wh, end=end, user=user),
    )


# -- single events, sensible or not ------------------------------------------------------------------------------------

_AT = st.just(BEGIN)
_REQUESTS = st.sampled_from(("start-ok", "stop-ok", "start-0", "start-1", "stop-0", "stop-1", "unheard-of"))
_NUMBERS = st.sampled_from((NUMBER, NUMBER, OTHER_NUMBER, -1))
_METERS = st.one_of(st.integers(0, 50_000), st.sampled_from((-1, 10**9)))
_MOMENTS = st.sampled_from((BEGIN, BEGIN + timedelta(hours=1), datetime(1970, 1, 1, tzinfo=UTC)))
_USERS = st.sampled_from((USER, USER, USER, "eve"))
_VERDICTS = st.builds(CallOutcome, verdict=st.sampled_from(CallVerdict), cause=st.sampled_from(("", "broken")))

_CONTENTS = st.builds(content, st.one_of(st.none(), _METERS), user=_USERS)
_RECORDS = st.builds(charge_record, st.one_of(st.none(), st.integers(0, 3)), user=_USERS)


def source_events() -> st.SearchStrategy[Event]:
    """Any one event that a Source's transaction may meet, whether it makes sense or not."""
    request = {"at": _AT, "request_identifier": _REQUESTS}
    return st.one_of(
        st.just(REQUESTED),
        st.builds(se.AuthorizationGranted, at=_AT, authorization_identifier=st.sampled_from((NAME, "FFFFFFFFFFFF"))),
        st.builds(se.AuthorizationRefused, at=_AT, refusal=st.just(REFUSAL)),
        st.builds(se.RequestAccepted, **request),
        st.builds(se.RequestDeclined, **request, refusal=st.just(REFUSAL)),
        st.builds(se.ResultNotified, **request, success=st.booleans(), cause=st.sampled_from((None, "no cable"))),
        st.builds(se.ProgressReported, at=_AT, start_timestamp=_MOMENTS, content=_CONTENTS),
        st.builds(se.TransactionEnded, at=_AT, message=_RECORDS),
        st.builds(DeadlineReached, at=_AT),
        st.builds(NodeRestarted, at=_AT),
    )


def station_events(opening: Opening | None = None) -> st.SearchStrategy[Event]:
    """Any one event of a charge at a station, whoever it is for; with `opening` it is our own."""
    said = {"at": _AT, "timestamp": _MOMENTS, "number": _NUMBERS}
    return st.one_of(
        st.builds(StationAnswered, at=_AT, purpose=st.sampled_from(("start", "stop")), outcome=_VERDICTS),
        st.builds(
            TransactionStarted,
            **said,
            connector_id=st.sampled_from((1, 1, 2)),
            id_tag=st.just(NAME),
            meter_start_wh=_METERS,
            id_tag_accepted=st.booleans(),
            opening=st.just(opening),
        ),
        st.builds(MeterRead, at=_AT, timestamp=_MOMENTS, meter_wh=st.one_of(st.none(), _METERS)),
        st.builds(TransactionStopped, **said, meter_stop_wh=_METERS, reason=st.just("Local")),
        st.builds(StationDoubted, at=_AT, reason=st.just("booted")),
        st.builds(StationConfirmed, at=_AT),
        st.builds(StationDenied, at=_AT),
        st.builds(ConnectorTaken, at=_AT, number=_NUMBERS),
        st.builds(StopAsked, at=_AT),
        st.builds(CloseAsked, at=_AT, reason=st.just("towed away"), by=st.just("olga")),
        st.builds(DeadlineReached, at=_AT),
    )


def destination_events() -> st.SearchStrategy[Event]:
    """Any one event that a Destination's transaction may meet, whether it makes sense or not."""
    operations = st.sampled_from(("NotifyRequestResult", "EndTransaction"))
    statuses = st.sampled_from(("done", "parked", "lapsed"))
    return st.one_of(
        station_events(),
        st.just(ISSUED),
        st.builds(de.StartRequested, at=_AT, request_identifier=_REQUESTS, connector_id=st.sampled_from((1, 2))),
        st.builds(de.StopRequested, at=_AT, request_identifier=_REQUESTS),
        st.builds(de.DeliveryEnded, at=_AT, message_id=st.just("m"), operation=operations, status=statuses),
    )


def local_events() -> st.SearchStrategy[Event]:
    """Any one event that a local transaction may meet, whether it makes sense or not."""
    return st.one_of(
        station_events(OPENING),
        st.just(LOCAL_START),
    )
