"""Which vendor's messages (DataTransfer) are understood, and who answers them: registered here, and nowhere else.

A station waits for its answer, so a handler has a bounded time, and whatever it does wrong becomes a Rejected: it never
costs the connection, nor holds up what else the station has to say. The message itself is in the station's log before
its handler sees it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
import structlog
import trio

from actors.system import System
from statecharts.limits import VENDOR_THREADS
from statecharts.ports import VendorHandler
from statecharts.promises import Promise
from statecharts.station_reports import DataTransferAnswer, ReportAnswer, StationDataTransfer

ANSWERED_WITHIN_S = 10.0
"""How long a handler may take: less than the half minute that stations wait for an answer."""

STATUSES = ("Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId")
"""OCPP 1.6 section 7.14, DataTransferStatus."""

REJECTED = DataTransferAnswer(status="Rejected")

log = structlog.get_logger(__name__)


# -- what we understand ourselves --------------------------------------------------------------------------------------


class _Unplugged(msgspec.Struct, rename="camel"):
    transaction_id: int
    timestamp: datetime


async def connector_unplugged(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    """The driver has taken the cable out after a charge: what ends an idle fee.

    ConnectorUnplugged of the Open Charge Alliance's application note "OCPP & California Pricing Requirements", which
    stations of OCPP 1.6 send that have CustomIdleFeeAfterStop. Rejected where it does not say which transaction, and
    when.
    """
    try:
        said = msgspec.json.decode(message.data or "", type=_Unplugged)
    except msgspec.DecodeError:
        return REJECTED
    log.info("station.unplugged", station=station, number=said.transaction_id, at=said.timestamp)
    return DataTransferAnswer(status="Accepted")


BUILT_IN: Mapping[tuple[str, str | None], VendorHandler] = {
    ("org.openchargealliance.costmsg", "ConnectorUnplugged"): connector_unplugged,
}


# -- who answers -------------------------------------------------------------------------------------------------------


class VendorHandlers:
    """The handlers by vendorId and messageId, both without regard to case; of several for one the last counts.

    A messageId of None stands for all messages of that vendor that no other handler is for.
    """

    def __init__(self, handlers: Iterable[tuple[tuple[str, str | None], VendorHandler]] = ()) -> None:
        self._by_vendor: dict[str, dict[str | None, VendorHandler]] = {}
        for (vendor_id, message_id), handler in (*BUILT_IN.items(), *handlers):
            self._by_vendor.setdefault(vendor_id.casefold(), {})[message_id and message_id.casefold()] = handler
        self._threads = trio.CapacityLimiter(VENDOR_THREADS.limit)

    def answer(
        self, system: System, station: str, message: StationDataTransfer, kept: Promise[ReportAnswer]
    ) -> Promise[ReportAnswer]:
        """What a vendor's message is answered, once it is `kept`; fails as that does."""
        of_vendor = self._by_vendor.get(message.vendor_id.casefold())
        if of_vendor is None:
            return kept.then(lambda _: DataTransferAnswer(status="UnknownVendorId"))
        handler = of_vendor.get(message.message_id and message.message_id.casefold()) or of_vendor.get(None)
        if handler is None:
            return kept.then(lambda _: DataTransferAnswer(status="UnknownMessageId"))
        answered: Promise[ReportAnswer] = Promise()

        def told(promise: Promise[ReportAnswer]) -> None:
            try:
                promise.result()
            except Exception as error:
                answered.fail(error)
            else:
                system.spawn(self._answer, handler, station, message, answered)

        kept.follow(told)
        return answered

    async def _answer(
        self, handler: VendorHandler, station: str, message: StationDataTransfer, answered: Promise[ReportAnswer]
    ) -> None:
        answer, cause = REJECTED, f"no answer within {ANSWERED_WITHIN_S:g} s"
        try:
            with trio.move_on_after(ANSWERED_WITHIN_S):
                answer, cause = self._checked(await self._asked(handler, station, message)), ""
        except Exception as error:
            # Somebody else's code: whatever it raises is no reason to treat its station badly.
            cause = f"{type(error).__name__}: {error}"
        finally:
            answered.set(answer)
        if cause:
            vendor_id, message_id = message.vendor_id, message.message_id
            log.error("vendor.failed", station=station, vendor_id=vendor_id, message_id=message_id, cause=cause)

    async def _asked(self, handler: VendorHandler, station: str, message: StationDataTransfer) -> object:
        """A plain function has a thread, so that it may wait for what it likes; a coroutine runs with us."""
        if inspect.iscoroutinefunction(handler):
            return await handler(station, message)
        return await trio.to_thread.run_sync(
            handler, station, message, abandon_on_cancel=True, limiter=self._threads
        )  # fmt: skip

    def _checked(self, answer: object) -> DataTransferAnswer:
        if not isinstance(answer, DataTransferAnswer) or answer.status not in STATUSES:
            raise TypeError(f"a handler must give a DataTransferAnswer with one of {', '.join(STATUSES)}")
        if not isinstance(answer.data, str | None):
            raise TypeError("the data of a DataTransferAnswer must be text")
        return answer
