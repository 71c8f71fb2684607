"""What comes in and goes out: JSON and query strings into checked structs, values into JSON."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from quart import request
from quart_trio.wrappers import TrioResponse as Response
from werkzeug.routing import BaseConverter

from protocols.rest.choices import named
from protocols.rest.problems import FieldError, Problem
from protocols.rest.schemas import INSTANT
from statecharts.ports import Page
from statecharts.vocabulary import Location

JSON = "application/json"
TEXT = "text/plain"
CSV = "text/csv"

Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*\Z)")]
"""An identifier as operators write them: 1 to 64 characters, none of them a control character, no blank first."""

Latitude = Annotated[Decimal, Meta(extra_json_schema={"minimum": -90, "maximum": 90})]
Longitude = Annotated[Decimal, Meta(extra_json_schema={"minimum": -180, "maximum": 180})]
"""Decimal degrees, WGS 84. msgspec cannot bound a Decimal: `checked_location` does."""

Cursor = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[\x21-\x7e]+\Z")]
Limit = Annotated[int, Meta(ge=1, le=200)]

Instant = Annotated[str, Meta(pattern=INSTANT, extra_json_schema={"format": "date-time"})]
"""A time in a query string (RFC 3339); as a datetime msgspec would take any number for one."""

RadiusM = Annotated[int, Meta(ge=1, le=20_100_000)]
"""Metres, up to half way round the Earth."""

ERROR_PATH = re.compile(r"^(?P<reason>.*?)(?: - at `(?:key in )?\$(?P<field>.*)`)?$", re.DOTALL)
MISSING_FIELD = re.compile(r"^Object missing required field `(?P<name>.+)`$")
UNKNOWN_FIELD = re.compile(r"^Object contains unknown field `(?P<name>.+)`$", re.DOTALL)

INT64_END = 2**63

ENCODER = msgspec.json.Encoder(decimal_format="number")

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


IDENTIFIER_PATH = r"[^/\x00-\x1f\x7f]{1,64}"
CARD_PATH = r"[!-.0-~]{1,36}"
NUMBER_PATH = r"[0-9]{1,18}"


class IdentifierConverter(BaseConverter):
    """Path segments that can be an identifier; any other is a 404 and never reaches a door."""

    regex = IDENTIFIER_PATH


class CardConverter(BaseConverter):
    """Path segments that can be an idTag: of OCPP 1.6 up to 20 characters, of OCPP 2.x up to 36, and no slash."""

    regex = CARD_PATH


class NumberConverter(BaseConverter):
    """Row numbers; longer ones than a database can hold are a 404."""

    regex = NUMBER_PATH

    def to_python(self, value: str) -> int:
        return int(value)


def _number(written: str) -> int | Decimal:
    """A JSON number with a point or an exponent: `1.0` and `1e3` are whole numbers too (JSON Schema 2020-12, 6.1.1)."""
    number = Decimal(written)
    whole = -INT64_END <= number <= INT64_END and number == number.to_integral_value()
    return int(number) if whole else number


_DECODER = msgspec.json.Decoder(float_hook=_number)


async def csv_text() -> str:
    """The body, a CSV (RFC 4180), as text; a byte order mark, as spreadsheets write one, is none of it.

    Raises `Problem`: 415 for another media type, 400 when it is not UTF-8.
    """
    if request.mimetype != CSV:
        raise Problem(415, "unsupported-media-type", f"Send the body as {CSV}.")
    return (await text_body()).removeprefix("\ufeff")


async def body(type_: type[T], media_types: Collection[str] = (JSON,)) -> T:
    """The JSON body of the request as a `type_`.

    Raises `Problem`: 415 for another media type, 400 for what is not JSON, or is JSON that does not fit (each with
    the field and the reason).
    """
    if request.mimetype not in media_types:
        raise Problem(415, "unsupported-media-type", f"Send the body as {' or '.join(sorted(media_types))}.")
    content = await text_body()
    try:
        sent = _DECODER.decode(content)
    except (msgspec.DecodeError, RecursionError, ValueError, ArithmeticError) as error:
        raise Problem(400, "malformed-json", f"The body is not JSON that can be read: {error}.") from error
    try:
        return msgspec.convert(sent, type=type_)
    except msgspec.ValidationError as error:
        raise invalid(error, type_, sent) from error


async def text(type_: type[T]) -> T:
    """The whole body, whatever its media type says, as one value without the white space around it."""
    return converted((await text_body()).strip(), type_)


async def text_body() -> str:
    """The body as text. Raises `Problem` 400 when it is not UTF-8, werkzeug's 413 or 408 by the app's limits."""
    raw = await request.get_data(True, False, False)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, "not-utf-8", f"The body is not UTF-8: byte {error.start} cannot be read.") from error


def query(type_: type[S]) -> S:
    """The query string as a struct: fields whose default is a tuple may be repeated. Raises `Problem` 400."""
    repeatable = {field.name for field in msgspec.structs.fields(type_) if isinstance(field.default, tuple)}
    found: dict[str, Any] = request.args.to_dict(flat=False)
    for name in found.keys() - repeatable:
        if len(found[name]) > 1:
            raise unfit(name, "is given more than once")
        (found[name],) = found[name]
    asked = converted(found, type_)
    for name in found:
        if getattr(asked, name) is None:  # msgspec takes the text "null" for it
            raise unfit(name, "is none of its values")
    return asked


def converted(data: object, type_: type[T]) -> T:
    """`data` as a `type_`, text read as numbers where numbers are wanted. Raises `Problem` 400."""
    try:
        return msgspec.convert(data, type=type_, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, type_, data) from error


def moment(field: str, written: str | None) -> datetime | None:
    """A parameter of the type `Instant` as a time. Raises `Problem` 400 for one that no calendar has."""
    try:
        return None if written is None else msgspec.convert(written, type=datetime)
    except msgspec.ValidationError as error:
        raise unfit(field, "is no time") from error


def invalid(error: msgspec.ValidationError, type_: Any, sent: object) -> Problem:
    """msgspec's complaint about what was `sent` as a `type_`, as a problem that names the field and the reason."""
    reason, field = _reason_and_field(str(error))
    return unfit(field, named(reason, field, type_, sent))


def unfit(field: str, reason: str) -> Problem:
    """The problem of a field that does not fit; "" stands for the whole request."""
    where = f"`{field}`: " if field else ""
    found = FieldError(field=field, reason=reason)
    return Problem(400, "invalid-request", f"The request does not fit: {where}{reason}.", errors=(found,))


def _reason_and_field(complaint: str) -> tuple[str, str]:
    parts = ERROR_PATH.match(complaint)
    reason, field = (parts["reason"], (parts["field"] or "").lstrip(".")) if parts else (complaint, "")
    reason = reason.replace("`decimal`", "`number`")
    for pattern, said in ((MISSING_FIELD, "is missing"), (UNKNOWN_FIELD, "is not known here")):
        found = pattern.match(reason)
        if found is not None:
            return said, f"{field}.{found['name']}" if field else found["name"]
    return reason, field


def checked_location(latitude: Decimal, longitude: Decimal) -> Location:
    """A place on Earth. Raises `Problem` 400 for NaN, infinity and what lies beyond the poles or the date line."""
    for name, value, bound in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        if not (value.is_finite() and -bound <= value <= bound):
            raise unfit(name, f"must be a number of degrees from -{bound} to {bound}")
    return Location(latitude=latitude, longitude=longitude)


def plain(value: Any) -> Any:
    """A value as JSON shows it: every field, defaults too, but none that is absent."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(item) for name, item in msgspec.structs.asdict(value).items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


def answer(value: Any, status: int = 200, *, media_type: str = JSON, **headers: str) -> Response:
    """`value` as a JSON response: times in RFC 3339 UTC, decimals as numbers with their own digits."""
    given = {"Cache-Control": "no-store"} | {name.replace("_", "-").title(): text for name, text in headers.items()}
    return Response(ENCODER.encode(plain(value)), status, given, content_type=media_type)


def page_answer(page: Page[Any]) -> Response:
    """A page of a list, with the way to the next one (RFC 8288) where there is one."""
    if page.next_cursor is None:
        return answer(page)
    asked = {**request.args.to_dict(flat=False), "cursor": [page.next_cursor]}
    return answer(page, link=f'<{request.path}?{urlencode(asked, doseq=True)}>; rel="next"')
