"""Our WSDLs are our own text and the common contract's every name, type, namespace and occurrence."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from wsdl_table import table
from zeep.transports import Transport
from zeep.wsdl import Document

from protocols.mobieurope.contract import (
    GLOBAL_ELEMENTS,
    Contract,
    destination_contract,
    operation_of,
    source_contract,
)
from statecharts.vocabulary import DestinationRequest, SourceRequest

ROOT = Path(__file__).parents[3]
COMMITTED = json.loads((ROOT / "tests/data/mobieurope_contract.json").read_text())
MODULES = {"DestinationPMS": destination_contract, "SourcePMS": source_contract}

every_module = pytest.mark.parametrize("module", MODULES)


@every_module
def test_our_wsdl_says_what_the_committed_table_says(module: str) -> None:
    assert table(MODULES[module]().wsdl) == COMMITTED[module]


@every_module
def test_our_wsdl_says_what_the_reference_says(module: str) -> None:
    if "CONTRACTS_DIR" not in os.environ:
        pytest.skip("CONTRACTS_DIR names no folder with the reference WSDLs")
    reference = (Path(os.environ["CONTRACTS_DIR"]) / f"{module}.wsdl").read_bytes()
    ours = MODULES[module]().wsdl
    assert table(reference) == COMMITTED[module]
    assert zeep_table(ours) == zeep_table(reference)
    assert ours != reference


def zeep_table(wsdl: bytes) -> dict[str, object]:
    """The same through zeep, which reads WSDLs as peers' tools do."""
    document = Document(io.BytesIO(wsdl), Transport)
    elements = {
        str(element.qname): signature(element)
        for element in document.types.elements
        if "mobieurope" in element.qname.namespace
    }
    operations = {
        (str(binding_name), operation.name): (
            operation.soapaction,
            operation.style,
            str(operation.input.body.qname),
            str(operation.output.body.qname),
            operation.input.name,
            operation.output.name,
        )
        for binding_name, binding in document.bindings.items()
        for operation in binding.all().values()
    }
    ports = {service.name: sorted(service.ports) for service in document.services.values()}
    types = {str(kind.qname): str(kind) for kind in document.types.types if "mobieurope" in str(kind.qname)}
    return {"elements": elements, "operations": operations, "ports": ports, "types": types}


def signature(element: Any) -> list[object]:
    return [
        [str(inner.qname), inner.is_optional, inner.min_occurs, inner.max_occurs, inner.nillable, str(inner.type.qname)]
        for _, inner in element.type.elements
    ]


@every_module
def test_the_contract_names_every_operation_of_its_wsdl(module: str) -> None:
    assert set(MODULES[module]().operations) == set(COMMITTED[module]["operations"])


def test_every_request_of_the_vocabulary_has_its_operation() -> None:
    for contract, requests in ((destination_contract(), DestinationRequest), (source_contract(), SourceRequest)):
        assert contract.operations == {operation_of(kind): kind for kind in requests.__args__}


def test_global_elements_are_those_of_the_common_schemas() -> None:
    common = "http://webservice.common.mobieurope.com"
    assert {name for module in COMMITTED.values() for name in module["schemas"][common]["elements"]} == GLOBAL_ELEMENTS


@every_module
def test_only_the_address_of_the_wsdl_changes_and_is_escaped(module: str) -> None:
    contract: Contract = MODULES[module]()
    location = "https://a.example:8089/x?\"'<&>"
    served = etree.fromstring(contract.wsdl_at(location).encode())
    addresses = list(served.iter("{http://schemas.xmlsoap.org/wsdl/soap12/}address"))
    assert [address.get("location") for address in addresses] == [location]
    assert table(etree.tostring(served)) == COMMITTED[module]


def test_the_codec_knows_no_trio_and_no_transport() -> None:
    for module in ("contract", "envelope", "mapping", "messages"):
        text = (ROOT / f"protocols/mobieurope/{module}.py").read_text()
        imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))}
        assert not imported & {"trio", "httpx", "quart", "socket", "actors"}
