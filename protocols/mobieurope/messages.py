"""The server's side of the wire: SOAP bytes to vocabulary and back, by spyne.

spyne 2.14 is used for what it does well, turning elements into objects and back. What it does badly is done before it
sees a document: reading the envelope (envelope.py) and validating it (contract.py; spyne cannot express `ref=`, so its
own schema would refuse legal requests). Its models therefore declare no more than names, namespaces and occurrence.
"""

# spyne has no types: its classes are Any to mypy
# mypy: allow-subclassing-any

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from protocols.mobieurope import envelope
from protocols.mobieurope.contract import COMMON_NAMESPACE, PMS_NAMESPACE, Contract, operation_of
from protocols.mobieurope.envelope import SOAP11, SOAP12, BadEnvelope, Envelope
from protocols.mobieurope.mapping import Tree, Unreadable, read_request, write_answer
from protocols.mobieurope.spyne_import import (
    Application,
    ComplexModel,
    Fault,
    MethodContext,
    ServerBase,
    Service,
    Soap11,
    Soap12,
    Unicode,
    rpc,
)
from statecharts.vocabulary import (
    Authorize,
    EndTransaction,
    EnergyUnit,
    GetLocalServicesList,
    GetLocalServiceStatus,
    NotifyRequestResult,
    Refusal,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingAnswer,
    RoamingRequest,
    TransactionProgressUpdate,
)

UNBOUNDED = "unbounded"
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_SOAP11_CODES = {"Sender": "Client", "Receiver": "Server"}


# -- models ------------------------------------------------------------------------------------------------------------


def _text(min_occurs: int = 1, max_occurs: int | str = 1) -> Any:
    """An unqualified local element. Of whatever type, it is read as text: mapping.py knows the types."""
    return Unicode.customize(min_occurs=min_occurs, max_occurs=max_occurs, nillable=False, sub_ns="")


def _ref(model: Any, min_occurs: int = 1, max_occurs: int | str = 1) -> Any:
    """A reference to a global element of the common namespace: qualified, under the model's own name."""
    return model.customize(
        min_occurs=min_occurs,
        max_occurs=max_occurs,
        nillable=False,
        sub_ns=COMMON_NAMESPACE,
        sub_name=model.get_type_name(),
    )


def _model(namespace: str, name: str, **fields: Any) -> Any:
    """A spyne class with these elements in this order."""
    members = {"__namespace__": namespace, "_type_info": list(fields.items())}
    return type(ComplexModel)(name, (ComplexModel,), members)


ResponseError = _model(COMMON_NAMESPACE, "ResponseError", errorCode=_text(), errorMsg=_text())
Location = _model(COMMON_NAMESPACE, "Location", latitude=_text(), longitude=_text())
LocalService = _model(
    COMMON_NAMESPACE,
    "LocalService",
    localServiceIdentifier=_text(),
    localServiceStatus=_text(),
    serviceTypesList=_text(0, UNBOUNDED),
    Location=_ref(Location),
)
TransactionData = _model(
    COMMON_NAMESPACE,
    "TransactionData",
    serviceType=_text(),
    startTimestamp=_text(),
    endTimestamp=_text(0),
    transactionStatus=_text(),
    energyConsumed=_text(0),
    energyUnit=_text(0),
    localOperatorIdentifier=_text(),
    localServiceIdentifier=_text(),
    homeOperatorIdentifier=_text(),
    userIdentifier=_text(),
    authorizationIdentifier=_text(),
)

_REQUESTS: dict[type[RoamingRequest], dict[str, Any]] = {
    Authorize: {
        "pmsIdentifier": _text(),
        "userIdentifier": _text(),
        "serviceTypeIdentifier": _text(),
        "localServiceIdentifier": _text(),
        "connectorIdentifier": _text(0),
    },
    RequestStartTransaction: {"requestIdentifier": _text(), "authorizationIdentifier": _text()},
    RequestStopTransaction: {"requestIdentifier": _text(), "authorizationIdentifier": _text()},
    GetLocalServiceStatus: {"localServiceIdentifier": _text()},
    GetLocalServicesList: {
        "Location": _ref(Location),
        "searchRadius": _text(),
        "serviceTypesList": _text(0, UNBOUNDED),
    },
    NotifyRequestResult: {"requestIdentifier": _text(), "requestSuccess": _text(), "cause": _text(0)},
    TransactionProgressUpdate: {
        "authorizationIdentifier": _text(),
        "startTransactionTimestamp": _text(),
        "TransactionData": _ref(TransactionData),
    },
    EndTransaction: {
        "authorizationIdentifier": _text(),
        "startTransactionTimestamp": _text(),
        "endTransactionTimestamp": _text(),
        "TransactionData": _ref(TransactionData),
    },
}
# What an answer holds beside the ResponseError that any may hold
_ANSWERS: dict[type[RoamingRequest], dict[str, Any]] = {
    Authorize: {"authorizationIdentifier": _text(0)},
    GetLocalServiceStatus: {"LocalService": _ref(LocalService, 0)},
    GetLocalServicesList: {"LocalService": _ref(LocalService, 0, UNBOUNDED)},
}


class _Models(NamedTuple):
    request: Any
    response: Any


def _models(request: type[RoamingRequest]) -> _Models:
    operation = operation_of(request)
    answer = _ANSWERS.get(request, {}) | {"ResponseError": _ref(ResponseError, 0)}
    return _Models(
        _model(PMS_NAMESPACE, f"{operation}Request", **_REQUESTS[request]),
        _model(PMS_NAMESPACE, f"{operation}Response", **answer),
    )


_MODELS = {request: _models(request) for request in _REQUESTS}


# -- spyne, repaired ---------------------------------------------------------------------------------------------------


class _EnvelopeGiven:
    """Takes the envelope that `read_envelope` has checked, where spyne would read bytes in its own, unsafe way."""

    def create_in_document(self, ctx: Any, charset: str | None = None) -> None:
        ctx.in_document = ctx.udc.root

    def decompose_incoming_envelope(self, ctx: Any, message: Any = None) -> None:
        ctx.in_body_doc = ctx.udc.content
        ctx.method_request_string = ctx.udc.content.tag


class _Soap11(_EnvelopeGiven, Soap11):
    pass


class _Soap12(_EnvelopeGiven, Soap12):
    def gen_fault_codes(self, faultcode: str) -> tuple[str, list[str]]:
        # spyne knows only Client and Server, and writes subcodes as QNames without a namespace
        return f"{self.soap_env}:{faultcode}", []

    def fault_to_parent(self, ctx: Any, cls: Any, inst: Any, parent: Any, ns: str, **options: Any) -> None:
        super().fault_to_parent(ctx, cls, inst, parent, ns, **options)
        # SOAP 1.2 part 1, section 5.4.3: Role is a URI; spyne writes an empty one
        for role in list(parent.iter(f"{{{SOAP12}}}Role")):
            role.getparent().remove(role)


class _Endpoint(ServerBase):
    transport = "http://schemas.xmlsoap.org/soap/http"


def _declared(request: type[RoamingRequest]) -> Any:
    """One operation for spyne. It has no body: the door is awaited between decoding and encoding, outside spyne."""

    def declaration(ctx: Any, parameters: Any) -> None:
        raise NotImplementedError(f"{operation} is answered by its door")

    operation = declaration.__name__ = operation_of(request)
    models = _MODELS[request]
    return rpc(
        models.request,
        _returns=models.response,
        _body_style="bare",
        _in_message_name=f"{operation}Request",
        _out_message_name=f"{operation}Response",
    )(declaration)


@cache
def _endpoint(contract: Contract, protocol: Any) -> _Endpoint:
    """spyne's reading of a contract, once per process: it takes milliseconds, and knows nothing of whose it is."""
    operations = {name: _declared(request) for name, request in contract.operations.items()}
    service = type(Service)("PmsServerService", (Service,), operations)
    # xsi:type would let the sender choose the class
    return _Endpoint(
        Application([service], PMS_NAMESPACE, in_protocol=protocol(parse_xsi_type=False), out_protocol=protocol())
    )


def _built(model: Any, tree: Tree) -> Any:
    """The tree as an object of this spyne model."""
    return model(**{name: _built_value(model._type_info[name], value) for name, value in tree.items()})


def _built_value(model: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_built_value(model, item) for item in value]
    return _built(model, value) if isinstance(value, dict) else value


# -- the codec ---------------------------------------------------------------------------------------------------------


class Reply(NamedTuple):
    """What goes back over HTTP."""

    status: int
    body: bytes
    content_type: str


class Call:
    """A request that was read, and the ways to answer it in its own SOAP version."""

    def __init__(self, request: RoamingRequest, endpoint: _Endpoint, ctx: Any, namespace: str) -> None:
        self.request = request
        self._endpoint, self._ctx, self._namespace = endpoint, ctx, namespace

    def __repr__(self) -> str:
        return f"<Call {operation_of(type(self.request))}>"

    def answer(self, answer: RoamingAnswer) -> Reply:
        """200 with the answer. Raises TypeError for one of another operation, ValueError for text XML cannot carry."""
        return self._encoded(write_answer(type(self.request), answer))

    def refuse(self, refusal: Refusal) -> Reply:
        """200 with a ResponseError, the contract's own way of saying no."""
        message = envelope.writable(refusal.message)
        return self._encoded({"ResponseError": {"errorCode": str(refusal.code), "errorMsg": message}})

    def fault(self, code: str, reason: str) -> Reply:
        return _fault(self._endpoint, self._namespace, code, reason)

    def _encoded(self, tree: Tree) -> Reply:
        ctx = self._ctx
        ctx.out_object = [_built(_MODELS[type(self.request)].response, tree)]
        self._endpoint.get_out_string(ctx)
        return Reply(200, b"".join(ctx.out_string), envelope.CONTENT_TYPES[self._namespace])


class Codec:
    """One module of MOBI.Europe on the wire, SOAP 1.2 and, for older peers, 1.1.

    `energy_unit` is the unit of energy that comes without one.
    """

    def __init__(self, contract: Contract, energy_unit: EnergyUnit) -> None:
        self._contract, self._energy_unit = contract, energy_unit
        self._endpoints = {SOAP12: _endpoint(contract, _Soap12), SOAP11: _endpoint(contract, _Soap11)}

    def decode(self, body: bytes, charset: str | None = None) -> Call:
        """The request in these bytes; `charset` is what HTTP said. Raises `BadEnvelope`, to be given to `fault`."""
        message = envelope.read_envelope(body, charset)
        kind = self._checked_kind(message)
        endpoint = self._endpoints[message.namespace]
        ctx = MethodContext(endpoint, MethodContext.SERVER)
        ctx.udc = message
        ctx = endpoint.generate_contexts(ctx)[0]
        endpoint.get_in_object(ctx)
        try:
            request = read_request(kind, ctx.in_object, self._energy_unit)
        except Unreadable as error:
            raise BadEnvelope(str(error), namespace=message.namespace) from None
        return Call(request, endpoint, ctx, message.namespace)

    def fault(self, code: str, reason: str, namespace: str = SOAP12) -> Reply:
        """A Fault with a SOAP 1.2 code (Sender, Receiver, VersionMismatch, MustUnderstand), in this SOAP version."""
        return _fault(self._endpoints[namespace], namespace, code, reason)

    def _checked_kind(self, message: Envelope) -> type[RoamingRequest]:
        known = {f"{{{PMS_NAMESPACE}}}{name}Request": kind for name, kind in self._contract.operations.items()}
        kind = known.get(str(message.content.tag))
        if kind is None:
            raise BadEnvelope(f"unknown request element {message.content.tag}", namespace=message.namespace)
        if (complaint := self._contract.check_tolerantly(message.content)) is not None:
            raise BadEnvelope(complaint, namespace=message.namespace)
        for element in message.content.iter():
            # spyne takes any xsi:nil for true
            if element.get(_XSI_NIL, "").strip() in {"0", "false"}:
                del element.attrib[_XSI_NIL]
        return kind


def _fault(endpoint: _Endpoint, namespace: str, code: str, reason: str) -> Reply:
    """A Fault as bytes. SOAP 1.2 part 2, table 20: a Sender's fault is 400, others 500; SOAP 1.1 has only 500."""
    ctx = MethodContext(endpoint, MethodContext.SERVER)
    ctx.out_error = Fault(_SOAP11_CODES.get(code, code) if namespace == SOAP11 else code, envelope.printable(reason))
    endpoint.get_out_string(ctx)
    status = 400 if namespace == SOAP12 and code == "Sender" else 500
    return Reply(status, b"".join(ctx.out_string), envelope.CONTENT_TYPES[namespace])
