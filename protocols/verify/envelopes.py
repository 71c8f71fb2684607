"""SOAP as we write and read it here: by the contract alone, with neither of the libraries that our node uses.

A partner that agrees with this agrees with a third reading of the WSDL, beside zeep's and spyne's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from protocols.mobieurope.contract import COMMON_NAMESPACE, GLOBAL_ELEMENTS, PMS_NAMESPACE, operation_of
from protocols.mobieurope.envelope import CONTENT_TYPES, SOAP12
from protocols.mobieurope.mapping import Tree, read_request, write_answer, write_request
from statecharts.vocabulary import EnergyUnit, Refusal, RoamingAnswer, RoamingRequest

CONTENT_TYPE = CONTENT_TYPES[SOAP12]
LIST = "serviceTypesList"


def request_envelope(request: RoamingRequest, unit: EnergyUnit = EnergyUnit.WH, namespace: str = SOAP12) -> bytes:
    """The request as a SOAP message."""
    return envelope(f"{operation_of(type(request))}Request", write_request(request, unit), namespace)


def answer_envelope(kind: type[RoamingRequest], answer: RoamingAnswer | Refusal) -> bytes:
    """The answer to a request of this kind, or the ResponseError in its place, as a SOAP message."""
    tree = (
        {"ResponseError": {"errorCode": str(answer.code), "errorMsg": answer.message}}
        if isinstance(answer, Refusal)
        else write_answer(kind, answer)
    )
    return envelope(f"{operation_of(kind)}Response", tree)


def envelope(name: str, tree: Mapping[str, Any], namespace: str = SOAP12) -> bytes:
    """A SOAP message with one element of the contract in its Body; the tree names its children in their order."""
    root = etree.Element(f"{{{namespace}}}Envelope", nsmap={"soap": namespace, "pms": PMS_NAMESPACE})
    content = etree.SubElement(etree.SubElement(root, f"{{{namespace}}}Body"), f"{{{PMS_NAMESPACE}}}{name}")
    _fill(content, tree)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _fill(parent: etree._Element, tree: Mapping[str, Any]) -> None:
    for name, value in tree.items():
        # Local elements are unqualified, those that the contract refers to with ref= are not
        tag = f"{{{COMMON_NAMESPACE}}}{name}" if name in GLOBAL_ELEMENTS else name
        for each in value if isinstance(value, list) else [value]:
            child = etree.SubElement(parent, tag, nsmap={"common": COMMON_NAMESPACE} if name in GLOBAL_ELEMENTS else {})
            if isinstance(each, dict):
                _fill(child, each)
            else:
                child.text = str(each)


def read_content(kind: type[RoamingRequest], content: etree._Element) -> RoamingRequest:
    """The request in a schema-valid element. Raises `mapping.Unreadable`."""
    return read_request(kind, _Fields(content), EnergyUnit.WH)


class _Fields:
    """An element as what `mapping` reads: its children by their names, absent ones as None."""

    def __init__(self, element: etree._Element) -> None:
        self._element = element

    def __getattr__(self, name: str) -> Any:
        found = [child for child in self._element if etree.QName(child).localname == name]
        if name == LIST:
            return [child.text for child in found]
        if not found:
            return None
        return _Fields(found[0]) if len(found[0]) else found[0].text or ""


def tree_of(request: RoamingRequest) -> Tree:
    """The request's elements, to be altered before they are written."""
    return write_request(request, EnergyUnit.WH)
