"""The defects D1-D32 of Motown's MOBI.Europe modules: for each that could occur here, the tests that hold it off.

A defect is named with the tests of other files that hold it off; where only the whole operator shows it, its test is
here. What cannot occur stands in `IMPOSSIBLE` with the reason.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import trio

from statecharts.station_commands import CallOutcome, RemoteStartTransaction, StationCommand
from statecharts.station_reports import StartAnswer
from statecharts.vocabulary import (
    Authorize,
    EndTransaction,
    NotifyRequestResult,
    PeerOutcome,
    RequestStartTransaction,
    RoamingRequest,
)
from tests.support.house import LinkedClient, StationLine, place
from tests.support.roaming import HOME, LOCAL, Roaming, two_operators

TESTS = Path(__file__).parents[1]
ACTORS, REST, SOAP, CHARTS, LIVE = "unit/actors", "unit/rest", "unit/mobieurope", "charts", "live"

HELD_OFF: dict[str, tuple[str, ...]] = {
    # authorisation
    "D1 the sample can authorise nobody": (
        f"{LIVE}/test_roles_live.py::test_a_node_roams_with_itself_through_motowns_api",
        "unit/config/test_config_examples.py::test_the_two_single_role_examples_speak_to_each_other",
    ),
    "D2 the station refuses the authorisation as an idTag": (
        f"{ACTORS}/test_charges_roaming.py::test_a_roaming_tag_is_accepted_from_its_start_request_to_its_end",
        f"{ACTORS}/test_charges_roaming.py::test_a_roaming_tag_opens_no_other_station",
        f"{CHARTS}/test_destination_rows.py::test_started_with_our_id_tag_after_a_remote_start_is_running",
    ),
    "D3 nobody is authenticated": (
        f"{SOAP}/test_mobieurope_server.py::test_d3_a_stranger_is_refused_before_the_body_is_parsed",
        f"{SOAP}/test_mobieurope_server.py::test_d3_the_door_decides_whether_the_sender_of_an_authorize_is_the_authenticated_peer",
        f"{ACTORS}/test_trust_peers.py::test_the_pms_identifier_must_be_the_authenticated_peer",
        f"{ACTORS}/test_trust_peers.py::test_a_source_answers_about_anothers_transaction_as_about_none",
        f"{REST}/test_rest_sv1.py::test_d3_no_token_is_a_401_in_motown_s_shape",
        f"{REST}/test_rest_sv1.py::test_last_open_session_is_shown_to_operators_only",
    ),
    "D4 an unknown partner or transaction is an HTTP 500": (
        f"{ACTORS}/test_source_role_apps.py::test_a_destination_that_is_no_partner_is_unknown",
        f"{SOAP}/test_mobieurope_server.py::test_d4_an_unknown_transaction_is_a_response_error_and_no_fault",
        f"{REST}/test_rest_sv1.py::test_d4_an_unknown_session_is_a_400_with_code_404",
    ),
    "D5 a Destination checks nothing": (
        f"{ACTORS}/test_authorize_checks.py::test_a_service_that_we_do_not_have_is_a_404",
        f"{ACTORS}/test_authorize_checks.py::test_a_station_that_is_away_or_has_not_booted_authorises_nobody",
        f"{ACTORS}/test_authorize_checks.py::test_only_a_free_connector_is_authorised",
        f"{ACTORS}/test_authorize_checks.py::test_at_most_so_many_open_authorisations_per_user",
    ),
    "D6 an authorisation lasts for ever and starts again and again": (
        f"{ACTORS}/test_authorize_checks.py::test_an_authorisation_lapses",
        f"{ACTORS}/test_authorize_checks.py::test_an_authorisation_is_for_one_charge_only",
    ),
    "D7 a refused authorisation is kept as a session without a name": (
        f"{ACTORS}/test_source_role_apps.py::test_a_refusal_reaches_the_app_and_names_no_authorisation",
        f"{SOAP}/test_mobieurope_client.py::test_d7_an_answer_with_neither_grant_nor_error_grants_nothing",
    ),
    # start and stop
    "D8 the outcome of RemoteStart and RemoteStop is thrown away": (
        f"{ACTORS}/test_source_role_apps.py::test_a_start_that_failed_at_the_station_reaches_the_app_as_its_cause",
        f"{ACTORS}/test_source_role_apps.py::test_a_station_that_never_starts_is_told_by_the_deadline",
        f"{ACTORS}/test_source_role_apps.py::test_a_stop_that_failed_reaches_the_app_and_the_charge_goes_on",
    ),
    "D9 a Source ignores requestSuccess=false": (
        f"{CHARTS}/test_source_rows.py::test_start_notified_false_is_ready_again_with_the_cause",
        f"{CHARTS}/test_source_rows.py::test_a_failed_stop_is_running_again_with_the_cause",
    ),
    "D10 a stop at the station ends the session on neither side": (
        f"{ACTORS}/test_source_role_apps.py::test_the_driver_who_unplugs_ends_the_charge_on_both_sides",
        f"{LIVE}/test_roaming_live.py::test_a_driver_who_unplugs_ends_the_charge_without_anybody_asking",
    ),
    "D11 the home operator never learns energy or times": (
        f"{ACTORS}/test_roaming.py"
        "::test_a_driver_charges_at_another_operators_station_and_both_hold_the_same_charge_record",
        f"{ACTORS}/test_delivery_progress.py::test_at_most_one_per_interval_and_it_carries_the_newest",
        f"{ACTORS}/test_delivery_facts.py::test_a_charge_record_goes_until_it_is_acknowledged",
        f"{ACTORS}/test_delivery_facts.py::test_a_refused_result_does_not_hold_back_the_charge_record",
    ),
    "D12 mandatory fields of the charge record are missing": (
        f"{SOAP}/test_mobieurope_meaning.py::test_d12_a_charge_record_without_its_operator_is_refused",
        f"{CHARTS}/test_destination_end_rows.py::test_the_record_says_what_the_station_metered",
        "unit/test_defects.py::test_d12_the_charge_record_names_both_operators_the_user_and_its_times",
    ),
    "D13 parking is treated as charging": (
        f"{ACTORS}/test_authorize_checks.py::test_parking_is_refused_with_a_clear_reason",
        f"{SOAP}/test_mobieurope_meaning.py::test_d13_parking_reaches_the_door_as_parking",
        f"{REST}/test_rest_sv1.py::test_d13_the_service_type_asked_for_is_passed_on",
    ),
    "D14 energy may be negative, or not what its unit says": (
        f"{ACTORS}/test_delivery_records.py::test_energy_is_whole_watt_hours_on_both_sides",
        f"{SOAP}/test_mobieurope_meaning.py::test_d14_energy_is_read_in_the_unit_it_names_or_else_the_agreed_one",
        f"{SOAP}/test_mobieurope_values.py::test_energy_is_written_in_the_configured_unit",
    ),
    "D15 any text is taken for a connector": (
        f"{ACTORS}/test_authorize_checks.py::test_a_connector_that_is_no_number_or_unknown_is_a_400",
        f"{ACTORS}/test_authorize_checks.py::test_an_absent_connector_is_chosen_at_the_start",
        f"{SOAP}/test_mobieurope_meaning.py::test_d15_the_connector_is_optional_and_any_text",
        f"{REST}/test_rest_sv1.py::test_d15_the_connector_may_be_absent_or_empty",
    ),
    "D16 sessions are found by the bare transaction number": (
        "unit/test_defects.py::test_d16_a_transaction_number_of_one_station_says_nothing_at_another",
        f"{ACTORS}/test_charges_stop.py::test_a_stop_of_another_stations_charge_ends_nothing",
    ),
    "D17 a transaction without roaming breaks the listeners": (
        f"{ACTORS}/test_charges_roaming.py::test_a_local_charge_runs_beside_a_roaming_one",
        f"{LIVE}/test_roaming_live.py::test_a_card_of_our_own_charges_beside_a_roaming_driver",
    ),
    "D18 a stop before the start sends RemoteStop(0)": (
        f"{CHARTS}/test_destination_rows.py::test_stop_before_the_charge_is_refused_with_409",
        "unit/test_defects.py::test_d18_a_stop_before_the_start_reaches_no_station",
    ),
    # concurrency
    "D20 a start that is reported before its RemoteStart is answered is overwritten": (
        "unit/test_defects.py::test_d20_a_start_reported_before_the_remote_start_is_answered_is_not_lost",
    ),
    "D21 a result that arrives before the answer to its request is lost": (
        "unit/test_defects.py::test_d21_a_result_that_arrives_before_the_answer_to_its_request_counts",
    ),
    "D22 calls have no timeout and hold up those who wait": (
        f"{SOAP}/test_mobieurope_client.py::test_d22_a_peer_that_never_answers_costs_no_more_than_the_timeout",
        f"{SOAP}/test_mobieurope_server.py::test_d22_a_door_that_does_not_answer_is_a_receiver_fault_in_time",
        f"{ACTORS}/test_local_services.py::test_who_does_not_answer_in_time_is_named_and_holds_nobody_up",
    ),
    "D24 a start sent again starts again": (
        f"{ACTORS}/test_delivery_commands.py::test_replies_that_are_lost_repeat_the_command_and_not_what_it_does",
        f"{CHARTS}/test_destination_rows.py"
        "::test_the_same_start_request_gets_the_same_answer_and_no_second_remote_start",
    ),
    # other
    "D25 coordinates are read as whole numbers": (
        f"{SOAP}/test_mobieurope_values.py::test_d25_decimal_coordinates_are_read",
        f"{REST}/test_rest_sv1.py::test_d25_local_services_are_searched_by_decimal_degrees_as_text_or_number",
        f"{ACTORS}/test_local_services.py::test_the_status_of_one_service_or_why_not",
    ),
    "D26 a look-up by user searches another column": (
        f"{ACTORS}/test_source_role_apps.py::test_anothers_transaction_is_shown_and_moved_like_none",
        "contracts/test_ledger_contract.py::test_a_list_is_of_one_role_state_and_set_of_users",
    ),
    "D27 the API hides the Destination's error": (
        f"{REST}/test_rest_sv1.py::test_d27_the_destination_s_refusal_reaches_the_app",
        f"{ACTORS}/test_delivery_commands.py::test_a_refusal_for_good_ends_the_command_with_its_cause",
    ),
    "D28 no list, no pages, no charge record": (
        f"{REST}/test_rest_v1.py::test_transactions_are_listed_by_page",
        f"{REST}/test_rest_v1.py::test_the_receipt_is_a_409_until_the_cdr_is_there",
        f"{ACTORS}/test_operator_role.py::test_charge_records_are_shown_as_each_role_holds_them",
    ),
    "D29 the client's WSDL lies on the machine that built it": (
        f"{SOAP}/test_mobieurope_contract.py::test_our_wsdl_says_what_the_committed_table_says",
        f"{LIVE}/test_wire_live.py::test_the_wsdl_of_a_living_node_makes_a_zeep_client_that_can_authorize",
    ),
    "D30 paths are exposed where nobody guards them": (
        f"{REST}/test_rest_sv1.py::test_what_belongs_to_an_absent_role_is_not_mounted",
        f"{REST}/test_rest_problems.py::test_without_a_known_token_the_answer_is_a_401_with_a_challenge",
    ),
    "D31 any exception is the container's 500": (
        f"{REST}/test_rest_problems.py"
        "::test_an_unforeseen_error_says_nothing_and_is_logged_once_with_its_correlation_id",
        f"{SOAP}/test_mobieurope_bad_input.py::test_what_is_no_request_is_a_sender_fault",
    ),
}

IMPOSSIBLE = {
    "D19": "commands carry no identity that could be hard-coded: who may give them is decided at our doors (D3)",
    "D23": "waiting is a trio deadline, no thread: no executor exists that could be left behind",
    "D32": "there is one program and one way to run it, no second sample that could lack the modules",
}


def test_every_defect_is_held_off_or_cannot_occur() -> None:
    held_off = {title.split()[0] for title in HELD_OFF}
    assert not held_off & IMPOSSIBLE.keys()
    assert held_off | IMPOSSIBLE.keys() == {f"D{number}" for number in range(1, 33)}


@pytest.mark.parametrize("title", HELD_OFF, ids=lambda title: title.split()[0])
def test_the_tests_that_hold_a_defect_off_are_there(title: str) -> None:
    for test in HELD_OFF[title]:
        path, _, name = test.partition("::")
        functions = ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8")))
        names = {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, f"{title}: {test} is gone"


# -- what only whole operators show ------------------------------------------------------------------------------------


async def test_d12_the_charge_record_names_both_operators_the_user_and_its_times(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        await trio.sleep(60)
        await roaming.station.stop(charge.number, 5_000)
        await roaming.settled(charge)
        (sent,) = roaming.back.of(EndTransaction)
        said = sent.transaction_data
        assert (said.local_operator_identifier, said.home_operator_identifier) == (LOCAL, HOME)
        assert (said.local_service_identifier, said.user_identifier) == ("CS01", "anna")
        assert sent.authorization_identifier == said.authorization_identifier == charge.name
        assert said.end_timestamp is not None
        assert (said.end_timestamp - said.start_timestamp).total_seconds() == pytest.approx(60, abs=0.1)
        assert said.start_timestamp.utcoffset() is not None


async def test_d16_a_transaction_number_of_one_station_says_nothing_at_another(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery, places=(place(), place("CS02"))) as roaming:
        charge = await roaming.running()
        other = StationLine(roaming.local, "CS02")
        await other.come_online()
        await other.meter(charge.number, 900_000)
        await other.stop(charge.number, 900_000)
        data = await roaming.local.data(charge.destination)
        assert (data.state, data.charge.energy_wh) == ("TxRunning", None)
        await roaming.station.stop(charge.number, 5_000)
        await roaming.settled(charge)
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_d18_a_stop_before_the_start_reaches_no_station(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.start_asked()
        await roaming.stop(charge)
        await trio.sleep(5)
        assert [type(command) for command in roaming.station.commands] == [RemoteStartTransaction]


class HastyStation(StationLine):
    """Starts before it answers the command to start."""

    answer: StartAnswer | None = None

    async def call(self, command: StationCommand) -> CallOutcome:
        if isinstance(command, RemoteStartTransaction):
            self.answer = await self.start(command.id_tag)
        return await super().call(command)


async def test_d20_a_start_reported_before_the_remote_start_is_answered_is_not_lost(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        roaming.station = hasty = HastyStation(roaming.local, "CS01")
        await hasty.come_online()
        charge = await roaming.ready()
        await roaming.start(charge)
        await roaming.home.until(charge.source, "TxRunning")
        data = await roaming.local.data(charge.destination)
        assert hasty.answer is not None
        assert (data.state, data.charge.number) == ("TxRunning", hasty.answer.transaction_id)
        assert hasty.answer.id_tag_info.status == "Accepted"
        assert [result.request_success for result in roaming.back.of(NotifyRequestResult)] == [True]


class LateAnswer:
    """A Destination whose answer to a start request arrives after the charge has begun and its result was told."""

    def __init__(self, inner: LinkedClient, roaming: Roaming) -> None:
        self.inner, self.roaming = inner, roaming

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        outcome = await self.inner.call(request, timeout_s)
        if isinstance(request, RequestStartTransaction):
            await self.roaming.station.start(request.authorization_identifier)
            await trio.sleep(timeout_s / 2)
        return outcome

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_d21_a_result_that_arrives_before_the_answer_to_its_request_counts(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        roaming.home.destinations[LOCAL] = LateAnswer(roaming.there, roaming)
        charge = await roaming.ready()
        await roaming.start(charge)
        await roaming.home.until(charge.source, "TxRunning", 1)
        await trio.sleep(30)
        view = await roaming.view(charge)
        assert [(operation.kind, operation.status) for operation in view.operations] == [("start", "succeeded")]
        assert [type(request) for request in roaming.there.sent] == [Authorize, RequestStartTransaction]
