"""The contract itself: our two WSDLs as served, and the XML schemas that they contain, compiled for validation."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from lxml import etree

from protocols.mobieurope.envelope import check
from statecharts.vocabulary import (
    Authorize,
    EndTransaction,
    GetLocalServicesList,
    GetLocalServiceStatus,
    NotifyRequestResult,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingRequest,
    TransactionProgressUpdate,
)

PMS_NAMESPACE = "http://webservice.pms.mobieurope.com"
COMMON_NAMESPACE = "http://webservice.common.mobieurope.com"
GLOBAL_ELEMENTS = frozenset({"Location", "LocalService", "ResponseError", "TransactionData"})
BINDING = f"{{{PMS_NAMESPACE}}}PmsServerServiceSoapBinding"

_XS = "{http://www.w3.org/2001/XMLSchema}"
_LOCATION = re.compile(r'(<soap12:address location=)"[^"]*"')


class Contract(NamedTuple):
    """One module of MOBI.Europe: where it is served, what it says of itself, and the schema its bodies must satisfy."""

    path: str
    wsdl: bytes
    schema: etree.XMLSchema
    operations: dict[str, type[RoamingRequest]]

    def __hash__(self) -> int:
        return hash(self.path)

    def check(self, content: etree._Element) -> str | None:
        """Why this request or answer does not satisfy the schema; None if it does."""
        return check(content, self.schema)

    def check_tolerantly(self, content: etree._Element) -> str | None:
        """Like `check`, but names in a wrong namespace are put right first: PHP's SOAP sends a ref="" unqualified."""
        if self.check(content) is None:
            return None
        for element in content.iterdescendants():
            name = etree.QName(element).localname
            element.tag = f"{{{COMMON_NAMESPACE}}}{name}" if name in GLOBAL_ELEMENTS else name
        return self.check(content)

    def wsdl_at(self, location: str) -> str:
        """The WSDL with `location` (an absolute URL) as the service's address; everything else is as committed."""
        return _LOCATION.sub(lambda match: match[1] + quoteattr(location), self.wsdl.decode())


@cache
def destination_contract() -> Contract:
    return _contract(
        "/services/mobiEuropeDestinationService",
        "DestinationPMS.wsdl",
        Authorize,
        RequestStartTransaction,
        RequestStopTransaction,
        GetLocalServiceStatus,
        GetLocalServicesList,
    )


@cache
def source_contract() -> Contract:
    return _contract(
        "/services/mobiEuropeSourceService",
        "SourcePMS.wsdl",
        NotifyRequestResult,
        TransactionProgressUpdate,
        EndTransaction,
    )


def operation_of(request: type[RoamingRequest]) -> str:
    """The name of the operation that carries a request: the request's own, beginning with a small letter."""
    return request.__name__[0].lower() + request.__name__[1:]


def _contract(path: str, file: str, *requests: type[RoamingRequest]) -> Contract:
    wsdl = resources.files(__package__).joinpath(file).read_bytes()
    return Contract(path, wsdl, _compiled_schema(wsdl), {operation_of(request): request for request in requests})


class _Inline(etree.Resolver):
    """Resolves one schema's import to the other schema of the same WSDL: no file, no network."""

    def __init__(self, documents: dict[str, bytes]) -> None:
        self._documents = documents

    def resolve(self, system_url: str, public_id: str, context: Any = None) -> Any:
        return self.resolve_string(self._documents[system_url], context, base_url=system_url)


def _compiled_schema(wsdl: bytes) -> etree.XMLSchema:
    schemas = list(etree.fromstring(wsdl).iter(_XS + "schema"))
    documents = {str(schema.attrib["targetNamespace"]): etree.tostring(schema) for schema in schemas}
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    parser.resolvers.add(_Inline(documents))
    main = etree.fromstring(documents[PMS_NAMESPACE])
    for imported in main.iter(_XS + "import"):
        imported.set("schemaLocation", imported.attrib["namespace"])
    return etree.XMLSchema(etree.fromstring(etree.tostring(main), parser))
