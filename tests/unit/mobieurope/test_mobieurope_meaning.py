"""What requests mean once they are read, and what is tolerated in how they are written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from mobieurope_samples import (
    DESTINATION,
    NOON,
    REQUESTS,
    SOAP11,
    SOURCE,
    Door,
    Node,
    authorize_xml,
    end_xml,
    envelope,
    fault_code,
)
from msgspec import structs

from protocols.mobieurope.mapping import write_request
from statecharts.vocabulary import (
    Authorize,
    EndTransaction,
    EnergyUnit,
    GetLocalServicesList,
    RoamingRequest,
    ServiceType,
)

# -- tolerance ---------------------------------------------------------------------------------------------------------


async def test_a_soap_11_peer_is_answered_in_soap_11() -> None:
    node = Node()
    response = await node.post(
        envelope(authorize_xml(), SOAP11), content_type="text/xml; charset=utf-8", SOAPAction='"authorize"'
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/xml")
    assert SOAP11 in response.text
    assert "<authorizationIdentifier>" in response.text


async def test_a_soap_11_peer_gets_soap_11_faults() -> None:
    for content, code in ((authorize_xml(serviceTypeIdentifier="CAR_WASH"), "Client"), (authorize_xml(), "Server")):
        node = Node(destination=Door(lambda _: 1 / 0))
        response = await node.post(envelope(content, SOAP11), content_type="text/xml")
        assert response.status_code == 500
        assert f":{code}</faultcode>" in response.text


async def test_names_in_a_wrong_namespace_are_put_right() -> None:
    node = Node()
    for location in ("<Location>{}</Location>", "<p:Location>{}</p:Location>", "<c:Location>{}</c:Location>"):
        for inner in (
            "<latitude>1.5</latitude><longitude>2</longitude>",
            "<c:latitude>1.5</c:latitude><c:longitude>2</c:longitude>",
        ):
            content = f"{location.format(inner)}<searchRadius>5</searchRadius>"
            xml = f"<p:getLocalServicesListRequest>{content}</p:getLocalServicesListRequest>"
            assert (await node.post(envelope(xml))).status_code == 200
    assert len({repr(request) for _, request in node.door.passed}) == 1


async def test_nil_items_name_no_service_type_and_nil_false_is_a_value() -> None:
    node = Node()
    items = '<serviceTypesList xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="{}">{}</serviceTypesList>'
    xml = (
        "<p:getLocalServicesListRequest><c:Location><latitude>1</latitude><longitude>2</longitude></c:Location>"
        f"<searchRadius> 5 </searchRadius>{items.format('true', '')}{items.format('false', 'PARKING')}"
        "</p:getLocalServicesListRequest>"
    )
    await node.post(envelope(xml))
    [(_, request)] = node.door.passed
    assert isinstance(request, GetLocalServicesList)
    assert (request.search_radius_m, request.service_types) == (5, (ServiceType.PARKING,))


async def test_comments_inside_a_value_do_not_cut_it() -> None:
    node = Node()
    await node.post(envelope(authorize_xml(userIdentifier="test<!-- x -->Pas<?who knows?><![CDATA[&]]>")))
    assert node.door.passed[0][1].user_identifier == "testPas&"


# -- meaning -----------------------------------------------------------------------------------------------------------


async def read(node: Node, xml: str, path: str) -> RoamingRequest:
    response = await node.post(envelope(xml), path)
    assert response.status_code == 200, response.text
    return node.door.passed[-1][1]


async def test_d13_parking_reaches_the_door_as_parking() -> None:
    request = await read(Node(), authorize_xml(serviceTypeIdentifier="PARKING"), DESTINATION)
    assert isinstance(request, Authorize)
    assert request.service_type is ServiceType.PARKING
    ended = await read(Node(), end_xml(serviceType="PARKING"), SOURCE)
    assert isinstance(ended, EndTransaction)
    assert ended.transaction_data.service_type is ServiceType.PARKING


async def test_d15_the_connector_is_optional_and_any_text() -> None:
    for given, expected in (({}, None), ({"connectorIdentifier": "left"}, "left"), ({"connectorIdentifier": ""}, "")):
        request = await read(Node(), authorize_xml(**given), DESTINATION)
        assert isinstance(request, Authorize)
        assert request.connector_identifier == expected


@pytest.mark.parametrize(
    ("energy", "unit", "energy_wh"),
    [("12345", "Wh", 12345), ("12.345", "kWh", 12345), ("0.0005", "kWh", 1), ("7", "", 7000), ("", "", None)],
)
async def test_d14_energy_is_read_in_the_unit_it_names_or_else_the_agreed_one(
    energy: str, unit: str, energy_wh: int | None
) -> None:
    request = await read(Node(unit=EnergyUnit.KWH), end_xml(energyConsumed=energy, energyUnit=unit), SOURCE)
    assert isinstance(request, EndTransaction)
    assert request.transaction_data.energy_wh == energy_wh


def test_energy_that_nobody_knows_has_no_unit_either() -> None:
    *_, ended = REQUESTS
    assert isinstance(ended, EndTransaction)
    unknown = structs.replace(ended, transaction_data=structs.replace(ended.transaction_data, energy_wh=None))
    assert not {"energyConsumed", "energyUnit"} & write_request(unknown, EnergyUnit.KWH)["TransactionData"].keys()
    assert write_request(ended, EnergyUnit.KWH)["TransactionData"]["energyUnit"] == "kWh"


@pytest.mark.parametrize(
    "replaced",
    [
        {"energyConsumed": "NaN"},
        {"energyConsumed": "INF"},
        {"energyConsumed": "1E300"},
        {"startTimestamp": "12024-01-01T00:00:00Z"},
    ],
)
async def test_what_the_schema_takes_and_we_cannot_is_a_sender_fault(replaced: dict[str, str]) -> None:
    node = Node()
    response = await node.post(envelope(end_xml(**replaced)), SOURCE)
    assert (response.status_code, fault_code(response.content)) == (400, "Sender")
    assert node.door.passed == []


async def test_d12_a_charge_record_without_its_operator_is_refused() -> None:
    response = await Node().post(envelope(end_xml(localOperatorIdentifier="")), SOURCE)
    assert (response.status_code, fault_code(response.content)) == (400, "Sender")


async def test_times_reach_the_door_in_utc() -> None:
    request = await read(Node(), end_xml(startTimestamp="2024-05-17T14:00:00+02:00"), SOURCE)
    assert isinstance(request, EndTransaction)
    assert request.transaction_data.start_timestamp == NOON
    assert request.transaction_data.start_timestamp.utcoffset() == timedelta()
