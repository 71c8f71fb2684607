"""What the pages show: every page in every language is whole, keeps its own policy, and says what is so."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec
import pytest

from protocols.web.console.chart_svg import svg_of
from protocols.web.console.transactions import CHARTS
from protocols.web.drive import STEPS, steps_of
from protocols.web.languages import languages
from protocols.web.receipts import receipt_pdf
from statecharts.ports import CdrView, OperationView
from tests.unit.rest.fakes import NOON, READY
from tests.unit.web.visiting import RUNNING, Outline, at_console, driver, visitor

DRIVE = ("", "/services", "/services/IE-001/DEMO_001", "/charges", "/charges/tx-1", "/charges/tx-1/now", "/sign-in")
CONSOLE = (
    *("", "/stations", "/stations/CS01", "/operations", "/operations/op-1", "/transactions", "/records"),
    *("/transactions/source/tx-1", "/partners", "/partners/IE-001", "/deliveries", "/deliveries/7"),
    *("/orphans", "/orphans/1", "/quirks", "/quarantine", "/cards", "/groups", "/audit", "/sign-in"),
)
RECEIPT = CdrView(
    cdr_id="IE-001/0A1B",
    pms_identifier="IE-001",
    authorization_identifier="0A1B",
    local_service_identifier="DEMO_001",
    user_identifier="alice",
    start_timestamp=NOON,
    end_timestamp=NOON + timedelta(hours=1, minutes=5),
    energy_wh=12_345,
    status="received",
    flags=("estimated",),
)


def whole(page: str) -> None:
    outline = Outline(page)
    assert outline.faults == []
    assert len(outline.ids) == len(set(outline.ids))


@pytest.mark.parametrize("code", sorted(languages()))
@pytest.mark.parametrize("path", DRIVE)
async def test_a_page_of_the_driver_is_whole(path: str, code: str) -> None:
    who = await driver(READY)
    whole(await who.text(f"/drive{path}", headers={"Accept-Language": code}))


@pytest.mark.parametrize("code", sorted(languages()))
@pytest.mark.parametrize("path", CONSOLE)
async def test_a_page_of_the_console_is_whole(path: str, code: str) -> None:
    who = await at_console()
    whole(await who.text(f"/console{path}", headers={"Accept-Language": code}))


async def test_every_page_says_what_a_browser_may_do_with_it() -> None:
    who = await driver(READY)
    for path in ("/drive", "/drive/sign-in", "/drive/charges/none"):
        headers = (await who.ask("GET", path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "same-origin")
        assert headers["X-Content-Type-Options"] == "nosniff"
    tiled = visitor(tiles="https://tiles.test/{z}/{x}/{y}.png")
    policy = (await tiled.ask("GET", "/drive/sign-in")).headers["Content-Security-Policy"]
    assert "img-src 'self' data: https://tiles.test;" in policy


async def test_the_node_itself_leads_to_its_first_room() -> None:
    assert (await visitor().ask("GET", "/")).headers["Location"] == "/drive"
    assert (await visitor(source=False).ask("GET", "/")).headers["Location"] == "/console"
    assert (await visitor(source=False).ask("GET", "/drive")).status_code == 404


async def test_what_others_have_written_is_text_and_no_page() -> None:
    evil = "<script>alert(1)</script>"
    who = await driver(msgspec.structs.replace(READY, local_service_identifier=evil, cause=evil, state="Refused"))
    page = await who.text("/drive/charges/tx-1")
    assert evil not in page
    assert "&lt;script&gt;" in page


# -- a charge ----------------------------------------------------------------------------------------------------------


async def test_a_charge_is_authorised_started_and_stopped_by_forms_alone() -> None:
    who = await driver()
    card = await who.text("/drive/services/IE-001/DEMO_001")
    (wish,) = re.findall(r'name="wish" value="([^"]+)"', card)
    made = await who.send("/drive/charges", destination="IE-001", service="DEMO_001", wish=wish, connector="")
    assert (made.status_code, made.headers["Location"]) == (303, "/drive/charges/tx-1")
    (request,) = [each for each in who.world.apps.asked if hasattr(each, "idempotency_key")]
    assert (request.user_identifier, request.connector_identifier) == ("alice", None)
    assert request.idempotency_key == f"page-{wish}"
    assert "Start charging" in await who.text("/drive/charges/tx-1")
    assert (await who.send("/drive/charges/tx-1/start", version="2")).status_code == 303
    assert ("start", "tx-1", "page-start-tx-1-2") in who.world.apps.asked  # keys are one for all of an app's charges
    shown = await who.text("/drive/charges/tx-1")
    assert "Plug in the cable" in shown
    assert 'datetime="2026-05-17T12:04:00.000Z" data-when="left"' in shown
    who.world.apps.change("tx-1", state="TxRunning", start_timestamp=NOON, energy_wh=1_234, operations=())
    assert "1.23 kWh" in await who.text("/drive/charges/tx-1/now")
    assert "1,23 kWh" in await who.text("/drive/charges/tx-1/now", headers={"Accept-Language": "de"})
    part = await who.ask(
        "POST",
        "/drive/charges/tx-1/stop",
        headers={"HX-Request": "true", "X-CSRF-Token": who.token_in(await who.text("/drive"))},
        version="4",
    )
    text = await part.get_data(as_text=True)
    assert 'data-state="StopTxRequested"' in text
    assert "<html" not in text


async def test_why_an_operator_refuses_is_told_where_one_asked() -> None:
    who = await driver()
    answer = await who.send("/drive/charges", destination="IE-001", service="BUSY", wish="w", connector="1")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "the connector is in use" in page
    assert "Charge here" in page


async def test_a_stop_that_cannot_be_is_told_beside_what_is_so() -> None:
    who = await driver(READY)
    answer = await who.send("/drive/charges/tx-1/stop", version="2")
    page = await answer.get_data(as_text=True)
    assert "there is nothing to stop" in page
    assert "Ready to start" in page


FAILED_START = OperationView(
    request_identifier="r", kind="start", status="failed", requested_at=NOON, cause="no cable was plugged in"
)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"state": "Authorizing"}, "Waiting for IE-001"),
        ({"state": "Expired"}, "Nothing was charged"),
        ({"state": "Refused", "cause": "no credit"}, "no credit"),
        ({"state": "Ready", "operations": (FAILED_START,)}, "no cable was plugged in"),
        ({"state": "TxRunning", "energy_wh": None}, "first word from the meter"),
        ({"state": "TxFinished"}, "Waiting for the operator&#39;s charge record"),
        ({"state": "Settled", "cdr": RECEIPT}, "Show the receipt"),
    ],
)
async def test_every_wait_and_every_failure_says_what_comes(fields: dict[str, object], told: str) -> None:
    who = await driver(msgspec.structs.replace(RUNNING, **fields))
    page = await who.text("/drive/charges/tx-1")
    whole(page)
    assert told in page


async def test_another_drivers_charge_is_none_of_ones_own() -> None:
    who = await driver(msgspec.structs.replace(READY, user_identifier="bob"))
    for path in ("", "/now", "/course", "/events", "/receipt", "/receipt.json", "/receipt.pdf"):
        assert (await who.ask("GET", f"/drive/charges/tx-1{path}")).status_code == 404
    assert (await who.send("/drive/charges/tx-1/start", version="2")).status_code == 404


@pytest.mark.parametrize(
    ("state", "current"), [("Ready", "Ready"), ("TxRunning", "TxRunning"), ("Settled", None), ("Expired", None)]
)
def test_a_charge_is_at_one_step(state: str, current: str | None) -> None:
    steps = dict(steps_of(msgspec.structs.replace(READY, state=state)))
    assert list(steps) == list(STEPS)
    assert [step for step, how in steps.items() if how == "current"] == ([current] if current else [])
    assert (set(steps.values()) == {"done"}) == (state == "Settled")


async def test_the_course_is_what_the_plot_begins_with() -> None:
    who = await driver(RUNNING)
    noon = NOON.timestamp()
    assert msgspec.json.decode(await who.text("/drive/charges/tx-1/course")) == [[noon, 0], [noon + 60, 180]]
    answer = await who.world.ask("GET", "/api/v1/transactions/tx-1/course", token="app-token")
    assert [point["energy_wh"] for point in (await answer.get_json())["points"]] == [0, 180]


# -- the receipt -------------------------------------------------------------------------------------------------------


async def test_a_receipt_is_there_to_read_to_print_and_to_keep() -> None:
    who = await driver(msgspec.structs.replace(RUNNING, state="Settled", cdr=RECEIPT))
    page = await who.text("/drive/charges/tx-1/receipt")
    whole(page)
    assert "12.35 kWh" in page
    assert "1:05:00" in page
    kept = await who.ask("GET", "/drive/charges/tx-1/receipt.json")
    assert kept.headers["Content-Disposition"] == 'attachment; filename="receipt-IE-001-0A1B.json"'
    assert (await kept.get_json())["energy_wh"] == 12_345
    pdf = await who.ask("GET", "/drive/charges/tx-1/receipt.pdf")
    assert pdf.content_type == "application/pdf"
    assert (await pdf.get_data(as_text=False)).startswith(b"%PDF-")


async def test_there_is_no_receipt_before_the_record() -> None:
    page = await (await driver(RUNNING)).text("/drive/charges/tx-1/receipt", 409)
    assert "has not come" in page


async def test_the_same_receipt_is_the_same_file() -> None:
    words = languages()["en"]
    assert await receipt_pdf(RECEIPT, words, "NL-MOT") == await receipt_pdf(RECEIPT, words, "NL-MOT")
    odd = msgspec.structs.replace(RECEIPT, user_identifier="Łukasz 漢字 \U0001f600", energy_wh=None)
    assert (await receipt_pdf(odd, words, "NL-MOT")).startswith(b"%PDF-")


# -- the console -------------------------------------------------------------------------------------------------------


async def test_a_command_from_a_button_and_one_written_as_json_are_the_same() -> None:
    who = await at_console()
    button = await who.send("/console/stations/CS01/commands", command="Reset", kind="Soft")
    written = await who.send("/console/stations/CS01/commands", json='{"command":"Reset","kind":"Soft"}')
    assert [each.headers["Location"] for each in (button, written)] == ["/console/operations/op-1"] * 2
    first, second = [each for each in who.world.operators.asked if type(each).__name__ == "Reset"]
    assert first == second


@pytest.mark.parametrize("form", [{"command": "Explode"}, {"json": "{"}, {"command": "Reset", "kind": "Odd"}])
async def test_a_command_that_is_none_is_refused_with_its_reason(form: dict[str, str]) -> None:
    answer = await (await at_console()).send("/console/stations/CS01/commands", **form)
    assert answer.status_code == 400


async def test_what_is_done_from_the_console_is_in_the_audit_log_without_the_forms_own_fields() -> None:
    who = await at_console()
    await who.send("/console/stations/CS01/retire", reason="taken down")
    trail = who.world.operators.trail
    deed = trail.deeds[-1]
    assert (deed.by, deed.method, deed.path) == ("boss", "POST", "/console/stations/CS01/retire")
    assert msgspec.json.decode(trail.bodies[-1] or b"") == {"reason": "taken down"}
    assert (deed.status, deed.problem) == (303, None)
    await who.send("/console/stations/nowhere/retire", reason="taken down")
    assert (trail.deeds[-1].status, trail.deeds[-1].problem) == (404, "unknown-station")


async def test_a_timeline_can_be_kept() -> None:
    kept = await (await at_console()).ask("GET", "/console/transactions/source/tx-1/timeline.json")
    assert 'filename="timeline-source-tx-1.json"' in kept.headers["Content-Disposition"]
    assert [each["what"] for each in (await kept.get_json())["entries"]] == ["StartRequested", "NotifyRequestResult"]


@pytest.mark.parametrize("role", sorted(CHARTS))
def test_a_charts_drawing_lights_the_state_it_is_in(role: str) -> None:
    chart = CHARTS[role]
    for state in chart.by_name:
        drawn = str(svg_of(chart, state))
        (lit,) = re.findall(r'<g class="state lit">.*?>([A-Za-z]+)</text>', drawn)
        assert lit == state
        assert all(f">{name}</text>" in drawn for name in chart.by_name)
        assert Outline(drawn).faults == []
