"""What a MOBI.Europe WSDL says, as a plain table: everything that a peer's generated code depends on."""

from __future__ import annotations

from typing import Any

from lxml import etree

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
XS = "{http://www.w3.org/2001/XMLSchema}"


def table(wsdl: bytes) -> dict[str, Any]:
    """Names, namespaces, types, order, occurrence, actions and parts; prefixes, comments and layout do not matter."""
    root = etree.fromstring(wsdl)
    binding, port_type, service = (root.find(WSDL + name) for name in ("binding", "portType", "service"))
    port = service.find(WSDL + "port")
    return {
        "definitions": [root.get("name"), root.get("targetNamespace")],
        "service": service.get("name"),
        "port": [port.get("name"), resolved(port, port.get("binding"))],
        "address": port[-1].tag,
        "binding": [
            binding.get("name"),
            resolved(binding, binding.get("type")),
            dict(binding.find(SOAP12 + "binding").attrib),
        ],
        "portType": port_type.get("name"),
        "operations": {name(item): operation(item) for item in sorted(port_type.iter(WSDL + "operation"), key=name)},
        "bound": {name(item): bound(item) for item in sorted(binding.iter(WSDL + "operation"), key=name)},
        "messages": {
            name(item): [[part.get("name"), resolved(part, part.get("element"))] for part in item]
            for item in sorted(root.iter(WSDL + "message"), key=name)
        },
        "schemas": {schema.get("targetNamespace"): schema_table(schema) for schema in root.iter(XS + "schema")},
    }


def name(element: Any) -> str:
    return element.get("name")


def resolved(element: Any, qname: str | None) -> str | None:
    """A prefixed name as {namespace}name."""
    if qname is None:
        return None
    prefix, _, local = qname.rpartition(":")
    return f"{{{element.nsmap[prefix or None]}}}{local}"


def operation(element: Any) -> dict[str, list[str | None]]:
    return {
        etree.QName(way).localname: [way.get("name"), resolved(way, way.get("message"))]
        for way in element.iterchildren(tag=etree.Element)
    }


def bound(element: Any) -> dict[str, Any]:
    soap = element.find(SOAP12 + "operation")
    ways = [way for way in element.iterchildren(tag=etree.Element) if way.tag != soap.tag]
    return {
        "soap": dict(soap.attrib),
        "ways": {etree.QName(way).localname: [way.get("name"), dict(way[0].attrib)] for way in ways},
    }


def schema_table(schema: Any) -> dict[str, Any]:
    return {
        "attributes": {key: value for key, value in schema.attrib.items() if key != "targetNamespace"},
        "imports": [item.get("namespace") for item in schema.iterchildren(XS + "import")],
        "elements": {
            name(item): [field(inner) for inner in item.iterfind(f"{XS}complexType/{XS}sequence/*")]
            for item in sorted(schema.iterchildren(XS + "element"), key=name)
        },
        "enumerations": {
            name(item): [
                resolved(item[0], item[0].get("base")),
                *(value.get("value") for value in item.iter(XS + "enumeration")),
            ]
            for item in sorted(schema.iterchildren(XS + "simpleType"), key=name)
        },
    }


def field(element: Any) -> dict[str, Any]:
    return {
        "name": element.get("name"),
        "ref": resolved(element, element.get("ref")),
        "type": resolved(element, element.get("type")),
        "occurs": [element.get("minOccurs", "1"), element.get("maxOccurs", "1")],
        "nillable": element.get("nillable", "false"),
        "form": element.get("form"),
    }
