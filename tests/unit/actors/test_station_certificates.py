"""The certificate of a station: requested, signed, sent, and renewed before it expires."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
import trio

from actors.renewal import EVERY_S, renew_certificates
from statecharts.station_commands import CallVerdict, CertificateSigned, TriggerMessage
from statecharts.station_credentials import StationCertificate, StationCredentials
from statecharts.station_reports import SignCertificate, StatusAnswer
from statecharts.vocabulary import refused
from tests.support.house import StationLine

ACCEPTED, REJECTED = StatusAnswer(status="Accepted"), StatusAnswer(status="Rejected")
REQUEST = SignCertificate(csr="good", certificate_type="ChargingStationCertificate", request_id=7)
RENEW = TriggerMessage(what="SignChargingStationCertificate")


class Authority:
    """Signs what begins with "good", at once or when `may_sign` is set."""

    root = "root"

    def __init__(self) -> None:
        self.names: list[str] = []
        self.may_sign, self.fails = trio.Event(), False
        self.may_sign.set()

    def check(self, csr: str, common_name: str) -> None:
        self.names.append(common_name)
        if not csr.startswith("good"):
            raise refused(400, "bad-certificate-request", "the request is bad")

    async def sign(self, csr: str, common_name: str) -> str:
        await self.may_sign.wait()
        if self.fails:
            raise refused(503, "authority-unavailable", "the authority is away")
        return f"signed {csr} for {common_name}"


@pytest.fixture
def authority(line: StationLine) -> Authority:
    line.house.context.authority = made = Authority()
    return made


async def issued(line: StationLine, kind: str = "CertificateIssued") -> list[dict[str, Any]]:
    page = await line.house.context.ledger.station_log(line.identity, kind=kind, limit=99)
    return [msgspec.json.decode(each.body) for each in page.items]


def of_certificates(line: StationLine) -> list[Any]:
    return [command for command in line.commands if isinstance(command, CertificateSigned | TriggerMessage)]


async def test_a_request_is_accepted_and_the_certificate_follows(
    autojump_clock: object, line: StationLine, authority: Authority
) -> None:
    assert await line.say(REQUEST) == ACCEPTED
    assert [entry["csr"] for entry in await issued(line, "SignCertificate")] == ["good"]
    await trio.sleep(1)
    chain = f"signed good for {line.identity}"
    assert of_certificates(line) == [
        CertificateSigned(certificate_chain=chain, certificate_type="ChargingStationCertificate", request_id=7)
    ]
    assert await issued(line) == [
        {"type": "CertificateIssued", "outcome": "Installed", "reason": "Accepted", "certificate": chain}
    ]


async def test_a_request_is_held_to_the_name_that_the_station_is_known_by(
    autojump_clock: object, line: StationLine, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = StationCredentials(certificate_name=f"serial of {line.identity}")
    monkeypatch.setattr(line.house.context.fleet, "credentials", lambda _: named)
    assert await line.say(SignCertificate(csr="good")) == ACCEPTED
    assert authority.names == [f"serial of {line.identity}"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (SignCertificate(csr="bad"), "the request is bad"),
        (SignCertificate(csr="good", certificate_type="V2GCertificate"), "a V2GCertificate is not signed here"),
    ],
)
async def test_what_may_not_be_signed_is_rejected_and_logged(
    autojump_clock: object, line: StationLine, authority: Authority, request_: SignCertificate, reason: str
) -> None:
    assert await line.say(request_) == REJECTED
    await trio.sleep(1)
    assert of_certificates(line) == []
    assert await issued(line) == [{"type": "CertificateIssued", "outcome": "Refused", "reason": reason}]


async def test_without_an_authority_every_request_is_rejected(autojump_clock: object, line: StationLine) -> None:
    assert await line.say(REQUEST) == REJECTED


async def test_one_request_at_a_time_is_signed_and_its_repeat_is_the_same_one(
    autojump_clock: object, line: StationLine, authority: Authority
) -> None:
    authority.may_sign = trio.Event()
    assert [await line.say(each) for each in (REQUEST, REQUEST, SignCertificate(csr="good, too"))] == [
        *(ACCEPTED, ACCEPTED, REJECTED)
    ]
    authority.may_sign.set()
    await trio.sleep(1)
    assert len(of_certificates(line)) == 1
    assert await line.say(SignCertificate(csr="good, too")) == ACCEPTED


@pytest.mark.parametrize(
    ("fails", "verdict", "outcome"),
    [(True, CallVerdict.ACCEPTED, "NotSigned"), (False, CallVerdict.REJECTED, "NotInstalled")],
)
async def test_what_came_to_nothing_is_logged(
    autojump_clock: object, line: StationLine, authority: Authority, fails: bool, verdict: CallVerdict, outcome: str
) -> None:
    authority.fails = fails
    line.verdicts.append(verdict)
    assert await line.say(REQUEST) == ACCEPTED
    await trio.sleep(1)
    assert [entry["outcome"] for entry in await issued(line)] == [outcome]


def expiring(line: StationLine, days: float) -> StationCertificate:
    at = line.house.context.clock.wall() + timedelta(days=days)
    return StationCertificate(common_name=line.identity, issuer="ours", expires_at=at)


async def come_again(line: StationLine, certificate: StationCertificate | None) -> None:
    line.certificate = certificate
    await line.go_offline()
    await line.come_online(boot=False)
    await trio.sleep(1)


async def test_a_station_whose_certificate_soon_expires_is_asked_once_to_ask_for_a_new_one(
    autojump_clock: object, line: StationLine, authority: Authority
) -> None:
    await come_again(line, None)
    await come_again(line, expiring(line, 31))
    assert of_certificates(line) == []
    soon = expiring(line, 29)
    await come_again(line, soon)
    await come_again(line, soon)
    assert of_certificates(line) == [RENEW]


async def test_a_station_that_would_not_be_asked_is_asked_again_when_it_comes(
    autojump_clock: object, line: StationLine, authority: Authority
) -> None:
    soon = expiring(line, 29)
    line.verdicts.append(CallVerdict.UNKNOWN)
    await come_again(line, soon)
    await come_again(line, soon)
    assert of_certificates(line) == [RENEW, RENEW]


async def test_a_station_that_stays_for_months_is_looked_at_as_well(
    autojump_clock: object, line: StationLine, authority: Authority, nursery: trio.Nursery
) -> None:
    await come_again(line, expiring(line, 30.5))
    nursery.start_soon(renew_certificates, line.house.context)
    await trio.sleep(EVERY_S + 1)
    assert of_certificates(line) == []
    await trio.sleep(2 * EVERY_S)
    assert of_certificates(line) == [RENEW]
    nursery.cancel_scope.cancel()


async def test_nobody_is_asked_where_there_is_no_authority(autojump_clock: object, line: StationLine) -> None:
    await come_again(line, expiring(line, 1))
    assert of_certificates(line) == []
