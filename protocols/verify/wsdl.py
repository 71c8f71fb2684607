"""Whether a partner's WSDL says the same as the contract, whatever tool wrote it and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from protocols.mobieurope.contract import Contract

_XS = "{http://www.w3.org/2001/XMLSchema}"
_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"


def differences(wsdl: bytes, contract: Contract) -> list[str]:
    """What in this WSDL is not as in the contract's own, one sentence each."""
    try:
        root = _parsed(wsdl)
    except etree.XMLSyntaxError as error:
        return [f"it is no XML: {error}"]
    theirs, ours = dict(_shape(root)), dict(_shape(_parsed(contract.wsdl)))
    found = [f"{name} is missing" for name in ours if name not in theirs]
    return found + [
        f"{name} is {theirs[name]}, not {ours[name]}" for name in ours if theirs.get(name, ours[name]) != ours[name]
    ]


def _parsed(wsdl: bytes) -> etree._Element:
    return etree.fromstring(wsdl, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def _shape(root: etree._Element) -> Iterator[tuple[str, object]]:
    """Operations, elements with their children, and the values of enumerations, each by its full name."""
    for operation in root.iterfind(f"{_WSDL}portType/{_WSDL}operation"):
        yield f"operation {operation.get('name')}", "there"
    yield "a SOAP 1.2 binding", "there" if root.find(f"{_WSDL}binding/{_SOAP12}binding") is not None else "not there"
    for schema in root.iter(f"{_XS}schema"):
        namespace = schema.get("targetNamespace", "")
        for element in schema.findall(f"{_XS}element"):
            yield f"element {{{namespace}}}{element.get('name')}", tuple(_children(element, schema))
        for values in schema.findall(f"{_XS}simpleType"):
            enumerated = tuple(sorted(each.get("value", "") for each in values.iter(f"{_XS}enumeration")))
            yield f"type {{{namespace}}}{values.get('name')}", enumerated


def _children(element: etree._Element, schema: etree._Element) -> Iterator[tuple[str, ...]]:
    """What may stand in an element: name, type, least and most, of each."""
    named = element.get("type")
    holder = element
    if named is not None:  # a type of its own name, as generated WSDLs have
        found = [each for each in schema.findall(f"{_XS}complexType") if each.get("name") == named.rpartition(":")[2]]
        holder = found[0] if found else element
    qualified = schema.get("elementFormDefault") == "qualified"
    for child in holder.iter(f"{_XS}element"):
        if child is not element:
            name = _full(child, child.get("ref", "")) if child.get("ref") else child.get("name", "")
            if qualified and not child.get("ref"):
                name = f"{{{schema.get('targetNamespace')}}}{name}"
            kind = _full(child, child.get("type", "")) if child.get("type") else ""
            yield name, kind, child.get("minOccurs", "1"), child.get("maxOccurs", "1")


def _full(element: etree._Element, name: str) -> str:
    """A prefixed name with its namespace in the place of the prefix."""
    prefix, _, local = name.rpartition(":")
    return f"{{{element.nsmap.get(prefix or None, '')}}}{local}"
