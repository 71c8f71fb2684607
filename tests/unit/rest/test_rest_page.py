"""docs/api.md says what the app does: its routes and no other, all fields, errors that are raised, working examples."""

from __future__ import annotations

import re
import shlex
from http import HTTPStatus
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from quart_trio import QuartTrio

from protocols.mobieurope.server import Services
from protocols.rest.problems import phrase
from protocols.rest.sv1_messages import (
    SourceAuthorize,
    SourceLocalServicesList,
    SourceLocalServiceStatus,
    SourceRequest,
)
from protocols.rest.v1 import apps, cdrs, operators, peers, stations, transactions, webhooks
from protocols.rest.v1.commands import ANY_COMMAND
from statecharts import station_details
from statecharts.audit import AuditView
from statecharts.bounds import Watermarks
from statecharts.doors import LogEntryView, OrphanView, StationOperation
from statecharts.fleet_door import (
    BootView,
    ChargeView,
    ConnectorView,
    SecurityView,
    StandingView,
    StationSheet,
    StationShown,
    StationView,
)
from statecharts.peers_door import (
    DeliveryTotals,
    DeliveryView,
    LinkView,
    PeerSheet,
    PeerTest,
    PeerView,
    RecordView,
    Replayed,
    TriedCall,
)
from statecharts.ports import CdrView, OperationView, TransactionView
from statecharts.vocabulary import EnergyUnit, LocalService
from statecharts.webhooks_door import HookDeliveryView, WebhookMade
from tests.support.sizes import ROOT
from tests.unit.rest.fakes import READY, World

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SPANS = set(re.findall(r"`([^`\n]+)`", PAGE))
VALUES = {"$URL": "", "$TX": "tx-1", "NL-MOT-CS01": "CS01", "peers/NL-MOT": "peers/IE-001", "anna": "alice"}
VALUES |= {"$app": "app", "$operator": "operator", "$json": "json"}


def services_before(app: QuartTrio) -> Services:
    """Both SOAP services in front of the app, as the node has them; nobody calls them here."""
    never: Any = None
    door: Any = object()
    app.asgi_app = services = Services(
        app.asgi_app,
        destination=door,
        source=door,
        destination_peers=never,
        source_peers=never,
        energy_unit=EnergyUnit.WH,
        new_correlation_id=str,
        public_url=None,
        watermarks=Watermarks(),
    )
    return services


def routes_of(app: QuartTrio) -> set[str]:
    """Its routes as the page writes them: `GET /api/v1/transactions/{transaction_id}`."""
    rules = [(rule, re.sub(r"<(?:[^:<>]*:)?(\w+)>", r"{\1}", rule.rule)) for rule in app.url_map.iter_rules()]
    return {f"{method} {path}" for rule, path in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def routes_told() -> list[str]:
    return re.findall(r"`([A-Z]+ /[^`\s]*)`", PAGE)


def test_every_route_is_on_the_page_once_and_none_that_is_not_there() -> None:
    app = World().app
    assert sorted(routes_told()) == sorted([*routes_of(app), *services_before(app).routes])


def test_a_route_that_nobody_wrote_down_is_found() -> None:
    world = World()
    world.app.add_url_rule("/new/<identifier:one>", "new", print, methods=["PUT"])
    assert routes_of(world.app) - set(routes_told()) == {"PUT /new/{one}"}


STRUCTS = [
    *(apps.NewAuthorization, apps.TransactionsQuery, apps.LocalServicesQuery),
    *(transactions.OperatorTransactionsQuery, cdrs.CdrsQuery, cdrs.CdrsExport, operators.NewLocalTransaction),
    *(peers.DeliveriesQuery, peers.ParkedReplay),
    *(stations.StationsQuery, stations.Registration, stations.AcceptanceTold, stations.DetailsTold),
    *(stations.StationPatch, stations.CredentialsTold),
    *(SourceAuthorize, SourceRequest, SourceLocalServicesList, SourceLocalServiceStatus),
    *(
        TransactionView,
        OperationView,
        CdrView,
        *(StationView, StationSheet, ConnectorView, ChargeView, BootView, StandingView, SecurityView, StationShown),
        *(station_details.OpeningHours, station_details.OpeningException, station_details.OpeningPeriod),
        *(station_details.EvseDetails, station_details.Plug),
        *(PeerView, PeerSheet, LinkView, PeerTest, TriedCall, DeliveryView, RecordView, DeliveryTotals, Replayed),
        *(webhooks.WebhookTold, webhooks.HookDeliveriesQuery, WebhookMade, HookDeliveryView),
        LocalService,
        OrphanView,
        LogEntryView,
        AuditView,
        StationOperation,
    ),
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_on_the_page(struct: type[msgspec.Struct]) -> None:
    assert [field.encode_name for field in msgspec.structs.fields(struct) if field.encode_name not in SPANS] == []


def test_every_state_that_can_be_asked_for_is_on_the_page() -> None:
    assert set(get_args(apps.State)) <= SPANS


OF_EVERY_COMMAND = {"forced"}
"""What the page says once of all of them."""


def test_what_every_command_may_have_is_told_once() -> None:
    assert all(f'"{name}": true' in PAGE for name in OF_EVERY_COMMAND)


@pytest.mark.parametrize("command", get_args(ANY_COMMAND), ids=lambda command: command.__name__)
def test_a_command_has_a_row_with_its_required_and_its_optional_fields(command: type[msgspec.Struct]) -> None:
    (row,) = re.findall(rf"^\| `{command.__name__}` \|(.*)\|(.*)\|$", PAGE, re.MULTILINE)
    told = [set(re.findall(r"`([a-z_]+)`", cell)) for cell in row]
    fields = [field for field in msgspec.structs.fields(command) if field.name not in OF_EVERY_COMMAND]
    required = {field.name for field in fields if field.required}
    assert told == [required, {field.name for field in fields} - required]


def test_every_kind_of_error_on_the_page_is_one_that_is_raised() -> None:
    floors = [path for floor in ("actors", "protocols", "statecharts") for path in (ROOT / floor).rglob("*.py")]
    raised = set(re.findall(r'"([a-z0-9-]+)"', "".join(path.read_text(encoding="utf-8") for path in floors)))
    raised |= {phrase(status).lower().replace(" ", "-") for status in HTTPStatus}
    rows = re.findall(r"^\| [0-9, ]+ \|(.*)\|$", PAGE, re.MULTILINE)
    told = {kind for row in rows for kind in re.findall(r"`([a-z0-9-]+)`", row)} - {"errors"}
    assert len(told) > 30
    assert told - raised == set()


def examples() -> list[list[str]]:
    """The arguments of every curl on the page, with the fakes' names in them."""
    blocks = "".join(re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    for ours, theirs in VALUES.items():
        blocks = blocks.replace(ours, theirs)
    return [shlex.split(line)[1:] for line in blocks.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("example", examples(), ids=" ".join)
async def test_an_example_works(example: list[str]) -> None:
    (path,) = (word for word in example if word.startswith("/"))
    options = dict(pairwise(example))
    data = options.get("-d")
    headers = {"Content-Type": "application/json"} if "json" in example else {}
    if "--data-binary" in options:
        data, headers = "id_tag\nCARD0001\n", {"Content-Type": "text/csv"}
    token = next((f"{who}-token" for who in ("app", "operator") if who in example), None)
    world = World(msgspec.structs.replace(READY, state="TxRunning" if path.endswith("/stop") else "Ready"))
    if path.endswith("/events"):
        world.draining.set()  # which ends the stream
    services_before(world.app)
    response = await world.ask(
        options.get("-X", "POST" if data else "GET"), path, token=token, data=data, headers=headers
    )
    assert response.status_code in (200, 201, 202)
    await response.get_data()


def test_there_is_an_example_for_each_group() -> None:
    paths = [word for example in examples() for word in example if word.startswith("/")]
    for group in ("/api/v1/authorizations", "/api/v1/operator", "/rest/mobieurope/source", "/health", "/services"):
        assert any(path.startswith(group) for path in paths)
    assert any("/dv1/" in path for path in paths)
