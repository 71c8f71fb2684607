"""What to try while the demo stays up: addresses, tokens, and one line of curl for each step."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.cli.demo_operators import CARD, HOME, HOST, LOCAL, OPERATOR, ROAMING, STATIONS, USER, Operators

_CURL = 'curl -sS -w "\\n" -H "Authorization: Bearer $%s"'
_JSON = '-H "Content-Type: application/json" -d'
_V1, _SV1 = "$HOME_URL/api/v1", "$HOME_URL/rest/mobieurope/source/sv1"
_WISH = f'{{"user_identifier":"{USER}","destination":"{LOCAL}","local_service_identifier":"{ROAMING}"}}'
_MOTOWN_WISH = f'{{"userIdentifier":"{USER}","servicePms":"{LOCAL}","localServiceIdentifier":"{ROAMING}"}}'
_MOTOWN_REQUEST = r'"{\"authorizationIdentifier\":\"$AUTH\"}"'


def guide(operators: Operators) -> str:
    """What stays up, and lines to copy into another terminal, in their order."""
    lines = [
        "Both operators stay up; what you do appears below. Ctrl-C ends everything.",
        "",
        f"  {HOME}, Source       {operators.home_url}  {operators.config_of(HOME)}",
        f"  {LOCAL}, Destination  {operators.local_url}  {operators.config_of(LOCAL)}",
        f"  stations             ws://{HOST}:{operators.ports.local_ocpp}/ocpp/<identity>",
        *(f"                       {station}" for station in STATIONS),
        "",
        "In a browser, with the password " + operators.secrets.password,
        f"  the driver {USER}         {operators.home_url}/drive",
        f"  the operator of {HOME}  {operators.home_url}/console, as {OPERATOR}",
        f"  the operator of {LOCAL}  {operators.local_url}/console, as {OPERATOR}",
        "",
        "Copy these lines into another terminal, one after the other:",
        "",
        *(f"  {line}".rstrip() for line in steps(operators)),
    ]
    return "\n".join(lines)


def steps(operators: Operators) -> Iterator[str]:
    """Shell lines: who you are, then a transaction by the API of today, the records, and Motown's API."""
    secrets, app = operators.secrets, _CURL % "APP"
    yield f"# who you are: {USER}'s app, and the control rooms of both operators"
    yield f"HOME_URL={operators.home_url} LOCAL_URL={operators.local_url}"
    yield f"APP={secrets.app_token} HOME_ROOM={secrets.home_token} LOCAL_ROOM={secrets.local_token}"
    yield "# authorize"
    yield f"TX=$({app} {_JSON} '{_WISH}' {_V1}/authorizations | {_value_of('transaction_id')}); echo $TX"
    yield "# start, and watch; Ctrl-C ends watching"
    yield f"{app} -X POST {_V1}/transactions/$TX/start"
    yield f"{app} -N {_V1}/transactions/$TX/events"
    yield "# stop, and the receipt"
    yield f"{app} -X POST {_V1}/transactions/$TX/stop"
    yield f"{app} {_V1}/transactions/$TX/receipt"
    yield f"# what both operators hold; the RFID card {CARD} charged without roaming"
    yield f"{_CURL % 'HOME_ROOM'} $HOME_URL/api/v1/operator/cdrs"
    yield f"{_CURL % 'LOCAL_ROOM'} $LOCAL_URL/api/v1/operator/cdrs"
    yield f'{_CURL % "LOCAL_ROOM"} "$LOCAL_URL/api/v1/operator/transactions?role=local"'
    yield "# the same as Motown's apps say it, once the driver has left: ten seconds after the stop"
    authorize = f"{app} {_JSON} '{_MOTOWN_WISH}' {_SV1}/authorize"
    yield f"AUTH=$({authorize} | {_value_of('authorizationIdentifier')}); echo $AUTH"
    yield f"{app} {_JSON} {_MOTOWN_REQUEST} {_SV1}/requestStartTransaction"
    yield f'{app} -H "Content-Type: text/plain" -d "$AUTH" {_SV1}/session'
    yield f"{app} {_JSON} {_MOTOWN_REQUEST} {_SV1}/requestStopTransaction"


def _value_of(key: str) -> str:
    """A filter that lets through the value of a key of JSON."""
    return rf"""sed 's/.*"{key}":"\([^"]*\)".*/\1/'"""
