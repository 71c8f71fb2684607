"""In-memory doors that keep the contracts of statecharts/ports.py, and an app behind a client that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Unpack

import msgspec
import trio
from quart_trio import QuartTrio

from protocols.rest import make_app
from protocols.rest.app import ApiSettings, Pages
from statecharts.audit import AuditFilter, AuditView, Deed
from statecharts.cards import Card, CardFilter, CardGroup, CardRecord, CardsPut, GroupChange, LocalListView
from statecharts.doors import (
    Ailment,
    CoursePoint,
    FirstAnswer,
    LocalServicesFound,
    LogEntryView,
    Notice,
    OrphanView,
    QuarantineView,
    QuirkView,
    StationOperation,
)
from statecharts.fleet_door import (
    Acceptance,
    ConnectorView,
    NewCredentials,
    NewStation,
    SecurityView,
    StandingView,
    StationChanges,
    StationFilter,
    StationSheet,
    StationShown,
    StationView,
)
from statecharts.meters import Meters, Reading
from statecharts.peers_door import (
    DeliveryTotals,
    DeliveryView,
    LinkView,
    PeerSheet,
    PeerTest,
    PeerView,
    RecordView,
    Replayed,
    TriedCall,
)
from statecharts.ports import (
    AuthorizationRequest,
    CdrView,
    Change,
    OperationView,
    Page,
    Principal,
    Rank,
    TransactionView,
)
from statecharts.searches import CdrSearch, DeliverySearch, TransactionSearch
from statecharts.station_commands import StationCommand
from statecharts.timeline import Channel, Timeline, TimelineEntry
from statecharts.vocabulary import LocalService, Location, ServiceStatus, ServiceType, refused
from statecharts.webhooks_door import HookDeliveryView, HookEvent, NewWebhook, WebhookMade, WebhookView

NOON = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
FINAL = ("Settled", "Refused", "Expired")

READY = TransactionView(
    transaction_id="tx-1",
    role="source",
    state="Ready",
    version=2,
    created_at=NOON,
    changed_at=NOON + timedelta(milliseconds=250),
    user_identifier="alice",
    local_service_identifier="DEMO_001",
    pms_identifier="IE-001",
    connector_identifier="1",
    authorization_identifier="0A1B2C3D4E5F",
    expires_at=NOON + timedelta(minutes=15),
)
OPERATION = StationOperation(
    id="op-1",
    station="CS01",
    command="Reset",
    request={"kind": "Soft"},
    by="console",
    state="Waiting",
    asked_at=NOON,
    changed_at=NOON,
    waits_for="the station boots",
    until=NOON,
    verdict="Accepted",
    status="Accepted",
)
CARD = CardRecord(id_tag="04A1B2", group="FLEET-7", valid_until=NOON, changed_at=NOON, changed_by="olga")
ORPHAN = OrphanView(
    id=1,
    station="CS01",
    kind="StopTransaction",
    at=NOON,
    report={"type": "StopTransaction", "transaction_id": 7},
    why="this station has no charge 7",
    state="open",
)
SHEET = StationSheet(
    identity="CS01",
    origin="file",
    standing=StandingView(state="Accepted"),
    registration="Accepted",
    online=False,
    connectors=(ConnectorView(connector=1, state="Available", since=NOON),),
    security=SecurityView(security_profile=1, has_password=True),
    connection_timeout_s=120,
    service_types=(ServiceType.EV_CHARGING,),
    location=Location(latitude=Decimal("52.3702"), longitude=Decimal("4.8952")),
)
QUIRK = QuirkView(
    vendor="Acme",
    model="One",
    action="StartTransaction",
    what="`$.idTag` has 23 characters, 20 are allowed",
    handling="taken",
    times=7,
    stations=2,
    first_at=NOON,
    last_at=NOON,
    example="{}",
)
CDR = CdrView(
    cdr_id="IE-001/0A1B2C3D4E5F",
    pms_identifier="IE-001",
    authorization_identifier="0A1B2C3D4E5F",
    local_service_identifier="DEMO_001",
    user_identifier="alice",
    start_timestamp=NOON,
    end_timestamp=NOON + timedelta(hours=1),
    energy_wh=12345,
    status="acknowledged",
)
LETTER = DeliveryView(
    id=7,
    peer="IE-001",
    operation="EndTransaction",
    transaction="destination/0A1B2C3D4E5F",
    status="parked",
    created_at=NOON,
    attempts=3,
    overdue=True,
    message={"type": "EndTransaction"},
    error="400: bad",
)
STATION = LocalService(
    local_service_identifier="DEMO_001",
    status=ServiceStatus.AVAILABLE,
    service_types=(ServiceType.EV_CHARGING,),
    location=Location(latitude=Decimal("53.349805"), longitude=Decimal("-6.260310")),
    distance_m=250,
    pms_identifier="IE-001",
)


PRINCIPALS = {
    "app-token": Principal(name="app", users=frozenset({"alice", "bob"})),
    "other-token": Principal(name="other", users=frozenset({"carol"})),
    "operator-token": Principal(name="operator", operator=True),
    **{f"{rank}-rank-token": Principal(name=f"a-{rank}", operator=True, rank=rank) for rank in Rank},
}


class FakeTokens:
    def principal(self, token: str) -> Principal | None:
        return PRINCIPALS.get(token)


class FakeAnswers:
    """First answers, kept for as long as the test lasts."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], FirstAnswer] = {}

    async def find(self, app: str, key: str) -> FirstAnswer | None:
        return self.kept.get((app, key))

    def keep(self, app: str, key: str, answer: FirstAnswer) -> None:
        self.kept[app, key] = answer


class FakeApps:
    """One Source: transactions by id, what was asked, and changes that a test makes with `change`.

    A transaction stands since the position that is ten times its version.
    """

    def __init__(self, *transactions: TransactionView) -> None:
        self.views = {view.transaction_id: view for view in transactions}
        self.asked: list[Any] = []
        self.changed = trio.Event()
        self.draining = trio.Event()
        self.streams = 0
        self.fails_with: Exception | None = None

    def change(self, transaction_id: str, **fields: Any) -> None:
        view = self.views[transaction_id]
        self.views[transaction_id] = msgspec.structs.replace(view, version=view.version + 1, **fields)
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def authorize(self, principal: Principal, request: AuthorizationRequest) -> TransactionView:
        self._note(request)
        if not principal.may_act_for(request.user_identifier):
            raise refused(403, "user-not-allowed", "this app may not act for that user")
        if request.local_service_identifier == "BUSY":
            raise refused(409, "peer-refused", "the connector is in use")
        view = msgspec.structs.replace(READY, user_identifier=request.user_identifier)
        self.views[view.transaction_id] = view
        return view

    async def start(self, principal: Principal, transaction_id: str, idempotency_key: str | None) -> TransactionView:
        return await self._operate(principal, transaction_id, "start", "StartTxRequested", idempotency_key)

    async def stop(self, principal: Principal, transaction_id: str, idempotency_key: str | None) -> TransactionView:
        return await self._operate(principal, transaction_id, "stop", "StopTxRequested", idempotency_key)

    async def _operate(
        self, principal: Principal, transaction_id: str, kind: str, state: str, key: str | None
    ) -> TransactionView:
        view = await self.transaction(principal, transaction_id)
        self._note((kind, transaction_id, key))
        if kind == "stop" and view.state != "TxRunning":
            raise refused(409, "not-started", "there is nothing to stop")
        operation = OperationView(
            request_identifier=f"{kind}-request",
            kind=kind,
            status="pending",
            requested_at=NOON + timedelta(minutes=1),
            waits_for="notifyRequestResult",
            until=NOON + timedelta(minutes=4),
        )
        self.change(
            transaction_id,
            state=state,
            request_identifier=operation.request_identifier,
            operations=(*view.operations, operation),
        )
        return self.views[transaction_id]

    async def transaction(self, principal: Principal, transaction_id: str) -> TransactionView:
        self._note(("transaction", transaction_id))
        view = self.views.get(transaction_id)
        if view is None or not principal.may_act_for(view.user_identifier):
            raise refused(404, "unknown-transaction", "there is no such transaction")
        return view

    async def course(self, principal: Principal, transaction_id: str) -> tuple[CoursePoint, ...]:
        await self.transaction(principal, transaction_id)
        return CoursePoint(at=NOON, energy_wh=0), CoursePoint(at=NOON + timedelta(minutes=1), energy_wh=180)

    async def by_authorization(self, principal: Principal, authorization_identifier: str) -> TransactionView:
        self._note(("by_authorization", authorization_identifier))
        for view in self.views.values():
            if view.authorization_identifier == authorization_identifier and principal.may_act_for(
                view.user_identifier
            ):
                return view
        raise refused(404, "unknown-transaction", "there is no such authorisation")

    async def transactions(
        self, principal: Principal, *, state: str | None, user_identifier: str | None, cursor: str | None, limit: int
    ) -> Page[TransactionView]:
        self._note((state, user_identifier, cursor, limit))
        seen = [view for view in self.views.values() if principal.may_act_for(view.user_identifier)]
        more = "next" if len(seen) > limit else None
        return Page(items=tuple(seen[:limit]), next_cursor=more)

    async def newest(self, principal: Principal, transaction_id: str) -> Change:
        return _standing(await self.transaction(principal, transaction_id))

    async def changes(self, principal: Principal, transaction_id: str, seen: int) -> AsyncIterator[Change | None]:
        self.streams += 1
        try:
            while not self.draining.is_set():
                change, changed = _standing(self.views[transaction_id]), self.changed
                if change.position != seen:
                    seen = change.position
                    yield change
                    if change.transaction.state in FINAL:
                        return
                    continue
                yield None
                await changed.wait()
        finally:
            self.streams -= 1

    async def position(self) -> int:
        return max((_standing(view).position for view in self.views.values()), default=0)

    async def feed(self, principal: Principal, after: int) -> AsyncIterator[Change | None]:
        while not self.draining.is_set():
            changed = self.changed
            seen = [view for view in self.views.values() if principal.may_act_for(view.user_identifier)]
            for change in sorted(map(_standing, seen), key=lambda change: change.position):
                if change.position > after:
                    after = change.position
                    yield change
            yield None
            await changed.wait()

    async def local_services(
        self,
        principal: Principal,
        *,
        location: Location,
        radius_m: int,
        service_types: tuple[ServiceType, ...],
        destinations: tuple[str, ...],
    ) -> LocalServicesFound:
        self._note((location, radius_m, service_types, destinations))
        return LocalServicesFound(local_services=(STATION,), unanswered={"NL-OTH": "no answer within 5 s"})

    async def local_service(self, principal: Principal, destination: str, identifier: str) -> LocalService:
        self._note((destination, identifier))
        if (destination, identifier) != ("IE-001", "DEMO_001"):
            raise refused(404, "peer-refused", "there is no such local service")
        return STATION

    def _note(self, asked: Any) -> None:
        self.asked.append(asked)
        if self.fails_with is not None:
            raise self.fails_with


def _standing(view: TransactionView) -> Change:
    return Change(position=10 * view.version, transaction=view)


class FakeInsight:
    """A node that ails from what a test says, and from draining."""

    def __init__(self, draining: trio.Event) -> None:
        self.draining = draining
        self.others: tuple[Ailment, ...] = ()

    async def ailments(self) -> tuple[Ailment, ...]:
        drains = (Ailment(check="draining", reason="the node is shutting down"),) if self.draining.is_set() else ()
        return (*drains, *self.others)

    async def readings(self) -> tuple[Reading, ...]:
        samples = ((("IE-001", "pending"), 2.0),)
        return (Reading(name="roamnode_deliveries", meaning="Owed", labels=("peer", "status"), samples=samples),)


class FakeTrail:
    """An audit log in memory; while it is `away` nothing can be written or read."""

    def __init__(self) -> None:
        self.deeds: list[AuditView] = []
        self.bodies: list[bytes | None] = []
        self.wanted: list[AuditFilter] = []
        self.away = False

    async def asked(self, deed: Deed) -> int:
        self._reach()
        told = {**msgspec.structs.asdict(deed), "body": None}
        self.bodies.append(deed.body)
        self.deeds.append(AuditView(id=len(self.deeds) + 1, at=NOON, **told))
        return len(self.deeds)

    async def answered(self, number: int, status: int, problem: str | None) -> None:
        self._reach()
        outcome = {"status": status, "problem": problem, "answered_at": NOON}
        self.deeds[number - 1] = msgspec.structs.replace(self.deeds[number - 1], **outcome)

    async def page(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> Page[AuditView]:
        self._reach()
        self.wanted.append(wanted)
        return Page(items=tuple(reversed(self.deeds)))

    def _reach(self) -> None:
        if self.away:
            raise refused(503, "store-unavailable", "nothing was written: the disk is full")


class FakeOperators:
    """One Destination as its operator sees it."""

    def __init__(self) -> None:
        self.trail = FakeTrail()
        self.last: TransactionView | None = None
        self.asked: list[Any] = []
        self.records: Sequence[CdrView] = (CDR,)

    async def last_open_session(self) -> TransactionView | None:
        return self.last

    async def transactions(
        self, *, cursor: str | None, limit: int, **search: Unpack[TransactionSearch]
    ) -> Page[TransactionView]:
        self.asked.append(({name: value for name, value in search.items() if value is not None}, cursor, limit))
        return Page(items=(READY,))

    async def transaction(self, role: str, identifier: str) -> TransactionView:
        if identifier != READY.transaction_id:
            raise refused(404, "unknown-transaction", "there is no such transaction")
        return msgspec.structs.replace(READY, role=role)

    async def position(self) -> int:
        return 20

    async def feed(self, role: str | None, after: int) -> AsyncIterator[Change | None]:
        self.asked.append(("feed", role, after))
        yield _standing(READY)

    async def notices(self) -> AsyncIterator[tuple[Notice, ...]]:
        yield ()
        yield (Notice(resource="stations", id="CS01"), Notice(resource="audit"))

    async def cdrs(self, *, cursor: str | None, limit: int, **search: Unpack[CdrSearch]) -> Page[CdrView]:
        self.asked.append(({name: value for name, value in search.items() if value is not None}, cursor, limit))
        begin = int(cursor or 0)
        more = str(begin + limit) if begin + limit < len(self.records) else None
        return Page(items=tuple(self.records[begin : begin + limit]), next_cursor=more)

    async def orphans(
        self, *, station: str | None, kind: str | None, state: str, cursor: str | None, limit: int
    ) -> Page[OrphanView]:
        self.asked.append(("orphans", station, kind, state, limit))
        return Page(items=(ORPHAN,))

    async def orphan(self, orphan_id: int) -> OrphanView:
        if orphan_id != 1:
            raise refused(404, "unknown-orphan", "there is no such orphan")
        return ORPHAN

    async def assign_orphan(self, orphan_id: int, role: str, transaction: str, by: str) -> OrphanView:
        before, stream = await self.orphan(orphan_id), f"{role}/{transaction}"
        return msgspec.structs.replace(before, state="assigned", decided_at=NOON, decided_by=by, transaction=stream)

    async def dismiss_orphan(self, orphan_id: int, reason: str, by: str) -> OrphanView:
        before = await self.orphan(orphan_id)
        return msgspec.structs.replace(before, state="dismissed", decided_at=NOON, decided_by=by, reason=reason)

    async def quirks(
        self, *, station: str | None, vendor: str | None, model: str | None, cursor: str | None, limit: int
    ) -> Page[QuirkView]:
        self.asked.append(("quirks", station, vendor, model, limit))
        return Page(items=(QUIRK,))

    async def stations(self, wanted: StationFilter, *, cursor: str | None, limit: int) -> Page[StationView]:
        self.asked.append((wanted, cursor, limit))
        view = StationView(
            identity="CS01",
            origin="file",
            standing="Accepted",
            registration="Accepted",
            online=False,
            connectors={"1": "Available"},
        )
        return Page(items=(view,), next_cursor="more")

    async def station(self, identity: str) -> StationSheet:
        if identity != "CS01":
            raise refused(404, "unknown-station", "there is no such station")
        return SHEET

    async def register_station(self, new: NewStation, by: str) -> StationShown:
        self.asked.append((new, by))
        if new.identity == "CS01":
            raise refused(409, "already-registered", "there is a station CS01 already")
        return StationShown(station=msgspec.structs.replace(SHEET, identity=new.identity), password="00" * 16)

    async def accept_station(self, identity: str, acceptance: Acceptance, by: str) -> StationSheet:
        self.asked.append(acceptance)
        return self._stands(await self.station(identity), "Accepted", by)

    async def reject_station(self, identity: str, reason: str, by: str) -> StationSheet:
        return self._stands(await self.station(identity), "Rejected", by, reason)

    async def retire_station(self, identity: str, reason: str, by: str) -> StationSheet:
        return self._stands(await self.station(identity), "Retired", by, reason)

    async def change_station(self, identity: str, changes: StationChanges, by: str) -> StationSheet:
        self.asked.append(changes)
        return msgspec.structs.replace(await self.station(identity), **changes.details)

    async def set_credentials(self, identity: str, new: NewCredentials, by: str) -> StationShown:
        self.asked.append(new)
        return StationShown(station=await self.station(identity), password=None if new.password else "00" * 16)

    async def cards(self, wanted: CardFilter, *, cursor: str | None, limit: int) -> Page[CardRecord]:
        self.asked.append((wanted, cursor, limit))
        return Page(items=(CARD,), next_cursor=None if cursor else "more")

    async def card(self, id_tag: str) -> CardRecord:
        if id_tag != CARD.id_tag:
            raise refused(404, "unknown-card", "there is no such card")
        return CARD

    async def put_card(self, card: Card, by: str) -> CardRecord:
        self.asked.append((card, by))
        return CardRecord(**msgspec.structs.asdict(card), changed_at=NOON, changed_by=by)

    async def put_cards(self, cards: Sequence[Card], by: str, *, dry_run: bool) -> CardsPut:
        self.asked.append((cards, by, dry_run))
        return CardsPut(added=len(cards), changed=0, unchanged=0, dry_run=dry_run)

    async def groups(self, *, cursor: str | None, limit: int) -> Page[CardGroup]:
        return Page(items=(CardGroup(group="FLEET-7", cards=2),), next_cursor="more")

    async def group(self, group: str) -> CardGroup:
        if group != "FLEET-7":
            raise refused(404, "unknown-group", "no card is in it")
        return CardGroup(group=group, cards=2)

    async def change_group(self, group: str, change: GroupChange, by: str) -> CardsPut:
        self.asked.append((await self.group(group), change, by))
        return CardsPut(added=0, changed=2, unchanged=0, dry_run=False)

    async def local_list(self, identity: str) -> LocalListView:
        await self.station(identity)
        return LocalListView(
            station=identity, state="Failed", version=7, told_version=8, cards=12, failures=1,
            tried_at=NOON, until=NOON, cause="VersionMismatch",
        )  # fmt: skip

    async def push_local_list(self, identity: str) -> LocalListView:
        self.asked.append(("push", identity))
        return await self.local_list(identity)

    async def remove_card(self, id_tag: str) -> None:
        self.asked.append((await self.card(id_tag)).id_tag)

    @staticmethod
    def _stands(sheet: StationSheet, state: str, by: str, reason: str | None = None) -> StationSheet:
        return msgspec.structs.replace(sheet, standing=StandingView(state=state, since=NOON, by=by, reason=reason))

    async def station_log(
        self, identity: str, *, kind: str | None, cursor: str | None, limit: int
    ) -> Page[LogEntryView]:
        if identity != "CS01":
            raise refused(404, "unknown-station", "there is no such station")
        self.asked.append((kind, cursor, limit))
        report = {"type": "SecurityEvent", "kind": "FirmwareUpdated"}
        return Page(items=(LogEntryView(id=1, kind="SecurityEvent", at=NOON, report=report),), next_cursor="more")

    async def operate(
        self,
        identity: str,
        command: StationCommand,
        by: str,
        *,
        forced: bool = False,
        idempotency_key: str | None = None,
    ) -> StationOperation:
        if identity != "CS01":
            raise refused(404, "unknown-station", "there is no such station")
        self.asked.append(command)
        return msgspec.structs.replace(OPERATION, command=type(command).__name__, by=by)

    async def operations(
        self,
        *,
        station: str | None,
        command: str | None,
        state: str | None,
        by: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StationOperation]:
        self.asked.append(("operations", station, command, state, by, limit))
        return Page(items=(OPERATION,))

    async def operation(self, operation: str, wait_s: float) -> StationOperation:
        if operation != OPERATION.id:
            raise refused(404, "unknown-operation", "there is no such operation")
        self.asked.append(("wait", wait_s))
        return OPERATION

    async def start_local(self, identity: str, connector_id: int, id_tag: str) -> TransactionView:
        self.asked.append((identity, connector_id, id_tag))
        return msgspec.structs.replace(READY, transaction_id="local-1", role="local", pms_identifier=None)

    async def timeline(self, role: str, identifier: str) -> Timeline:
        await self.transaction(role, identifier)
        asked = {"request_identifier": "<b>r-1</b>", "password": "***"}
        entry = TimelineEntry(
            at=NOON, channel=Channel.SOAP, what="StartRequested", from_state="Ready", to_state="StartTxRequested",
            correlation_id="c-1", content=asked,
        )  # fmt: skip
        sent = TimelineEntry(at=NOON, channel=Channel.SOAP, what="NotifyRequestResult", outgoing=True, content={},
                             outcome="done, attempts: 1")  # fmt: skip
        return Timeline(entries=(entry, sent), left_out=3)

    async def close(self, role: str, identifier: str, reason: str, by: str) -> TransactionView:
        self.asked.append(("close", role, identifier, reason, by))
        return await self.transaction(role, identifier)

    async def stop(self, role: str, identifier: str) -> TransactionView:
        return await self.transaction(role, identifier)

    async def peers(self, *, cursor: str | None, limit: int) -> Page[PeerView]:
        return Page(items=(self._peer("Up"),))

    async def peer(self, pms_identifier: str) -> PeerSheet:
        if pms_identifier != "IE-001":
            raise refused(404, "unknown-peer", "there is no such peer")
        (totals,) = (await self.delivery_totals(cursor=None, limit=1)).items
        return PeerSheet(
            pms_identifier="IE-001",
            state="Up",
            failures=0,
            one_at_a_time=False,
            under_way=0,
            links=(LinkView(role="source", url="https://ie.test/s", username="NL-MOT", tls=True, clock_ahead_s=-1),),
            deliveries=totals,
        )

    async def test_peer(self, pms_identifier: str) -> PeerTest:
        await self.peer(pms_identifier)
        call = TriedCall(role="source", operation="NotifyRequestResult", works=False, outcome="tls", took_s=0.125,
                        reason="its certificate is not believed")  # fmt: skip
        return PeerTest(pms_identifier=pms_identifier, works=False, calls=(call,))

    async def block_peer(self, pms_identifier: str, blocked: bool) -> PeerView:
        if pms_identifier != "IE-001":
            raise refused(404, "unknown-peer", "there is no such peer")
        return self._peer("Blocked" if blocked else "Up")

    async def deliveries(
        self, *, cursor: str | None, limit: int, **search: Unpack[DeliverySearch]
    ) -> Page[DeliveryView]:
        self.asked.append(({name: value for name, value in search.items() if value is not None}, cursor, limit))
        return Page(items=(LETTER,))

    async def delivery(self, delivery_id: int) -> DeliveryView:
        if delivery_id != LETTER.id:
            raise refused(404, "unknown-delivery", "there is no such delivery")
        return msgspec.structs.replace(LETTER, record=RecordView(cdr=CDR, ended_at=NOON))

    async def delivery_totals(self, *, cursor: str | None, limit: int) -> Page[DeliveryTotals]:
        totals = DeliveryTotals(
            pms_identifier="IE-001", pending=1, done=7, parked=1, lapsed=0, overdue=2, ledger={}, oldest_overdue_at=NOON
        )
        return Page(items=(totals,))

    async def replay(self, delivery_id: int) -> DeliveryView:
        found = await self.delivery(delivery_id)
        self.asked.append(("replay", delivery_id))
        return msgspec.structs.replace(found, status="pending", attempts=0)

    async def replay_parked(self, pms_identifier: str, operation: str | None, limit: int) -> Replayed:
        self.asked.append(("replay", pms_identifier, operation, limit))
        return Replayed(replayed=limit, left=2)

    async def webhooks(self, *, cursor: str | None, limit: int) -> Page[WebhookView]:
        return Page(items=(HOOK,))

    async def webhook(self, hook: str) -> WebhookView:
        if hook != HOOK.id:
            raise refused(404, "unknown-webhook", f"there is no webhook {hook}")
        return HOOK

    async def make_webhook(self, new: NewWebhook, by: str) -> WebhookMade:
        if not new.url.startswith("https://"):
            raise refused(400, "unfit-url", "it is no https:// URL")
        self.asked.append((new, by))
        told = msgspec.structs.asdict(HOOK) | msgspec.structs.asdict(new)
        return WebhookMade(**told, secret="whsec_AAAA")

    async def pause_webhook(self, hook: str, by: str) -> WebhookView:
        return msgspec.structs.replace(await self.webhook(hook), state="Paused", paused_by=by)

    async def resume_webhook(self, hook: str) -> WebhookView:
        return await self.webhook(hook)

    async def remove_webhook(self, hook: str) -> None:
        await self.webhook(hook)

    async def hook_deliveries(
        self, hook: str, *, status: str | None, cursor: str | None, limit: int
    ) -> Page[HookDeliveryView]:
        self.asked.append((await self.webhook(hook), status))
        return Page(items=(TOLD,))

    async def hook_delivery(self, hook: str, delivery: int) -> HookDeliveryView:
        await self.webhook(hook)
        if delivery != TOLD.id:
            raise refused(404, "unknown-delivery", f"there is no delivery {delivery}")
        return msgspec.structs.replace(TOLD, body="{}")

    async def replay_to_hook(self, hook: str, delivery: int) -> HookDeliveryView:
        return await self.hook_delivery(hook, delivery)

    async def quarantine(self, *, cursor: str | None, limit: int) -> Page[QuarantineView]:
        return Page(items=(PUT_ASIDE,))

    async def case(self, actor: str) -> QuarantineView:
        if actor != PUT_ASIDE.actor:
            raise refused(404, "not-in-quarantine", "it has not been put aside")
        return PUT_ASIDE

    async def release(self, actor: str, *, hand_over: bool) -> None:
        await self.case(actor)
        self.asked.append(("release", actor, hand_over))

    @staticmethod
    def _peer(state: str) -> PeerView:
        return PeerView(
            pms_identifier="IE-001", state=state, pending_deliveries=0, parked_deliveries=1, ledger={"delivered": 3}
        )


HOOK = WebhookView(
    id="hook-1",
    url="https://erp.example/roaming",
    events=(HookEvent.CDR,),
    created_at=NOON,
    created_by="operator",
    state="WaitingToRetry",
    failures=1,
    pending=1,
    given_up=0,
    changes_behind=0,
    failing_since=NOON,
    next_at=NOON,
    cause="HTTP 503",
)
TOLD = HookDeliveryView(
    id=7,
    message_id="msg_1",
    event=HookEvent.CDR,
    subject="IE-001/0A1B2C3D4E5F",
    at=NOON,
    status="failing",
    attempts=1,
    answered=503,
    error="HTTP 503",
)

PUT_ASIDE = QuarantineView(
    actor="destination/0A1B2C3D4E5F",
    at=NOON,
    error="RuntimeError: a defect of ours",
    at_work=False,
    message_type="StopAsked",
    message={"type": "StopAsked"},
)


class World:
    """An app with fakes behind it, and short ways to speak to it."""

    def __init__(
        self,
        *transactions: TransactionView,
        source: bool = True,
        dv1: bool = True,
        pages: Pages = lambda streams: (),
        **settings: Any,
    ) -> None:
        self.apps = FakeApps(*transactions)
        self.answers = FakeAnswers()
        self.meters = Meters()
        self.operators = FakeOperators()
        self.draining = self.apps.draining
        self.insight = FakeInsight(self.draining)
        self.app: QuartTrio = make_app(
            pms_identifier="NL-MOT",
            apps=self.apps if source else None,
            operators=self.operators,
            answers=self.answers,
            tokens=FakeTokens(),
            new_correlation_id=_counted(),
            draining=self.draining,
            dv1=dv1,
            version="1.2.3",
            settings=ApiSettings(**settings),
            meters=self.meters,
            insight=self.insight,
            pages=pages,
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "app-token",
        json: Any = None,
        data: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """One request through the test client; `json` and `token` set their headers, `headers` win."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        if json is not None:
            data = msgspec.json.encode(json)
            sent["Content-Type"] = "application/json"
        with trio.fail_after(30):  # machines stand still at times
            return await self.app.test_client().open(path, method=method, data=data, headers=sent | (headers or {}))


def _counted() -> Callable[[], str]:
    numbers = iter(range(1, 1_000_000))
    return lambda: f"made-{next(numbers)}"
