"""What a Destination told us of a transaction, held against what its own chart and the station's meter know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from statecharts.station_commands import RemoteStartTransaction, RemoteStopTransaction
from statecharts.vocabulary import (
    EndTransaction,
    NotifyRequestResult,
    RoamingRequest,
    ServiceType,
    TransactionData,
    TransactionProgressUpdate,
    TransactionStatus,
)

if TYPE_CHECKING:
    from protocols.verify.destination import Life

CLOCKS_APART = timedelta(seconds=60)
"""How far the partner's times may be from the station's: it may keep its own."""

R = TypeVar("R", bound=RoamingRequest)


def judge_reports(life: Life) -> None:
    """Notes every rule of reports that did not hold in this transaction."""
    _judge_results(life)
    _judge_progress(life)
    _judge_end(life)


def _heard(life: Life, kind: type[R]) -> list[R]:
    return [each for each in life.scene.reception.heard if isinstance(each, kind)]


# -- what the station was told -----------------------------------------------------------------------------------------


def judge_commands(life: Life) -> None:
    """Notes what the station was told that nobody asked for."""
    station = life.scene.station
    if station is None:
        return
    for kind, command in (("start", RemoteStartTransaction), ("stop", RemoteStopTransaction)):
        told, due = sum(isinstance(each, command) for each in station.commands), life.commanded[kind]
        rule = "one-remote-start" if kind == "start" and due else "no-stray-command"
        life.talk.expect(rule, told <= due, f"{told} {command.__name__}, {due} by the chart")


# -- results -----------------------------------------------------------------------------------------------------------


def _judge_results(life: Life) -> None:
    heard = _heard(life, NotifyRequestResult)
    for request in life.data.requests:
        if request.notified is None:
            continue
        name, expected = request.request_identifier, request.notified
        results = [each.request_success for each in heard if each.request_identifier == name]
        life.talk.expect("result-told", bool(results), f"the {request.kind} {name} was taken, and its result not told")
        if results:
            true = expected in results and (results[-1] or not expected)
            seen = f"the {request.kind}: told {results}, at the station it is {expected}"
            life.talk.expect("result-true", true, seen)
    known = {request.request_identifier for request in life.data.requests}
    for each in heard:
        asked = each.request_identifier in known | life.scene.asked_before
        life.talk.expect("result-asked", asked, f"a result is told of {each.request_identifier}")
    _judge_repeats(life, NotifyRequestResult)


def _judge_repeats(life: Life, kind: type[NotifyRequestResult | EndTransaction]) -> None:
    """Whether each report that we did not acknowledge came again."""
    acknowledged = [each for each in life.scene.reception.answered if isinstance(each, kind)]
    for report in life.unacknowledged:
        if isinstance(report, kind):
            again = _key(report) in map(_key, acknowledged)
            seen = f"{kind.__name__} was answered with an error, and never came again"
            life.talk.expect("report-repeated", again, seen)


def _key(report: NotifyRequestResult | EndTransaction) -> object:
    if isinstance(report, EndTransaction):
        return report.authorization_identifier
    return report.request_identifier, report.request_success


# -- progress ----------------------------------------------------------------------------------------------------------


def _judge_progress(life: Life) -> None:
    heard = _heard(life, TransactionProgressUpdate)
    if life.metered:
        sent = any(each.authorization_identifier == life.data.id for each in heard)
        life.talk.expect("progress-sent", sent, "the charge was metered, and no transactionProgressUpdate came")
    for each in heard:
        if each.authorization_identifier in life.scene.names - {life.data.id}:
            continue  # late news of an earlier flow
        content = each.transaction_data
        wrong = list(_wrong_names(life, content, each.authorization_identifier))
        if content.transaction_status is not TransactionStatus.ACTIVE:
            wrong.append(f"transactionStatus {content.transaction_status}")
        if _energy_metered(life) is not None and (content.energy_wh or 0) > (_energy_metered(life) or 0):
            wrong.append(f"{content.energy_wh} Wh, metered {_energy_metered(life)}")
        life.talk.expect("progress-true", not wrong, "; ".join(wrong))


def _energy_metered(life: Life) -> int | None:
    return life.data.charge.energy_wh if life.scene.station is not None else None


def _wrong_names(life: Life, content: TransactionData, outer: str) -> Iterable[str]:
    """What in this content names something else than what was authorised."""
    options = life.scene.options
    wanted = {
        "authorizationIdentifier": (life.data.id, outer),
        "inner authorizationIdentifier": (life.data.id, content.authorization_identifier),
        "localOperatorIdentifier": (options.partner_pms, content.local_operator_identifier),
        "homeOperatorIdentifier": (options.own_pms, content.home_operator_identifier),
        "localServiceIdentifier": (options.service, content.local_service_identifier),
        "userIdentifier": (life.data.user_identifier, content.user_identifier),
        "serviceType": (ServiceType.EV_CHARGING, content.service_type),
    }
    for name, (expected, given) in wanted.items():
        if given != expected:
            yield f"{name} {given!r}, not {expected!r}"


# -- the charge record -------------------------------------------------------------------------------------------------


def _judge_end(life: Life) -> None:
    heard, records = _heard(life, EndTransaction), life.scene.ended
    if life.data.end is not None:
        own = [each for each in heard if each.authorization_identifier == life.data.id]
        seen = f"the charge of {life.data.id} is over, and no endTransaction came"
        life.talk.expect("end-sent", bool(own), seen)
        if not own:
            return
        records[life.data.id] = own[0]
        _judge_record(life, own[0], life.data.end)
    # Those of earlier flows may come late, or again
    for each in heard:
        name = each.authorization_identifier
        if life.scene.station is not None:
            life.talk.expect("end-of-charge", name in records, f"endTransaction of {name}, which has not ended")
        if name in records and each is not records[name]:
            life.talk.expect("end-once", each == records[name], f"two endTransactions of {name} differ")
    _judge_repeats(life, EndTransaction)


def _judge_record(life: Life, end: EndTransaction, expected: EndTransaction) -> None:
    """The record against the one that the chart made of the same facts."""
    content = end.transaction_data
    wrong = list(_wrong_names(life, content, end.authorization_identifier))
    if content.transaction_status is not TransactionStatus.TERMINATED:
        wrong.append(f"transactionStatus {content.transaction_status}")
    life.talk.expect("end-names", not wrong, "; ".join(wrong))
    _judge_energy(life, content.energy_wh, expected.transaction_data.energy_wh)
    said, true = (f"{e.start_transaction_timestamp} to {e.end_transaction_timestamp}" for e in (end, expected))
    life.talk.expect("end-times", _times_fit(end, expected), f"{said}, at the station {true}")


def _judge_energy(life: Life, said_wh: int | None, metered_wh: int | None) -> None:
    """Against the station's meter; without a station we only know that there is none below nothing."""
    if life.scene.station is not None:
        seen = f"{said_wh} Wh, the station metered {metered_wh} Wh"
        life.talk.expect("end-energy", said_wh == metered_wh, seen)
    else:
        life.talk.expect("end-energy", said_wh is not None and said_wh >= 0, f"{said_wh} Wh")


def _times_fit(end: EndTransaction, expected: EndTransaction) -> bool:
    content = end.transaction_data
    starts = (end.start_transaction_timestamp, content.start_timestamp)
    stops = (end.end_transaction_timestamp, content.end_timestamp or end.end_transaction_timestamp)
    near = all(_near(each, expected.start_transaction_timestamp) for each in starts)
    near = near and all(_near(each, expected.end_transaction_timestamp) for each in stops)
    return near and starts[0] <= stops[0]


def _near(time: datetime, expected: datetime) -> bool:
    return abs(time - expected) <= CLOCKS_APART
