"""The bugs that we plant: what each is, where somebody has met it, what it breaks, and what is let loose to find it.

Each has its patch in `patches/`. A workload that is not random stands only where no random life would get there, and
the row says why. When the code changes so far that a patch no longer fits, write the patch anew, not another bug.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Mutant:
    """A planted bug. `seen` says in which product or study it was met (FAULTS: M1 to M14), `breaks` what it breaks.

    Workloads are tried in their order, and the first that objects is the one that counts: what is known to find it soon
    stands first, and last the simulated worlds, of which `--by "simulated worlds"` tells what they find alone.
    """

    name: str
    what: str
    breaks: str
    workloads: tuple[Workload | Worlds, ...]
    seen: str = ""
    why_a_suite: str = ""


MUTANTS = (
    # -- met in products that are respected ----------------------------------------------------------------------------
    Mutant(
        "m01-retried-start-is-new",
        "a StartTransaction that comes again under a new message id is another charge",
        "I2, I3",
        (DELIVERIES, WORLDS),
        seen="M1: maeve, CitrineOS",
    ),
    Mutant(
        "m02-refused-starts-share-a-stream",
        "all starts whose idTag was refused are kept as one and the same transaction",
        "I1, I5",
        (STATION, CHARGES, WORLDS),
        seen="M2: maeve",
    ),
    Mutant(
        "m03-register-looked-for-elsewhere",
        "the energy register is looked for at another location than stations report it from",
        "I5",
        (DELIVERIES, CHARGES, WORLDS),
        seen="M3: maeve",
    ),
    Mutant(
        "m04-any-known-card-charges",
        "whoever is known may charge, blocked or expired or not",
        "I7",
        (CHARGES, WORLDS),
        seen="M4: maeve",
    ),
    Mutant(
        "m05-our-fault-is-called-theirs",
        "a fault of our own is answered as a FormationViolation of the station's",
        "I11",
        (RPC, CALLS),
        seen="M5: maeve",
    ),
    Mutant(
        "m06-full-queue-drops-a-call",
        "a CALL for which there is no room is dropped without an answer",
        "I11",
        (RPC, CALLS, WORLDS),
        seen="M6: maeve",
    ),
    Mutant(
        "m06-one-call-remembered",
        "only the newest CALL is known again when it is repeated",
        "I11",
        (RPC, CALLS, WORLDS),
        seen="M6: maeve",
    ),
    Mutant(
        "m07-end-written-in-two",
        "the fact and what it owes to the partner are written one after the other",
        "I1",
        (FAILING_WRITES, CRASHES, WORLDS),
        seen="M7: CitrineOS",
    ),
    Mutant(
        "m08-depth-is-no-json-error",
        "JSON that is nested too deeply raises where only errors of syntax are expected",
        "I11, I12",
        (FRAMES,),
        seen="M8: mobilityhouse/ocpp",
    ),
    Mutant(
        "m09-timer-by-the-machines-clock",
        "deadlines are counted by the machine's clock instead of the one that was handed in",
        "I4",
        (DELIVERIES, WORLDS),
        seen="M9: mobilityhouse/ocpp",
    ),
    Mutant(
        "node-time-by-the-machines-clock",
        "within the node time is what the machine's clock shows, so that all that waits jumps with it",
        "I4",
        (WORLDS, NODE_CLOCK),
        seen="M9: mobilityhouse/ocpp",
    ),
    Mutant(
        "m09-call-error-is-a-yes",
        "a CALLERROR to a command counts as its acceptance",
        "I4",
        (STATIONS, WORLDS),
        seen="M9: mobilityhouse/ocpp",
    ),
    Mutant(
        "m10-readings-only-in-memory",
        "meter values are kept in memory alone, as events on a bus",
        "I8, I9",
        (DELIVERIES, CHARGES, WORLDS),
        seen="M10: cosmic bus",
    ),
    Mutant(
        "m10-mailbox-without-end",
        "a mailbox takes whatever comes",
        "I10",
        (ACTORS,),
        seen="M10: pykka",
        why_a_suite="a bound: no life of a few charges fills a mailbox",
    ),
    Mutant(
        "m11-undeclared-is-ignored",
        "an event that no row declares is passed over without a word",
        "I6",
        (SOURCE, DESTINATION, WORLDS),
        seen="M11: libocpp",
    ),
    Mutant(
        "m12-hang-up-cancels-the-turn",
        "who hangs up cancels the turn that is under way for them",
        "I1, I2",
        (DELIVERIES, ACTORS, WORLDS),
        seen="M12: quart-trio",
    ),
    Mutant(
        "m13-frames-of-any-size",
        "the limit of a message holds for each of its frames alone",
        "I10",
        (FRAMES,),
        seen="M13: hypercorn",
    ),
    Mutant(
        "m14-document-type-allowed",
        "XML may have a document type, and with it entities",
        "I7, I10",
        (SOAP,),
        seen="M14: ElementTree",
    ),
    # -- what must never be written ------------------------------------------------------------------------------------
    Mutant(
        "acknowledged-before-written",
        "a StopTransaction is answered while it is still being made durable",
        "I8",
        (CRASHES, WORLDS),
    ),
    Mutant(
        "acted-before-written",
        "a command leaves before the fact that justifies it is on disk",
        "I8",
        (CRASHES, WORLDS),
    ),
    Mutant(
        "failed-batch-acknowledged",
        "appends whose commit failed are told that they are stored",
        "I8",
        (STORE, WORLDS),
    ),
    Mutant(
        "cancelled-write-swallowed",
        "a write that was cancelled counts as done",
        "I8",
        (FAILING_WRITES, WORLDS),
    ),
    Mutant(
        "only-the-newest-request-is-known",
        "a start or stop request that comes again is known only if it is the newest",
        "I2",
        (DESTINATION, TWO_SIDES, WORLDS),
    ),
    Mutant(
        "start-deadline-not-armed-anew",
        "a second start has the deadline of the first",
        "I4",
        (DESTINATION, WORLDS),
    ),
    Mutant(
        "doubt-not-cancelled",
        "a charge that was doubted is reconciled, although its station has confirmed it",
        "I4, I5",
        (DESTINATION, WORLDS),
    ),
    Mutant(
        "deadlines-lost-at-restart",
        "transactions that wait for their deadline are not woken when the node starts",
        "I4",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "register-through-float",
        "a register in kWh is multiplied as a float and cut",
        "I5",
        (DELIVERIES, CHARGES, WORLDS),
    ),
    Mutant("kwh-through-float", "kWh of a partner are read through float arithmetic", "I5", (SOAP, WORLDS)),
    Mutant(
        "anybodys-transaction",
        "an authorizationIdentifier is looked up without asking whose it is",
        "I7",
        (DELIVERIES, TRUST, WORLDS),
    ),
    Mutant(
        "anybodys-charge",
        "an app reads, starts and stops the charges of users that it does not act for",
        "I7",
        (WORLDS,),
    ),
    Mutant(
        "anothers-charge-is-not-yours",
        "an app is told whether a charge is another's or nobody's",
        "I7",
        (WORLDS,),
    ),
    Mutant(
        "an-apps-token-is-an-operators",
        "what is the operator's is open to every app",
        "I7",
        (WORLDS,),
    ),
    Mutant(
        "credentials-after-the-effect",
        "a partner is asked for its password when all has been done, and then told 401",
        "I7",
        (WORLDS,),
    ),
    Mutant(
        "any-stations-password",
        "the password of one station opens every other",
        "I7",
        (WORLDS,),
    ),
    Mutant(
        "a-grant-for-every-station",
        "an authorisation counts at stations that it is not for",
        "I7",
        (WORLDS,),
    ),
    Mutant(
        "the-body-says-who-it-is",
        "the peer is whom the body names, not whose credentials were shown",
        "I7",
        (DELIVERIES, TRUST, WORLDS),
    ),
    Mutant(
        "one-key-for-all-apps",
        "an Idempotency-Key belongs to the node and not to the app",
        "I2, I7",
        (APPS, WORLDS),
    ),
    Mutant(
        "start-sent-again-after-restart",
        "a RemoteStart is sent once more when its node comes back",
        "I2",
        (CRASHES, WORLDS),
    ),
    Mutant(
        "results-hold-back-the-record",
        "a charge record waits for the results before it for as long as these take",
        "I1",
        (DELIVERIES, DELIVERY, WORLDS),
    ),
    Mutant(
        "record-named-by-its-partner",
        "a charge record is named after who is asked, so that both sides name it differently",
        "I2",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "done-before-the-answer",
        "a message counts as delivered when it is sent",
        "I1",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "parked-counts-as-done",
        "a charge record that the partner refused counts as delivered",
        "I1",
        (DESTINATION, WORLDS),
    ),
    Mutant(
        "retry-under-a-new-name",
        "a request is tried again under another requestIdentifier",
        "I2",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "command-sent-after-its-time",
        "a command is tried on after the deadline at which its user was told that it failed",
        "I2, I4",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "grant-without-its-alias",
        "a grant does not bind the name by which reports will be looked up",
        "I1",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "result-told-to-the-first-request-alone",
        "of several requests under way only the first is told the outcome",
        "I4",
        (DESTINATION, WORLDS),
    ),
    Mutant(
        "two-charges-on-a-connector",
        "a start does not end the charge that was open on its connector",
        "I3",
        (STATION, CRASHES, WORLDS),
    ),
    Mutant(
        "held-connector-given-again",
        "a connector that is held for a start is promised to another one as well",
        "I3",
        (CHARGES, STATION, WORLDS),
    ),
    Mutant(
        "unknown-stop-dropped",
        "a stop of a charge that is not known is answered and forgotten",
        "I1, I5",
        (STATION, CRASHES, WORLDS),
    ),
    Mutant(
        "final-state-forgotten",
        "what a transaction ended in is not there after a restart",
        "I9",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "facts-after-the-snapshot-forgotten",
        "an actor loads from a snapshot and leaves out the facts after it",
        "I9",
        (DELIVERIES, WORLDS),
    ),
    Mutant(
        "late-stop-makes-a-second-record",
        "a stop that comes after the charge record makes another one",
        "I2",
        (DESTINATION, WORLDS),
    ),
    Mutant(
        "older-progress-wins",
        "progress that comes late sets the energy back",
        "I5",
        (SOURCE, TWO_SIDES, WORLDS),
    ),
    Mutant(
        "head-not-written",
        "where the journal ends is not remembered, so that a cut end is not noticed",
        "I8",
        (STORE, WORLDS),
    ),
    Mutant(
        "checksums-not-verified",
        "rows are loaded without being compared with their checksums",
        "I9",
        (STORE, WORLDS),
    ),
    Mutant(
        "answer-with-anothers-id",
        "a CALL is answered under the id of the newest one",
        "I11",
        (RPC, CALLS, WORLDS),
    ),
    Mutant(
        "late-answer-for-the-next-call",
        "an answer that comes too late is taken for that of the next call",
        "I11",
        (RPC, CALLS, WORLDS),
    ),
    Mutant(
        "calls-outlive-their-connection",
        "a call under way does not end with its connection",
        "I4, I11",
        (RPC, CALLS, WORLDS),
    ),
    Mutant(
        "garbage-is-an-answer",
        "an answer that does not satisfy the schema counts as one",
        "I1",
        (PARTNERS, WORLDS),
    ),
)
