"""One roaming charge from the app's tap to the record, and one by card, with nothing going wrong."""

from __future__ import annotations

from typing import Any

from statecharts import source_events as source
from statecharts import station
from statecharts.charging import ChargingDeadlines, MeterRead, Opening, TransactionStarted, TransactionStopped
from statecharts.destination_events import AuthorizationIssued, DeliveryEnded, StartRequested, StopRequested
from statecharts.events import DeadlineReached, StationAnswered
from statecharts.evse import StatusReported
from statecharts.ports import AuthorizationRequest
from statecharts.station_commands import CallOutcome, CallVerdict
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    MeterSample,
    RegistrationStatus,
    StartTransaction,
    StopTransaction,
)
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import EndTransaction, ServiceType, TransactionData, TransactionStatus
from tests.world.history import Finals, History
from tests.world.story import Story, element

NAME = "0A1B2C3D4E5F"
AWAY, HOME = f"destination/{NAME}", "source/t1"
CARD = "local/2"
UNUSED = "F5E4D3C2B1A0"


def good_story(card: str = "CARD0001") -> tuple[History, dict[str, Finals]]:
    """A history and finals that every checker passes, with something in them for each to look at. At the station is
    also charged with `card`.
    """
    story = Story()
    arrives(story)
    authorises(story)
    starts(story)
    charges(story)
    stops(story)
    settles(story)
    charges_by_card(story, card)
    lapses(story)
    return story.over()


def arrives(story: Story) -> None:
    boot = story.call("CS1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    accepted = RegistrationStatus.ACCEPTED
    booted = station.Booted(at=story.now, boot=BootNotification(vendor="V", model="M"), status=accepted)
    story.commit("AWAY", "station/CS1", booted)
    story.reply(boot, {"status": "Accepted", "currentTime": story.now, "interval": 300})
    said = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
    status = story.call("CS1", "StatusNotification", said)
    reported = StatusReported(at=story.now, connector_id=1, status=ConnectorStatus.AVAILABLE)
    story.commit("AWAY", "station/CS1", reported)
    story.reply(status, {})


def authorises(story: Story, home: str = HOME, name: str = NAME, key: str = "charge-1") -> None:
    identifier = home.partition("/")[2]
    request = AuthorizationRequest(user_identifier="anna", destination="AWAY", local_service_identifier="CS1")
    asked = source.AuthorizationRequested(
        at=story.now,
        id=identifier,
        app="app",
        own_pms_identifier="HOME",
        request=request,
        deadlines=source.SourceDeadlines(),
    )
    story.commit("HOME", home, asked)
    authorize = story.ask(
        "HOME", "AWAY", "authorize", element("pmsIdentifier", "HOME") + element("userIdentifier", "anna")
    )
    issued = AuthorizationIssued(
        at=story.now,
        id=name,
        peer="HOME",
        own_pms_identifier="AWAY",
        user_identifier="anna",
        service_type=ServiceType.EV_CHARGING,
        station="CS1",
        connector_asked=1,
        deadlines=ChargingDeadlines(),
    )
    story.commit("AWAY", f"destination/{name}", issued)
    story.answer(authorize, "authorize", element("authorizationIdentifier", name))
    story.commit("HOME", home, source.AuthorizationGranted(at=story.now, authorization_identifier=name))
    story.alias("HOME", "source-authorization/AWAY", name, home)
    for _ in range(2):
        story.rest("HOME", "/api/v1/authorizations", home, key=key)


def lapses(story: Story) -> None:
    """Another authorisation, which nobody uses."""
    authorises(story, "source/t2", UNUSED, "charge-2")
    story.s += ChargingDeadlines().authorization_s
    for node, stream in (("AWAY", f"destination/{UNUSED}"), ("HOME", "source/t2")):
        story.commit(node, stream, DeadlineReached(at=story.now))


def requested(story: Story, operation: str, request: str, at_home: Any, away: Any) -> None:
    story.commit("HOME", HOME, at_home(at=story.now, request_identifier=request))
    named = element("requestIdentifier", request) + element("authorizationIdentifier", NAME)
    exchange = story.ask("HOME", "AWAY", operation, named)
    story.commit("AWAY", AWAY, away)
    story.answer(exchange, operation)
    story.commit("HOME", HOME, source.RequestAccepted(at=story.now, request_identifier=request))


def starts(story: Story) -> None:
    story.s += 10
    asked = StartRequested(at=story.now, request_identifier="r1", connector_id=1)
    requested(story, "requestStartTransaction", "r1", source.StartRequested, asked)
    remote = story.call("AWAY", "RemoteStartTransaction", {"idTag": NAME, "connectorId": 1})
    story.reply(remote, {"status": "Accepted"})
    outcome = CallOutcome(verdict=CallVerdict.ACCEPTED, status="Accepted")
    story.commit("AWAY", AWAY, StationAnswered(at=story.now, purpose="start", outcome=outcome))
    began(story, AWAY, NAME, 1, 1_000)
    notified(story, "r1")


def began(story: Story, stream: str, id_tag: str, number: int, meter: int) -> None:
    """A charge begins at connector 1, and its node takes it."""
    at = story.now.replace(microsecond=0)
    seen = {"connector_id": 1, "id_tag": id_tag, "started_at": at.isoformat(), "meter_start_wh": meter}
    story.charge(**seen)
    said = {"connectorId": 1, "idTag": id_tag, "meterStart": meter, "timestamp": at}
    call = story.call("CS1", "StartTransaction", said)
    start = StartTransaction(connector_id=1, id_tag=id_tag, meter_start_wh=meter, timestamp=at)
    opened = station.ChargeOpened(at=story.now, number=number, transaction=stream, start=start)
    story.commit("AWAY", "station/CS1", opened)
    role, _, name = stream.partition("/")
    opening = Opening(id=name, station="CS1", id_tag=id_tag, deadlines=ChargingDeadlines())
    taken = TransactionStarted(
        at=story.now,
        number=number,
        connector_id=1,
        id_tag=id_tag,
        timestamp=at,
        meter_start_wh=meter,
        opening=opening if role == "local" else None,
    )
    story.commit("AWAY", stream, taken)
    info = IdTagInfo(status=IdTagStatus.ACCEPTED)
    judged = station.ChargeJudged(at=story.now, number=number, transaction=stream, id_tag_info=info)
    story.commit("AWAY", "station/CS1", judged)
    story.reply(call, {"transactionId": number, "idTagInfo": {"status": "Accepted"}})
    story.charge(**seen, transaction_id=number)


def notified(story: Story, request: str) -> None:
    content = element("requestIdentifier", request) + element("requestSuccess", "true")
    exchange = story.ask("AWAY", "HOME", "notifyRequestResult", content)
    story.commit("HOME", HOME, source.ResultNotified(at=story.now, request_identifier=request, success=True))
    story.answer(exchange, "notifyRequestResult")
    message = f"notify/HOME/{NAME}/{request}/True"
    done = DeliveryEnded(at=story.now, message_id=message, operation="NotifyRequestResult", status="done")
    story.commit("AWAY", AWAY, done)
    story.owe("AWAY", AWAY, "NotifyRequestResult")


def charges(story: Story) -> None:
    story.s += 60
    at = story.now
    sampled = {"timestamp": at, "sampledValue": [{"value": "2000"}]}
    call = story.call("CS1", "MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": [sampled]})
    sample = MeterSample(timestamp=at, value="2000")
    story.commit("AWAY", AWAY, MeterRead(at=story.now, timestamp=sample.timestamp, meter_wh=2_000, samples=(sample,)))
    story.reply(call, {})
    data = content_of(story, 1_000, ended=False)
    told = story.ask("AWAY", "HOME", "transactionProgressUpdate", outer(data) + inside(data))
    reported = source.ProgressReported(
        at=story.now, authorization_identifier=NAME, start_timestamp=data.start_timestamp, content=data
    )
    story.commit("HOME", HOME, reported)
    story.answer(told, "transactionProgressUpdate")


def stops(story: Story) -> None:
    story.s += 60
    asked = StopRequested(at=story.now, request_identifier="r2")
    requested(story, "requestStopTransaction", "r2", source.StopRequested, asked)
    remote = story.call("AWAY", "RemoteStopTransaction", {"transactionId": 1})
    story.reply(remote, {"status": "Accepted"})
    ended(story, AWAY, NAME, 1, 1_000, 4_200)
    notified(story, "r2")


def ended(story: Story, stream: str, id_tag: str, number: int, meter_start: int, meter: int) -> None:
    at = story.now.replace(microsecond=0)
    start = story.data["AWAY", stream].charge.start_timestamp
    seen = {"connector_id": 1, "id_tag": id_tag, "started_at": start.isoformat(), "meter_start_wh": meter_start}
    story.charge(**seen, transaction_id=number, stopped_at=at.isoformat(), meter_stop_wh=meter, reason="Remote")
    said = {"transactionId": number, "meterStop": meter, "timestamp": at, "reason": "Remote"}
    call = story.call("CS1", "StopTransaction", said)
    over = TransactionStopped(at=story.now, number=number, timestamp=at, meter_stop_wh=meter, reason="Remote")
    story.commit("AWAY", stream, over)
    stop = StopTransaction(transaction_id=number, meter_stop_wh=meter, timestamp=at, reason="Remote")
    story.commit("AWAY", "station/CS1", station.ChargeClosed(at=story.now, number=number, stop=stop))
    story.reply(call, {})


def settles(story: Story) -> None:
    data = content_of(story, 3_200, ended=True)
    assert data.end_timestamp is not None
    end = element("endTransactionTimestamp", data.end_timestamp.isoformat())
    exchange = story.ask("AWAY", "HOME", "endTransaction", outer(data) + end + inside(data))
    message = EndTransaction(
        authorization_identifier=NAME,
        start_transaction_timestamp=data.start_timestamp,
        end_transaction_timestamp=data.end_timestamp,
        transaction_data=data,
    )
    story.commit("HOME", HOME, source.TransactionEnded(at=story.now, message=message))
    story.answer(exchange, "endTransaction")
    done = DeliveryEnded(at=story.now, message_id=f"end/HOME/{NAME}", operation="EndTransaction", status="done")
    story.commit("AWAY", AWAY, done)
    story.owe("AWAY", AWAY, "EndTransaction")


def charges_by_card(story: Story, card: str) -> None:
    story.s += 600
    began(story, CARD, card, 2, 4_200)
    story.s += 300
    ended(story, CARD, card, 2, 4_200, 5_000)


def content_of(story: Story, energy_wh: int, *, ended: bool) -> TransactionData:
    charge = story.data["AWAY", AWAY].charge
    return TransactionData(
        start_timestamp=charge.start_timestamp,
        end_timestamp=charge.stop_timestamp if ended else None,
        transaction_status=TransactionStatus.TERMINATED if ended else TransactionStatus.ACTIVE,
        energy_wh=energy_wh,
        local_operator_identifier="AWAY",
        local_service_identifier="CS1",
        home_operator_identifier="HOME",
        user_identifier="anna",
        authorization_identifier=NAME,
    )


def outer(data: TransactionData) -> str:
    return element("authorizationIdentifier", NAME) + element(
        "startTransactionTimestamp", data.start_timestamp.isoformat()
    )


def inside(data: TransactionData) -> str:
    energy = element("energyConsumed", f"{(data.energy_wh or 0) / 1000:.3f}") + element("energyUnit", "kWh")
    return element("TransactionData", energy + element("authorizationIdentifier", NAME))
