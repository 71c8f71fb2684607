"""SOAP envelopes, read without trust: bytes in, the one element that matters out. Nothing is ever fetched."""

from __future__ import annotations

import re
from typing import NamedTuple

from lxml import etree

from statecharts.limits import REASON

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
CONTENT_TYPES = {SOAP11: "text/xml; charset=utf-8", SOAP12: "application/soap+xml; charset=utf-8"}

_VERSIONS = frozenset(CONTENT_TYPES)
_TRUE = frozenset({"1", "true"})
_NOT_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


class BadEnvelope(Exception):
    """What was received is no SOAP message that we take. `code` is the SOAP 1.2 fault code, `namespace` the version."""

    def __init__(self, reason: str, code: str = "Sender", namespace: str = SOAP12) -> None:
        super().__init__(printable(reason))
        self.reason, self.code, self.namespace = printable(reason), code, namespace


class Envelope(NamedTuple):
    """A SOAP message: its version (as namespace), the whole of it, and the only child of its Body."""

    namespace: str
    root: etree._Element
    content: etree._Element


def read_envelope(body: bytes, charset: str | None = None) -> Envelope:
    """The SOAP 1.2 or 1.1 message in `body`; `charset` is what HTTP said, and wins over the XML declaration.

    Raises `BadEnvelope` for anything but well-formed XML without a document type, in a known envelope, without headers
    that must be understood (we know none), and with exactly one element in the Body (SOAP 1.2 part 1, section 5).
    """
    root = _parsed(body, charset)
    name = etree.QName(root)
    if name.localname != "Envelope" or name.namespace not in _VERSIONS:
        raise BadEnvelope(f"the document is no SOAP envelope but {root.tag}", "VersionMismatch")
    namespace = str(name.namespace)
    _check_headers(root, namespace)
    content = root.findall(f"{{{namespace}}}Body/*")
    if len(content) != 1 or len(root.findall(f"{{{namespace}}}Body")) != 1:
        raise BadEnvelope("the envelope must have one Body with exactly one element", namespace=namespace)
    return Envelope(namespace, root, content[0])


def check(content: etree._Element, schema: etree.XMLSchema) -> str | None:
    """Why `content` does not satisfy the schema; None if it does."""
    try:
        schema.assertValid(content)
    except etree.DocumentInvalid as error:
        return printable(str(error))
    return None


def printable(text: str) -> str:
    """The text cut to a readable length, with U+FFFD for what XML 1.0 (section 2.2) cannot carry."""
    return writable(text)[: REASON.limit]


def writable(text: str) -> str:
    """The text with U+FFFD in place of every character that XML 1.0 (section 2.2) cannot carry."""
    return _NOT_XML.sub("\ufffd", text)


def _parsed(body: bytes, charset: str | None) -> etree._Element:
    try:
        # A parser per document: one that has failed keeps its error log, and lxml locks a shared one
        parser = etree.XMLParser(
            encoding=charset,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        raise BadEnvelope(f"malformed XML: {error}") from None
    # SOAP 1.2 part 1, section 5: no document type; with it go entities, external files and entity bombs
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadEnvelope("a document type declaration is not allowed")
    return root


def _check_headers(root: etree._Element, namespace: str) -> None:
    for block in root.findall(f"{{{namespace}}}Header/*"):
        if block.get(f"{{{namespace}}}mustUnderstand", "").strip() in _TRUE:
            raise BadEnvelope(f"header {block.tag} is not understood", "MustUnderstand", namespace)
