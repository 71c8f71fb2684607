"""What we, as the Destination, report to a Source: true reports, and those that it must not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from protocols.verify import steps
from statecharts.events import Event
from statecharts.source_events import ProgressReported, ResultNotified, S, TransactionEnded
from statecharts.vocabulary import (
    EndTransaction,
    NotifyRequestResult,
    SourceRequest,
    TransactionData,
    TransactionProgressUpdate,
    TransactionStatus,
)

if TYPE_CHECKING:
    from protocols.verify.source import SourceLife

NO_NAME = "FFFFFFFFFFFF"
STEP_WH = 100

_OTHERS = {
    "other-user": {"user_identifier": "somebody-else"},
    "other-operator": {"home_operator_identifier": "XX-NOBODY"},
    "other-service": {"local_service_identifier": "another-service"},
}


class Made(NamedTuple):
    """A report, and what it is to the partner's chart; no event is of no transaction of its."""

    message: SourceRequest
    event: Event | None


def made(life: SourceLife, step: steps.Report) -> Made | None:
    """The report of this kind as things are now; None where there is nothing to report."""
    unknown = step.how == "unknown"
    if step.what == "notify":
        return _unasked(life) if unknown else _result(life, step.how != "failed")
    name = NO_NAME if unknown else life.data.authorization_identifier
    if name is None:
        return None
    if step.what == "progress":
        life.energy_wh += STEP_WH
        return _progress(life, name, _content(life, name, step.how))
    return _end(life, name, step.how)


def _unasked(life: SourceLife) -> Made:
    return Made(NotifyRequestResult(request_identifier=life.scene.new_id(), request_success=True), None)


def _result(life: SourceLife, success: bool) -> Made | None:
    """The result of what was asked last."""
    if not life.asked:
        return None
    identifier, cause = life.asked[-1].request_identifier, None if success else "the station refused"
    return Made(
        NotifyRequestResult(request_identifier=identifier, request_success=success, cause=cause),
        ResultNotified(at=life.scene.clock.now(), request_identifier=identifier, success=success, cause=cause),
    )


def _progress(life: SourceLife, name: str, content: TransactionData) -> Made:
    message = TransactionProgressUpdate(
        authorization_identifier=name, start_transaction_timestamp=life.started_at, transaction_data=content
    )
    event = ProgressReported(
        at=life.scene.clock.now(), authorization_identifier=name, start_timestamp=life.started_at, content=content
    )
    return Made(message, None if name == NO_NAME else event)


def _end(life: SourceLife, name: str, how: str) -> Made:
    """The charge record; the same again once there is one, unless it shall be another."""
    known = life.data.end
    if known is not None and how in ("good", "changed"):
        message = known
    else:
        now = life.scene.clock.now()
        content = msgspec.structs.replace(
            _content(life, name, how), end_timestamp=now, transaction_status=TransactionStatus.TERMINATED
        )
        message = EndTransaction(
            authorization_identifier=name,
            start_transaction_timestamp=life.started_at,
            end_transaction_timestamp=now,
            transaction_data=content,
        )
    if how == "changed" and life.data.state == S.SETTLED:
        more = (message.transaction_data.energy_wh or 0) + 1
        data = msgspec.structs.replace(message.transaction_data, energy_wh=more)
        message = msgspec.structs.replace(message, transaction_data=data)
    event = TransactionEnded(at=life.scene.clock.now(), message=message)
    return Made(message, None if name == NO_NAME else event)


def _content(life: SourceLife, name: str, how: str) -> TransactionData:
    options = life.scene.options
    content = TransactionData(
        start_timestamp=life.started_at,
        transaction_status=TransactionStatus.ACTIVE,
        energy_wh=life.energy_wh,
        local_operator_identifier=options.own_pms,
        local_service_identifier=options.service,
        home_operator_identifier=options.partner_pms,
        user_identifier=options.app.user if options.app else options.user,
        authorization_identifier=name,
    )
    return msgspec.structs.replace(content, **_OTHERS.get(how, {}))
