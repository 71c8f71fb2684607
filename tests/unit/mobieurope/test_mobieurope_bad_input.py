"""What is no request is refused with the right Fault, before anything behind the door sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from mobieurope_samples import (
    DESTINATION,
    PASSWORD,
    SOAP11,
    SOAP12,
    USERNAME,
    Node,
    authorize_xml,
    end_xml,
    envelope,
    fault_code,
)
from structlog.testing import capture_logs

from protocols.mobieurope import server
from protocols.mobieurope.contract import Contract, destination_contract, source_contract
from protocols.mobieurope.envelope import BadEnvelope
from protocols.mobieurope.messages import Codec
from statecharts.bounds import HTTP_BODY
from statecharts.vocabulary import EnergyUnit

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
    for harmless in (header.format("false"), "<e:Header><x:a xmlns:x='urn:x'/></e:Header>", "<e:Header/>"):
        assert (await node.post(envelope(GOOD, header=harmless))).status_code == 200


async def test_a_fault_says_in_each_envelope_what_it_is_for() -> None:
    """SOAP 1.2 part 1, section 5.4, and SOAP 1.1, section 4.4: only Sender and Receiver have another name there."""
    node = Node()
    header = '<e:Header><x:a xmlns:x="urn:x" e:mustUnderstand="1"/></e:Header>'
    washing = authorize_xml(serviceTypeIdentifier="CAR_WASH")
    for soap, code, reason, sender in (
        (SOAP12, "Code/{*}Value", "Reason/{*}Text", "Sender"),
        (SOAP11, "faultcode", "faultstring", "Client"),
    ):
        for body, expected, words in (
            (envelope(GOOD, soap, header), "MustUnderstand", "{urn:x}a"),
            (envelope(washing, soap), sender, "CAR_WASH"),
            (envelope(GOOD + GOOD, soap), sender, "one Body with exactly one element"),
            (envelope("<p:payRequest/>", soap), sender, "payRequest"),
        ):
            answer = etree.fromstring((await node.post(body)).content)
            (fault,) = answer.iter(f"{{{soap}}}Fault")
            assert fault.findtext(f"{{*}}{code}").split(":")[-1] == expected
            assert words in fault.findtext(f"{{*}}{reason}")


async def test_a_body_over_the_limit_is_refused_whole_or_in_chunks() -> None:
    node = Node()

    async def chunks() -> Any:
        for _ in range(5):
            yield b" " * (HTTP_BODY.limit // 4)

    assert (await node.post(b" " * (HTTP_BODY.limit + 1))).status_code == 413
    async with node.http() as http:
        response = await http.post(
            DESTINATION,
            content=chunks(),
            headers={"content-type": "text/xml"},
            auth=httpx.BasicAuth(USERNAME, PASSWORD),
        )
    assert response.status_code == 413
    padded = envelope(GOOD) + b"\n" * (HTTP_BODY.limit - len(envelope(GOOD)))
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


MARKUP = [b"<", b">", b"/>", b"</", b'"', b"&", b"]]>", b"<![CDATA[", b"<!--", b"<?x?>", b'xmlns="urn:x"', b"Body"]
NAMES = [b"c:", b"p:", b"e:", b' i:nil="true"', b' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"']
VALUES = [b"&#0;", b"&#xD800;", b"\x00", b"\xff", b"9" * 400, b"-", b"NaN", b"", b" ", b"T24:00:00"]
PIECES = MARKUP + NAMES + VALUES
DOCUMENTS = {destination_contract: envelope(authorize_xml()), source_contract: envelope(end_xml())}
CODECS = {contract: Codec(contract(), EnergyUnit.WH) for contract in DOCUMENTS}


@given(
    st.sampled_from(list(DOCUMENTS)),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
@settings(max_examples=400, deadline=None)
def test_a_damaged_document_is_read_or_refused_and_nothing_else(
    contract: Callable[[], Contract], damages: list[tuple[int, int, bytes]]
) -> None:
    document = DOCUMENTS[contract]
    for at, removed, inserted in damages:
        document = document[:at] + inserted + document[at + removed :]
    try:
        call = CODECS[contract].decode(document)
    except BadEnvelope as error:
        reply = CODECS[contract].fault(error.code, error.reason, error.namespace)
        assert etree.fromstring(reply.body).tag.endswith("Envelope")
    else:
        assert type(call.request) in contract().operations.values()


ENTITIES = st.lists(
    st.sampled_from(
        ("<!ELEMENT e ANY>", '<!ENTITY x "y">', '<!ENTITY % p "q">', '<!ENTITY x SYSTEM "file:///x">', " ")
    ),
    max_size=3,
).map("".join)
DOCTYPES = st.one_of(
    st.sampled_from(("<!DOCTYPE e>", '<!DOCTYPE e SYSTEM "e.dtd">', '<!DOCTYPE e PUBLIC "-//e" "e.dtd">')),
    ENTITIES.map("<!DOCTYPE e [{}]>".format),
)


@given(st.sampled_from(list(DOCUMENTS)), st.sampled_from(("", "<?xml version='1.0'?>", "<!-- -->", "\n")), DOCTYPES)
def test_a_document_with_a_type_is_refused_whatever_the_type_says(
    contract: Callable[[], Contract], before: str, doctype: str
) -> None:
    with pytest.raises(BadEnvelope):
        CODECS[contract].decode((before + doctype).encode() + DOCUMENTS[contract])


async def test_what_breaks_the_decoder_itself_is_a_receiver_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    node = Node()
    monkeypatch.setattr(server.Codec, "decode", broken)
    response = await node.post(envelope(GOOD))
    assert (response.status_code, fault_code(response.content)) == (500, "Receiver")
    assert "secret" not in response.text
