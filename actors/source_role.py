"""The Source at its two counters: apps ask for charges of our users, Destinations report how they went.

Nothing is decided here that a chart decides: this is who may ask, which actor is meant, and what is waited for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
import trio

from actors.actor import current_correlation_id
from actors.blocked import refuse_blocked
from actors.changes import KEEP_ALIVE_S, feed
from actors.context import Context
from actors.looks import Look
from actors.timelines import course_of
from actors.transaction import view_of
from actors.transaction_kinds import SOURCE
from statecharts.doors import CoursePoint, LocalServicesFound
from statecharts.events import Event
from statecharts.limits import CAUSE
from statecharts.places import distance_m
from statecharts.ports import AuthorizationRequest, Change, Page, PeerClient, Principal, TransactionView
from statecharts.source_events import (
    AuthorizationRequested,
    ProgressReported,
    ResultNotified,
    S,
    SourceTransaction,
    StartRequested,
    StopRequested,
    TransactionEnded,
    key_scope,
)
from statecharts.vocabulary import (
    Acknowledgement,
    Answered,
    Declined,
    EndTransaction,
    GetLocalServicesList,
    GetLocalServiceStatus,
    LocalService,
    LocalServiceAnswer,
    LocalServicesAnswer,
    Location,
    NotifyRequestResult,
    PeerOutcome,
    Refused,
    RoamingAnswer,
    ServiceType,
    SourceRequest,
    TransactionProgressUpdate,
    refused,
)

log = structlog.get_logger(__name__)


class SourceRole:
    """`ports.AppDoor` for user apps and `ports.SourceDoor` (as a call) for Destinations."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # -- apps ----------------------------------------------------------------------------------------------------------

    async def authorize(self, principal: Principal, request: AuthorizationRequest) -> TransactionView:
        self._check_principal(principal, request.user_identifier)
        known = await self._by_key("authorize", principal, request.idempotency_key)
        if known is not None:
            return await self._authorized_before(known, request)
        await self._check_business(request.user_identifier, request.destination)
        identifier = self._context.ids.request_identifier()
        event = AuthorizationRequested(
            at=self._context.clock.now(),
            correlation_id=current_correlation_id(),
            id=identifier,
            app=principal.name,
            own_pms_identifier=self._context.settings.pms_identifier,
            request=request,
            deadlines=self._context.settings.source_deadlines,
        )
        try:
            await self._context.system.ask(f"source/{identifier}", event)
        except Refused as no:
            if no.refusal.kind != "already-used":
                raise
            # The same request came twice at once, and the other one was faster: its answer is for both.
            return await self.authorize(principal, request)
        return await self._authorized(f"source/{identifier}")

    async def _authorized_before(self, stream: str, request: AuthorizationRequest) -> TransactionView:
        """What this request was answered under its key. Raises `Refused` (422) if the key stood for another request."""
        data: SourceTransaction = await self._context.system.ask(stream, Look())
        if data.request != request:
            raise _reused()
        return await self._authorized(stream)

    async def _authorized(self, stream: str) -> TransactionView:
        """The transaction once its authorisation is decided; raises the refusal of whoever refused it."""
        with self._context.changes.watching(stream) as watch:
            view = await self._view(stream)
            while view.state == S.AUTHORIZING:
                view = (await watch.next() or refuse_draining()).transaction
        if view.state == S.REFUSED:
            data: SourceTransaction = await self._context.system.ask(stream, Look())
            raise (Refused(data.refusal) if data.refusal else refused(504, "peer-unanswered", data.cause or "refused"))
        return view

    async def start(self, principal: Principal, transaction_id: str, idempotency_key: str | None) -> TransactionView:
        view = await self.transaction(principal, transaction_id)
        if await self._is_repeated("start", principal, transaction_id, idempotency_key):
            return view
        await self._check_business(view.user_identifier, view.pms_identifier or "")
        return await self._request(StartRequested, transaction_id, idempotency_key)

    async def stop(self, principal: Principal, transaction_id: str, idempotency_key: str | None) -> TransactionView:
        view = await self.transaction(principal, transaction_id)
        if await self._is_repeated("stop", principal, transaction_id, idempotency_key):
            return view
        return await self._request(StopRequested, transaction_id, idempotency_key)

    async def _request(
        self, kind: type[StartRequested | StopRequested], transaction_id: str, idempotency_key: str | None
    ) -> TransactionView:
        event = kind(
            at=self._context.clock.now(),
            correlation_id=current_correlation_id(),
            request_identifier=self._context.ids.request_identifier(),
            idempotency_key=idempotency_key,
        )
        turned = await self._context.system.ask(f"source/{transaction_id}", event)
        view: TransactionView = turned.view
        return view

    async def transaction(self, principal: Principal, transaction_id: str) -> TransactionView:
        view = await view_of(self._context, f"source/{transaction_id}")
        if view is None or not principal.may_act_for(view.user_identifier):
            raise _unknown()
        return view

    async def course(self, principal: Principal, transaction_id: str) -> tuple[CoursePoint, ...]:
        await self.transaction(principal, transaction_id)
        return course_of(await self._context.journal.load(f"source/{transaction_id}"), self._context.clock.shown)

    async def by_authorization(self, principal: Principal, authorization_identifier: str) -> TransactionView:
        for view in await self._context.ledger.by_authorization(authorization_identifier):
            if view.role == SOURCE.role and principal.may_act_for(view.user_identifier):
                return view
        raise refused(404, "unknown-transaction", "there is no transaction with this authorizationIdentifier")

    async def transactions(
        self, principal: Principal, *, state: str | None, user_identifier: str | None, cursor: str | None, limit: int
    ) -> Page[TransactionView]:
        if user_identifier is not None:
            self._check_principal(principal, user_identifier)
        users = _users_of(principal) if user_identifier is None else frozenset({user_identifier})
        return await self._context.ledger.transactions(
            role=SOURCE.role, state=state, users=users, cursor=cursor, limit=limit
        )

    async def newest(self, principal: Principal, transaction_id: str) -> Change:
        found = await self._context.ledger.changes_since(-1, stream=f"source/{transaction_id}", limit=1)
        if not found or not principal.may_act_for(found[0].transaction.user_identifier):
            raise _unknown()
        return found[0]

    async def changes(self, principal: Principal, transaction_id: str, seen: int) -> AsyncIterator[Change | None]:
        with self._context.changes.watching(f"source/{transaction_id}") as watch:
            change: Change | None = await self.newest(principal, transaction_id)
            while change is not None:
                if change.position != seen:
                    seen = change.position
                    yield change
                if SOURCE.chart.by_name[change.transaction.state].final:
                    return
                newer: Change | None = None
                with trio.move_on_after(KEEP_ALIVE_S) as quiet:
                    newer = await watch.next()
                if quiet.cancelled_caught:
                    yield None
                else:
                    change = newer

    async def position(self) -> int:
        return await self._context.ledger.newest_position()

    def feed(self, principal: Principal, after: int) -> AsyncIterator[Change | None]:
        context = self._context
        return feed(context.changes, context.ledger, after, role=SOURCE.role, users=_users_of(principal))

    async def _by_key(self, kind: str, principal: Principal, key: str | None) -> str | None:
        """The transaction for which this app has used the key in a request of this kind."""
        return await self._context.names.find(key_scope(kind, principal.name), key) if key else None

    async def _is_repeated(self, kind: str, principal: Principal, transaction_id: str, key: str | None) -> bool:
        """Whether the same was asked under this key before. Raises `Refused` (422) if it was of another transaction."""
        known = await self._by_key(kind, principal, key)
        if known not in (None, f"source/{transaction_id}"):
            raise _reused()
        if known is not None:
            self._context.meters.duplicates.add("app", kind)
        return known is not None

    async def _view(self, stream: str) -> TransactionView:
        view = await view_of(self._context, stream)
        assert view is not None
        return view

    def _check_principal(self, principal: Principal, user_identifier: str) -> None:
        if not principal.may_act_for(user_identifier):
            raise refused(403, "user-not-allowed", f"this app may not act for user {user_identifier}")

    async def _check_business(self, user_identifier: str, destination: str) -> None:
        """Whether this user may charge at this operator now: a partner of ours, not blocked, the user in order."""
        self._client(destination)
        await refuse_blocked(self._context, destination)
        now = self._context.clock.wall()
        verdict = await self._context.identity.check_user(user_identifier, destination, now)
        if not verdict.allowed:
            raise refused(403, "invalid-user", verdict.refusal_message or "Invalid userIdentifier")

    def _client(self, destination: str) -> PeerClient:
        client = self._context.destinations.get(destination)
        if client is None:
            raise refused(400, "unknown-pms", f"PMS Unknown: {destination}")
        return client

    # -- local services ------------------------------------------------------------------------------------------------

    async def local_services(
        self,
        principal: Principal,
        *,
        location: Location,
        radius_m: int,
        service_types: tuple[ServiceType, ...],
        destinations: tuple[str, ...],
    ) -> LocalServicesFound:
        clients = {name: self._client(name) for name in destinations or tuple(self._context.destinations)}
        request = GetLocalServicesList(location=location, search_radius_m=radius_m, service_types=service_types)
        outcomes: dict[str, PeerOutcome] = {}

        async def ask(name: str, client: PeerClient) -> None:
            outcomes[name] = await client.call(request, self._context.settings.local_services_deadline_s)

        with trio.move_on_after(self._context.settings.local_services_deadline_s):
            async with trio.open_nursery() as nursery:
                for name, client in clients.items():
                    nursery.start_soon(ask, name, client)
        return _collected(location, {name: outcomes.get(name) for name in clients})

    async def local_service(self, principal: Principal, destination: str, identifier: str) -> LocalService:
        request = GetLocalServiceStatus(local_service_identifier=identifier)
        deadline_s = self._context.settings.local_services_deadline_s
        match await self._client(destination).call(request, deadline_s):
            case Answered(answer=LocalServiceAnswer(local_service=service)):
                return msgspec.structs.replace(service, pms_identifier=destination)
            case Declined(refusal=refusal):
                raise Refused(refusal)
            case outcome:
                raise refused(504, "peer-unanswered", _why(outcome))

    # -- Destinations --------------------------------------------------------------------------------------------------

    async def __call__(self, peer: str, request: SourceRequest) -> RoamingAnswer:
        stream, event = await self._event(peer, request)
        await self._context.system.ask(stream, event)
        return Acknowledgement()

    async def _event(self, peer: str, request: SourceRequest) -> tuple[str, Event]:
        """Which of this peer's transactions a report is about, and what it says to it."""
        common: dict[str, Any] = {"at": self._context.clock.now(), "correlation_id": current_correlation_id()}
        match request:
            case NotifyRequestResult(request_identifier=name, request_success=success, cause=cause):
                stream = await self._stream(f"source-request/{peer}", name, "requestIdentifier")
                kept = cause and cause[: CAUSE.limit]
                return stream, ResultNotified(**common, request_identifier=name, success=success, cause=kept)
            case TransactionProgressUpdate(authorization_identifier=name, transaction_data=content):
                stream = await self._stream(f"source-authorization/{peer}", name, "authorizationIdentifier")
                start = request.start_transaction_timestamp
                return stream, ProgressReported(
                    **common, authorization_identifier=name, start_timestamp=start, content=content
                )
            case EndTransaction(authorization_identifier=name):
                stream = await self._stream(f"source-authorization/{peer}", name, "authorizationIdentifier")
                return stream, TransactionEnded(**common, message=request)

    async def _stream(self, scope: str, name: str, what: str) -> str:
        stream = await self._context.names.find(scope, name)
        if stream is None:
            raise refused(404, "unknown-transaction", f"no transaction of yours has this {what}")
        return stream


def _unknown() -> Refused:
    """The same answer for another's transaction as for none: its existence is nobody's business."""
    return refused(404, "unknown-transaction", "there is no such transaction")


def _users_of(principal: Principal) -> frozenset[str] | None:
    return None if principal.operator else principal.users


def _reused() -> Refused:
    return refused(422, "idempotency-key-reused", "this Idempotency-Key was used for another request: take a fresh one")


def refuse_draining() -> Change:
    raise refused(503, "draining", "the node is shutting down; ask again shortly")


def _why(outcome: PeerOutcome | None) -> str:
    match outcome:
        case None:
            return "no answer in time"
        case Declined(refusal=refusal):
            return refusal.message
        case Answered():
            return "an answer to another question"
        case _:
            return outcome.cause


def _collected(location: Location, outcomes: dict[str, PeerOutcome | None]) -> LocalServicesFound:
    """All services found, nearest first, and why some Destinations have none to show."""
    found, unanswered = [], {}
    for name, outcome in outcomes.items():
        match outcome:
            case Answered(answer=LocalServicesAnswer(local_services=services)):
                found += [
                    msgspec.structs.replace(s, pms_identifier=name, distance_m=distance_m(location, s.location))
                    for s in services
                ]
            case _:
                unanswered[name] = _why(outcome)
    nearest = sorted(found, key=lambda s: (s.distance_m or 0, s.local_service_identifier))
    return LocalServicesFound(local_services=tuple(nearest), unanswered=unanswered)
