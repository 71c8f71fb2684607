"""What is no request is refused with the right Fault, before anything behind the door sees it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mobieurope_samples import (
    DESTINATION,
    PASSWORD,
    SOAP11,
    USERNAME,
    Node,
    authorize_xml,
    end_xml,
    envelope,
    fault_code,
)
from structlog.testing import capture_logs

from protocols.mobieurope import server

# -- bad input ---------------------------------------------------------------------------------------------------------

GOOD = authorize_xml()
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BAD: dict[str, bytes] = {
    "empty": b"",
    "no XML": b"hello",
    "JSON": b'{"a": 1}',
    "cut off": envelope(GOOD)[:-10],
    "bad UTF-8": envelope(GOOD).replace(b"testPas", b"test\xffPas"),
    "two documents": envelope(GOOD) * 2,
    "DTD": b"<!DOCTYPE e>" + envelope(GOOD),
    "external DTD": b'<!DOCTYPE e SYSTEM "http://127.0.0.1:1/x.dtd">' + envelope(GOOD),
    "XXE file": b'<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    + envelope(authorize_xml(userIdentifier="&x;")),
    "parameter entity": b'<!DOCTYPE e [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]>' + envelope(GOOD),
    "billion laughs": f'<!DOCTYPE e [<!ENTITY l0 "ha">{LAUGHS}]>'.encode()
    + envelope(authorize_xml(userIdentifier="&l9;")),
    "undefined entity": envelope(authorize_xml(userIdentifier="adm&e;in")),
    "deep": envelope("<a>" * 20_000 + "</a>" * 20_000),
    "many attributes": envelope("<a " + " ".join(f'a{n}="" ' for n in range(20_000)) + "/>"),
    "no body": f'<e:Envelope xmlns:e="{SOAP11}"/>'.encode().replace(
        SOAP11.encode(), b"http://www.w3.org/2003/05/soap-envelope"
    ),
    "empty body": envelope(""),
    "two children": envelope(GOOD + GOOD),
    "two bodies": envelope(f"{GOOD}</e:Body><e:Body>{GOOD}"),
    "a fault": envelope("<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code></e:Fault>"),
    "unknown element": envelope("<p:payRequest/>"),
    "other namespace": envelope(GOOD.replace("p:", "c:")),
    "the other module": envelope(end_xml()),
    "wrong order": envelope(
        "<p:requestStartTransactionRequest><authorizationIdentifier>a</authorizationIdentifier>"
        "<requestIdentifier>r</requestIdentifier></p:requestStartTransactionRequest>"
    ),
    "missing element": envelope(GOOD.replace("<userIdentifier>testPas</userIdentifier>", "")),
    "unknown enum": envelope(authorize_xml(serviceTypeIdentifier="CAR_WASH")),
    "href cycle": envelope('<p:authorizeRequest><pmsIdentifier id="a" href="#a"/></p:authorizeRequest>'),
    "XInclude": envelope(
        authorize_xml(userIdentifier='<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>')
    ),
    "xsi:type": envelope(
        GOOD.replace(
            "<p:authorizeRequest>",
            '<p:authorizeRequest xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="c:Location">',
        )
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_request_is_a_sender_fault(name: str) -> None:
    node = Node()
    with capture_logs() as logs:
        response = await node.post(BAD[name])
    assert (response.status_code, fault_code(response.content)) == (400, "Sender")
    assert node.door.passed == []
    assert len(logs) == 1
    assert "root:" not in response.text


async def test_unknown_envelopes_and_headers_have_their_own_faults() -> None:
    node = Node()
    header = '<e:Header><x:a xmlns:x="urn:x" e:mustUnderstand="{}"/></e:Header>'
    for body, code in (
        (envelope(GOOD, "urn:soap-13"), "VersionMismatch"),
        (b"<a/>", "VersionMismatch"),
        (envelope(GOOD, header=header.format("true")), "MustUnderstand"),
        (envelope(GOOD, header=header.format("1")), "MustUnderstand"),
    ):
        response = await node.post(body)
        assert (response.status_code, fault_code(response.content)) == (500, code)
    assert (await node.post(envelope(GOOD, header=header.format("false")))).status_code == 200


async def test_a_body_over_the_limit_is_refused_whole_or_in_chunks() -> None:
    node = Node()

    async def chunks() -> Any:
        for _ in range(5):
            yield b" " * (server.BODY_BYTES_MAX // 4)

    assert (await node.post(b" " * (server.BODY_BYTES_MAX + 1))).status_code == 413
    async with node.http() as http:
        response = await http.post(
            DESTINATION,
            content=chunks(),
            headers={"content-type": "text/xml"},
            auth=httpx.BasicAuth(USERNAME, PASSWORD),
        )
    assert response.status_code == 413
    padded = envelope(GOOD) + b"\n" * (server.BODY_BYTES_MAX - len(envelope(GOOD)))
    assert (await node.post(padded)).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/related", "application/x-www-form-urlencoded"]
)
async def test_other_media_types_are_415(content_type: str) -> None:
    assert (await Node().post(envelope(GOOD), content_type=content_type)).status_code == 415


async def test_the_character_set_of_http_wins() -> None:
    node = Node()
    body = envelope(authorize_xml(userIdentifier="Müller"))
    for charset in ("utf-8", "iso-8859-1", "utf-16"):
        sent = body.decode().encode(charset)
        assert (await node.post(sent, content_type=f"application/soap+xml; charset={charset}")).status_code == 200
    assert {request.user_identifier for _, request in node.door.passed} == {"Müller"}
    response = await node.post(body, content_type="application/soap+xml; charset=klingon")
    assert (response.status_code, fault_code(response.content)) == (400, "Sender")
