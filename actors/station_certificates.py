"""The certificate of one station: asked for by it, signed by our authority, and renewed before it expires.

Nothing of this has to be remembered over a restart: a station that got no certificate asks again by itself (security
whitepaper, CertSigningWaitMinimum), and until when the one holds that it has is seen whenever it shows it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from actors.context import Context
from statecharts.station_commands import CallVerdict, CertificateSigned, TriggerMessage
from statecharts.station_credentials import CertificateIssued, StationCertificate
from statecharts.station_reports import SignCertificate, StatusAnswer
from statecharts.vocabulary import Refused

if TYPE_CHECKING:
    from actors.station import StationActor

OF_STATIONS = (None, "ChargingStationCertificate")
"""What kind of certificate we sign: that which a station shows to us (OCPP 1.6 knows no other). Those of ISO 15118 come
from elsewhere."""

RENEW_BY = TriggerMessage(what="SignChargingStationCertificate")

log = structlog.get_logger(__name__)


class StationCertificates:
    """The part of a station's actor that answers its requests; what became of one is told in a turn of its own."""

    __slots__ = ("_asked_for", "_context", "_station", "_under_way")

    def __init__(self, station: StationActor, context: Context) -> None:
        self._station, self._context = station, context
        self._under_way: SignCertificate | None = None
        self._asked_for: StationCertificate | None = None

    def answer(self, request: SignCertificate) -> StatusAnswer:
        """Accepted if the request will be signed: the certificate follows as a command of its own, soon."""
        no = self._refusal(request)
        if no is not None:
            log.warning("station.certificate_refused", station=self._station.identity, reason=no)
            self._told(CertificateIssued(outcome="Refused", reason=no))
            return StatusAnswer(status="Rejected")
        if self._under_way is None:
            self._under_way = request
            self._context.system.spawn(self._issue, request)
        return StatusAnswer(status="Accepted")

    def renew(self, shown: StationCertificate | None) -> None:
        """Asks the station to ask for a new certificate, once, if the one that it has shown will soon expire."""
        if self._context.authority is None or shown is None or shown == self._asked_for:
            return
        left = shown.expires_at - self._context.clock.wall()
        if left <= timedelta(days=self._context.settings.renew_before_days):
            self._asked_for = shown
            self._context.system.spawn(self._renew, shown)

    @property
    def _common_name(self) -> str:
        credentials = self._context.fleet.credentials(self._station.identity)
        return (credentials and credentials.certificate_name) or self._station.identity

    def _refusal(self, request: SignCertificate) -> str | None:
        if self._context.authority is None:
            return "no authority is configured"
        if request.certificate_type not in OF_STATIONS:
            return f"a {request.certificate_type} is not signed here"
        if self._under_way not in (None, request):
            return "another request of this station is under way"
        try:
            self._context.authority.check(request.csr, self._common_name)
        except Refused as no:
            return no.refusal.message
        return None

    def _told(self, outcome: CertificateIssued) -> None:
        self._context.system.tell(self._station.key, outcome)

    async def _issue(self, request: SignCertificate) -> None:
        try:
            outcome = await self._signed_and_sent(request)
        finally:
            self._under_way = None
        log.info("station.certificate", station=self._station.identity, outcome=outcome.outcome, reason=outcome.reason)
        self._told(outcome)

    async def _signed_and_sent(self, request: SignCertificate) -> CertificateIssued:
        assert self._context.authority is not None, "a request was accepted"
        try:
            chain = await self._context.authority.sign(request.csr, self._common_name)
        except Refused as no:
            return CertificateIssued(outcome="NotSigned", reason=no.refusal.message)
        sent = await self._station.command(
            CertificateSigned(
                certificate_chain=chain, certificate_type=request.certificate_type, request_id=request.request_id
            )
        )
        outcome = "Installed" if sent.verdict is CallVerdict.ACCEPTED else "NotInstalled"
        return CertificateIssued(outcome=outcome, reason=sent.cause or sent.status, certificate=chain)

    async def _renew(self, shown: StationCertificate) -> None:
        answer = await self._station.command(RENEW_BY)
        log.info(
            "station.certificate_expires", station=self._station.identity, at=shown.expires_at, asked=answer.status
        )
        if answer.verdict is not CallVerdict.ACCEPTED:
            self._asked_for = None
