"""What is let loose on planted bugs; what is not random is there for what no random life would meet."""

from __future__ import annotations

from tests.mutants.workloads import Workload, Worlds

# -- random ------------------------------------------------------------------------------------------------------------

WORLDS = Worlds("simulated worlds")
SOURCE = Workload("the Source's chart", ("tests/models/test_model_source.py",))
DESTINATION = Workload("the Destination's chart", ("tests/models/test_model_destination.py",))
TWO_SIDES = Workload("both charts", ("tests/models/test_model_two_sides.py",))
RPC = Workload("a station's calls", ("tests/models/test_model_rpc.py",))
DELIVERIES = Workload("two operators", ("tests/models/test_model_delivery.py",), tries=150)
STATION = Workload("a station's book", ("tests/models/test_model_station.py",), tries=150)
FRAMES = Workload(
    "OCPP frames",
    (
        "tests/unit/ocpp/test_ocpp_frames.py::test_no_bytes_make_decoding_raise",
        "tests/unit/ocpp/test_ocpp_websocket_frames.py::"
        "test_a_message_is_refused_if_it_is_too_long_in_however_many_frames",
    ),
)
SOAP = Workload(
    "SOAP codecs",
    tuple(
        f"tests/unit/mobieurope/test_mobieurope_{test}"
        for test in (
            "values.py::test_energy_is_written_exactly_and_read_back",
            "round_trips.py",
            "bad_input.py::test_a_document_with_a_type_is_refused_whatever_the_type_says",
            "bad_input.py::test_a_damaged_document_is_read_or_refused_and_nothing_else",
        )
    ),
)

# -- always the same ---------------------------------------------------------------------------------------------------


def _suite(name: str, *tests: str) -> Workload:
    return Workload(name, tests, is_random=False)


def _world(seed: int) -> Worlds:
    return Worlds(f"world {seed}", count=1, is_random=False, known=seed)


WRONG_TIME = _world(2046)
SWEEP = "tests/world/test_sweep.py"
CRASHES = _suite("crash sweep", f"{SWEEP}::test_whichever_point_a_node_dies_at_the_scenario_comes_to_a_legal_end")
FAILING_WRITES = _suite(
    "failing writes", f"{SWEEP}::test_whichever_write_fails_or_finds_the_disk_full_the_scenario_comes_to_a_legal_end"
)
CHARGES = _suite(
    "charges of a station",
    "tests/unit/actors/test_charges_start.py",
    "tests/unit/actors/test_charges_stop.py",
    "tests/unit/actors/test_charges_meter.py",
    "tests/unit/actors/test_local_start.py",
)
DELIVERY = _suite("delivery", "tests/unit/actors/test_delivery_facts.py", "tests/unit/actors/test_delivery_commands.py")
NODE_CLOCK = _suite("the time of a node", "tests/unit/actors/test_node_clock.py")
ACTORS = _suite("actors", "tests/unit/actors/test_actor_turns.py", "tests/unit/actors/test_system_failures.py")
APPS = _suite("apps", "tests/unit/actors/test_source_role_apps.py", "tests/unit/actors/test_app_counter.py")
TRUST = _suite("trust", "tests/unit/actors/test_trust_peers.py")
STORE = _suite("a store that fails", "tests/unit/store/test_store_crash.py", "tests/unit/store/test_store_damage.py")
CALLS = _suite("OCPP calls", "tests/unit/ocpp/test_ocpp_rpc.py")
STATIONS = _suite("OCPP server", "tests/unit/ocpp/test_ocpp_server_in_memory.py", "tests/unit/ocpp/test_ocpp_server.py")
PARTNERS = _suite("answers of partners", "tests/unit/mobieurope/test_mobieurope_client.py")
