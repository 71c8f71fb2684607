"""The pages as people use them: a real Chromium, two real nodes, a real station; waits and failures by clicks."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.browsing import CHROMIUM, DESKTOP, PHONE, Visit, chromium
from tests.live.charging import Pair
from tests.live.operators import Operator, Station, broken, make_partners, running, station_of
from tests.unit.web.visiting import HASH

NEEDED = os.environ.get("TESTS_NEED", "")

pytestmark = [
    pytest.mark.live,
    pytest.mark.xdist_group("pages"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        (CHROMIUM is None or importlib.util.find_spec("playwright") is None) and "chromium" not in NEEDED,
        reason="no chromium, or not what drives it: make test installs that where there is a chromium",
    ),
]
CONSOLE = ("", "/stations", "/stations/CS01", "/transactions", "/records", "/orphans", "/partners", "/partners/NL-MOT",
           "/deliveries", "/operations", "/cards", "/groups", "/quirks", "/quarantine", "/audit")  # fmt: skip


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pages")
    patient = {"source_deadlines": {"authorize_answer_s": 5, "authorization_s": 300, "start_s": 20, "stop_s": 20}}
    home = Operator("NL-MOT", folder / "home", roles=("source",), password_hash=HASH, settings=patient)
    local = Operator("IE-001", folder / "local", roles=("destination",), stations={"CS01": 2}, password_hash=HASH)
    local.settings = {"destination_deadlines": {"authorization_s": 300, "progress_interval_s": 0.05}}
    local.station_keys = {"connection_timeout_s": 5}
    make_partners(home, local)
    with running(home, local):
        yield home, local
        assert broken((home, local)) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def driver(operators: Pair, browser: Any) -> Iterator[Visit]:
    visit = Visit(browser, operators[0], "drive", "anna")
    yield visit
    visit.context.close()
    assert visit.complaints == []


@pytest.fixture
def desk(operators: Pair, browser: Any) -> Iterator[Visit]:
    """The console of IE-001."""
    visit = Visit(browser, operators[1], "console", "desk")
    yield visit
    visit.context.close()
    assert visit.complaints == []


@pytest.fixture
def station(operators: Pair, request: pytest.FixtureRequest) -> Iterator[Station]:
    """CS01, online; where a test asks for it, nobody plugs in before he is told to."""
    manual = request.node.get_closest_marker("manual") is not None
    with station_of(operators[1], "CS01", manual=manual) as station:
        yield station


def at(visit: Visit, state: str, page: Any = None) -> None:
    """Waits until a page shows this state by itself."""
    shown = page or visit.page
    shown.wait_for_function(
        "state => document.querySelector('section[data-state]')?.dataset.state === state || "
        "(document.querySelector('.banner.bad') && state !== 'Refused')",
        arg=state,
    )
    assert shown.locator(f"section[data-state={state}]").count() == 1, shown.inner_text("main")


def authorized(driver: Visit) -> None:
    """By clicks, from the list to the button that starts."""
    driver.go("")
    driver.page.click(".services a:has-text('CS01')")
    driver.page.click("button.main")
    at(driver, "Ready")


def test_a_whole_roaming_charge_is_driven_by_clicks_while_the_console_shows_it(
    driver: Visit, desk: Visit, station: Station, tmp_path: Path
) -> None:
    desk.go("/transactions")
    driver.go("")
    driver.page.wait_for_selector("#map path.leaflet-interactive")
    driver.picture("map")
    authorized(driver)
    number = driver.page.inner_text("section code")
    desk.page.wait_for_selector(f"#live a:has-text('{number}')")  # by itself
    driver.picture("ready")
    driver.page.click("button.start")
    at(driver, "TxRunning")
    station.order(do="charge", wh=1_234)
    driver.page.wait_for_selector("dd:has-text('1.23 kWh')")
    driver.page.wait_for_selector("#plot canvas")
    driver.picture("running")
    desk.page.click(f"a:has-text('{number}')")
    desk.page.wait_for_selector(".state.lit:has-text('TxRunning')")
    assert desk.page.locator("td.channel.OCPP").count() >= 2
    assert desk.page.locator("td.channel.SOAP").count() >= 2

    second = driver.another()
    second.goto(driver.page.url)
    at(driver, "TxRunning", second)
    driver.page.reload()
    at(driver, "TxRunning")
    driver.page.wait_for_selector("dd:has-text('1.23 kWh')")
    desk.page.click("summary >> nth=0")
    driver.page.click("button.stop")
    at(driver, "Settled")
    at(driver, "Settled", second)
    desk.page.wait_for_selector(".state.lit:has-text('Settled')")
    assert desk.page.locator("details[open]").count() == 1  # what somebody reads stays open
    desk.picture("transaction")

    driver.page.click("text=Show the receipt")
    driver.page.wait_for_selector("dd:has-text('1.23 kWh')")
    driver.picture("receipt")
    for kind in ("PDF", "JSON"):
        with driver.page.expect_download() as download:
            driver.page.click(f"a:has-text('{kind}')")
        download.value.save_as(tmp_path / kind)
    assert (tmp_path / "PDF").read_bytes().startswith(b"%PDF-")
    assert '"energy_wh":1234' in (tmp_path / "JSON").read_text()


def test_a_restart_of_the_node_in_the_middle_comes_back_to_what_is_so(
    driver: Visit, operators: Pair, station: Station
) -> None:
    home, _ = operators
    authorized(driver)
    driver.page.click("button.start")
    at(driver, "TxRunning")
    home.kill()
    driver.page.wait_for_selector("#offline:not([hidden])")
    home.start()
    driver.page.wait_for_selector("#offline", state="hidden")
    station.order(do="charge", wh=2_000)
    driver.page.wait_for_selector("dd:has-text('2.00 kWh')")
    driver.page.click("button.stop")
    at(driver, "Settled")


def test_a_lost_network_is_told_and_what_was_missed_is_shown_afterwards(driver: Visit, station: Station) -> None:
    authorized(driver)
    driver.page.click("button.start")
    at(driver, "TxRunning")
    driver.context.set_offline(True)
    driver.page.wait_for_selector("#offline:not([hidden])")
    station.order(do="charge", wh=3_000)
    station.order(do="unplug")
    station.wait_for("stopped")
    driver.context.set_offline(False)
    at(driver, "Settled")
    driver.page.wait_for_selector("#offline", state="hidden")


@pytest.mark.manual
def test_a_cable_that_is_never_plugged_in_is_waited_for_and_told(driver: Visit, station: Station) -> None:
    authorized(driver)
    driver.page.click("button.start")
    at(driver, "StartTxRequested")
    left = driver.page.wait_for_selector("time.left")
    before = left.inner_text()
    assert before.startswith("0:")
    driver.page.wait_for_function("before => document.querySelector('time.left')?.textContent !== before", arg=before)
    driver.page.wait_for_selector(".banner.bad:has-text('The start has failed')")
    driver.picture("no-cable")
    driver.page.wait_for_selector("button.start")


def test_a_connector_that_is_taken_is_told_with_what_to_do_next(driver: Visit, station: Station) -> None:
    for taken in (False, True):
        driver.go("/services/IE-001/CS01")
        driver.page.fill("input[name=connector]", "1")
        driver.page.click("button.main")
        if not taken:
            at(driver, "Ready")
            driver.page.click("button.start")
            at(driver, "TxRunning")
            place = driver.page.url
    driver.page.wait_for_selector(".banner.bad")
    driver.picture("taken")
    driver.page.goto(place)
    driver.page.click("button.stop")
    at(driver, "Settled")


def test_a_partner_that_does_not_answer_is_named(driver: Visit, operators: Pair) -> None:
    _, local = operators
    local.kill()
    try:
        driver.go("")
        driver.page.wait_for_selector(".banner.warn:has-text('IE-001 does not answer')")
        driver.go("/services/IE-001/CS01")
        driver.page.wait_for_selector(".banner.bad:has-text('does not answer now')")
    finally:
        local.start()


def test_a_command_from_the_console_shows_its_true_outcome(desk: Visit, station: Station) -> None:
    desk.go("/stations/CS01")
    desk.page.wait_for_selector(".status.on")
    desk.page.click("button:has-text('GetConfiguration')")
    desk.page.wait_for_selector("strong:has-text('Succeeded'), strong:has-text('Failed')")
    desk.picture("operation")
    desk.go("/audit")
    desk.page.wait_for_selector("td:has-text('/console/stations/CS01/commands')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("room", ["drive", "console"])
def test_no_page_keeps_anybody_out(operators: Pair, browser: Any, station: Station, room: str, scheme: str) -> None:
    home, local = operators
    who, paths = ("anna", ("", "/services/IE-001/CS01", "/charges")) if room == "drive" else ("desk", CONSOLE)
    operator = home if room == "drive" else local
    width = PHONE if scheme == "dark" else DESKTOP
    visit = Visit(browser, operator, room, who, color_scheme=scheme, viewport=width)
    found = []
    for path in paths:
        visit.go(path)
        visit.page.wait_for_selector(".services li" if (room, path) == ("drive", "") else "h1")
        found += visit.barriers()
        visit.picture(f"{scheme}{path.replace('/', '-')}")
    wider = [path for path in paths if _is_too_wide(visit, path)]
    visit.context.close()
    assert (found, wider, visit.complaints) == ([], [], [])


def _is_too_wide(visit: Visit, path: str) -> bool:
    """Whether a page has to be moved sideways to be read."""
    visit.go(path)
    wide: bool = visit.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")
    return wide


def test_the_first_page_is_there_within_a_second(operators: Pair, browser: Any) -> None:
    page = browser.new_page()
    took_s = []
    for _ in range(5):
        begun = time.monotonic()
        page.goto(f"http://127.0.0.1:{operators[0].port}/")
        page.wait_for_selector("h1")
        took_s.append(time.monotonic() - begun)
    page.close()
    assert min(took_s) < 1
