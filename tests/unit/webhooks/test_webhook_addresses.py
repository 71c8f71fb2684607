"""A webhook reaches public addresses and those that are allowed, whatever their name, spelling or way into IPv6."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trustme
from hypothesis import given
from hypothesis import strategies as st

from protocols.webhooks.addresses import Network, address_of, is_allowed
from protocols.webhooks.client import WebhookSender
from statecharts.bounds import Watermarks
from statecharts.webhooks_door import HookAnswer, Letter
from tests.contracts.samples import NOON
from tests.unit.webhooks.receiver import receiving, status, trusting

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK: list[Network] = [ipaddress.ip_network("127.0.0.0/8")]

IPV4 = "127.0.0.1 127.8.8.8 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1"
SPECIAL = "192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255"
IPV6 = ":: ::1 fe80::1 fe80::1%eth0 fc00::1 fd12:3456::1 fec0::1 ff02::1 2001:db8::1 100::1 64:ff9b:1::1"
MAPPED = "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::10.0.0.1"
TUNNELLED = "2002:7f00:1::1 2002:a00:1::1 2001:0:4136:e378:8000:63bf:80ff:fffe"
PRIVATE = " ".join((IPV4, SPECIAL, IPV6, MAPPED, TUNNELLED)).split()
OPEN = "1.1.1.1 8.8.8.8 172.32.0.1 192.169.0.1 100.128.0.1 2606:4700:4700::1111 2a00:1450::1"
PUBLIC = [*OPEN.split(), "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_public_is_not_reached(text: str) -> None:
    assert not is_allowed(address_of(text), ())


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is_reached(text: str) -> None:
    assert is_allowed(address_of(text), ())


@given(st.ip_addresses(v=4))
def test_an_address_within_ipv6_is_taken_for_what_it_means(address: ipaddress.IPv4Address) -> None:
    allowed = is_allowed(address, ())
    for written in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_allowed(address_of(written), ()) == allowed
    if not allowed:
        assert not is_allowed(address_of(f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1"), ())


@given(st.ip_addresses())
def test_only_networks_that_are_named_are_let_in_besides(address: Any) -> None:
    own = ipaddress.ip_network(address)
    assert is_allowed(address, [own])
    other: Network = ipaddress.ip_network(
        "10.9.0.0/16" if address not in ipaddress.ip_network("10.9.0.0/16") else "::1"
    )
    assert is_allowed(address, [other]) == is_allowed(address, ())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://erp.example/", "no https"),
        ("https:///path", "no https"),
        ("https://erp.example/#part", "no https"),
        ("https://erp.example/a b", "no https"),
        ("https://erp.example:99999/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://user:password@erp.example/", "user"),
        ("https://127.0.0.1/", "allowed_networks"),
        ("https://[::ffff:10.0.0.1]/", "allowed_networks"),
        ("https://169.254.169.254/latest/meta-data", "allowed_networks"),
        ("http://8.8.8.8/", "without https"),
    ],
)
def test_an_address_that_cannot_be_is_refused_before_anybody_is_asked(url: str, why: str) -> None:
    assert why in (WebhookSender(Watermarks(), ()).refusal(url) or "")


def test_an_address_that_can_be_is_taken() -> None:
    sender = WebhookSender(Watermarks(), LOOPBACK)
    for url in (
        "https://erp.example/hook?key=1",
        "https://8.8.8.8:8443/",
        "http://127.0.0.1:80/",
        "http://erp.example/",
    ):
        assert sender.refusal(url) is None


# -- connections -------------------------------------------------------------------------------------------------------


class Names(trio.abc.HostnameResolver):
    """A resolver whose names lead where a test says; each answer but the last is given once."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def getaddrinfo(
        self, host: bytes | None, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        name = (host or b"").decode().partition(".")[0]
        self.asked.append(name)
        left = self.answers[name]
        addresses = left.pop(0) if len(left) > 1 else left[0]
        families = [trio.socket.AF_INET6 if ":" in each else trio.socket.AF_INET for each in addresses]
        return [(kind, type, 6, "", (each, port)) for kind, each in zip(families, addresses, strict=True)]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


@contextmanager
def names(**answers: list[list[str]]) -> Iterator[Names]:
    found = Names(**answers)
    before = trio.socket.set_custom_hostname_resolver(found)
    try:
        yield found
    finally:
        trio.socket.set_custom_hostname_resolver(before)


async def send(url: str, allowed: list[Network], tls: ssl.SSLContext | None = None, timeout_s: float = 5) -> HookAnswer:
    letter = Letter(url=url, secret=SECRET, message_id="msg_1", body=b"{}", at=NOON)
    return await WebhookSender(Watermarks(), allowed, tls).send(letter, timeout_s)


def at(url: str, name: str) -> str:
    return url.replace("localhost", name)


@pytest.mark.parametrize("private", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "fe80::1"])
@pytest.mark.parametrize("public_first", [True, False])
async def test_a_name_that_leads_to_both_is_not_followed(private: str, public_first: bool) -> None:
    async with receiving() as receiver:
        both = ["8.8.8.8", private] if public_first else [private, "8.8.8.8"]
        with names(erp=[both]):
            answer = await send(at(receiver.url, "erp.example").replace("http:", "https:"), [])
    assert answer.status is None and "allowed_networks" in answer.cause
    assert receiver.got == []


async def test_a_name_is_looked_up_once_for_each_attempt_and_what_was_said_then_is_what_is_reached() -> None:
    async with receiving() as receiver:
        url = at(receiver.url, "erp.example")
        with names(erp=[["127.0.0.1"], ["10.0.0.1"]]) as resolver:
            assert await send(url, LOOPBACK) == HookAnswer(status=204)
            assert resolver.asked == ["erp"]
            rebound = await send(url, LOOPBACK)
        assert "10.0.0.1" in rebound.cause
        assert len(receiver.got) == 1 and receiver.got[0].headers["host"].startswith("erp.example:")


async def test_a_name_that_leads_here_is_not_followed_without_leave() -> None:
    async with receiving() as receiver:
        answer = await send(receiver.url.replace("http:", "https:"), [])
    assert "allowed_networks" in answer.cause and receiver.got == []


async def test_without_tls_only_what_is_named_is_reached() -> None:
    with names(erp=[["8.8.8.8"]]):
        assert "without https" in (await send("http://erp.example/", LOOPBACK)).cause


async def test_tls_is_for_the_name_and_a_certificate_of_another_is_not_believed() -> None:
    authority = trustme.CA()
    async with receiving(authority=authority) as receiver:
        with names(erp=[["127.0.0.1"]], localhost=[["127.0.0.1"]]):
            wrong = await send(at(receiver.url, "erp.example"), LOOPBACK, trusting(authority))
            assert "certificate is not believed" in wrong.cause and receiver.got == []
            assert "certificate is not believed" in (await send(receiver.url, LOOPBACK)).cause
            assert (await send(receiver.url, LOOPBACK, trusting(authority))).status == 204
    assert receiver.names == ["erp.example", "localhost", "localhost"]


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async with receiving() as elsewhere:
        location = f"Location: {elsewhere.url}"
        async with receiving(lambda _: status(307, location)) as receiver:
            assert (await send(receiver.url, LOOPBACK)).status == 307
    assert elsewhere.got == []


async def test_a_body_without_end_is_not_read() -> None:
    async with receiving(
        lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 99_999
    ) as receiver:
        with trio.fail_after(3):
            assert (await send(receiver.url, LOOPBACK)).status == 200


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000])
async def test_what_is_no_answer_is_a_failure_with_a_reason(answer: bytes) -> None:
    async with receiving(lambda _: answer) as receiver:
        told = await send(receiver.url, LOOPBACK)
    assert told.status is None and told.cause


async def test_a_receiver_that_keeps_silent_is_left_after_its_time(autojump_clock: object) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    answer = await send(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/", LOOPBACK)
    assert "within 5 s" in answer.cause
    await listeners[0].aclose()


async def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    assert "refused" in (await send(f"http://127.0.0.1:{port}/", LOOPBACK)).cause
    assert "not known" in (await send("https://nowhere.invalid/", LOOPBACK)).cause
