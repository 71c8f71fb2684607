"""How big single things may be: texts, answers, lists that are shown. What may fill and empty stands in `bounds`."""

from __future__ import annotations

from statecharts import card_limits, page_limits, webhook_limits
from statecharts.limit import Limit

OCPP_FRAME = Limit(
    name="ocpp_frame",
    limit=65_536,
    unit="bytes",
    reason="a message of a station: ten times a MeterValues with a day's samples; a longer one closes its connection",
)
ACCEPTED_AT_ONCE = Limit(
    name="ocpp_accepted_at_once",
    limit=64,
    unit="connections",
    reason="accepted in one round of the scheduler: some milliseconds, so that nobody who is in waits long for them",
)
OCPP_HEAD = Limit(
    name="ocpp_head",
    limit=16_384,
    unit="bytes",
    reason="the request that opens a connection, ten times an honest one",
)
OCPP_FAILURES = Limit(
    name="ocpp_failures_per_minute",
    limit=20,
    unit="failures",
    reason="refusals of one station's name from one address in 60 s; after that it is refused unseen (429)",
)
OCPP_IDENTITY = Limit(
    name="ocpp_identity",
    limit=48,
    unit="characters",
    reason="a station's identity in its URL; OCPP 2.0.1 allows 48 characters, more than 1.6 does",
)
SAMPLE_WORDS_KEPT = Limit(
    name="ocpp_sample_words_kept",
    limit=1_024,
    unit="combinations",
    reason="what sampled values of OCPP 2.x say they are (measurand, unit, context, location), looked up once each",
)
PLUGS = Limit(
    name="ocpp_plugs",
    limit=16,
    unit="plugs",
    reason="plugs of one EVSE of OCPP 2.x whose states are told apart; it has two or three",
)
OCPP_MESSAGE_ID = Limit(
    name="ocpp_message_id",
    limit=128,
    unit="characters",
    reason="OCPP-J 1.6 section 4.1.4 allows 36; a longer id of others does no harm and is echoed",
)
OCPP_DESCRIPTION = Limit(
    name="ocpp_error_description",
    limit=255,
    unit="characters",
    reason="OCPP-J 1.6 section 4.2.3: what a CALLERROR may say",
)
CERTIFICATE_CHAIN = Limit(
    name="certificate_chain",
    limit=10_000,
    unit="characters",
    reason="a station's certificate and its issuers: what CertificateSigned may carry (security whitepaper, OCPP 2.x)",
)
OCPP_TEXT_TAKEN = Limit(
    name="ocpp_text_taken",
    limit=255,
    unit="characters",
    reason="a text that is longer than OCPP allows, as an idTag of 23 characters, is taken up to here",
)
OCPP_ODDITIES = Limit(
    name="ocpp_oddities",
    limit=10,
    unit="oddities",
    reason="what is told apart of all that is odd about one message of a station",
)
OCPP_ODDITY = Limit(
    name="ocpp_oddity",
    limit=160,
    unit="characters",
    reason="what is said of one oddity, which a station's own words are part of",
)
OCPP_MESSAGE_KEPT = Limit(
    name="ocpp_message_kept",
    limit=16_384,
    unit="characters",
    reason="what is kept of a message that could not be read: any sound one whole",
)
OCPP_ACTION_KEPT = Limit(
    name="ocpp_action_kept",
    limit=50,
    unit="characters",
    reason="what is kept of the name of an action; the longest of OCPP has 36",
)
VENDOR_THREADS = Limit(
    name="vendor_threads", limit=8, unit="threads", reason="handlers of vendors' messages that work at a time"
)
QUIRK_EXAMPLE = Limit(
    name="quirk_example",
    limit=1_000,
    unit="characters",
    reason="what is shown of the first message with a quirk",
)
QUIRK_STATIONS_COUNTED = Limit(
    name="quirk_stations_counted",
    limit=10_000,
    unit="stations",
    reason="stations of one model whose messages with one quirk are counted apart, more than any node has",
)
GUESSES = Limit(
    name="peer_guesses_per_minute",
    limit=20,
    unit="failures",
    reason="wrong credentials of one name from one address in 60 s; after that it is not looked at (429)",
)
PEER_ANSWER = Limit(
    name="peer_answer",
    limit=1024 * 1024,
    unit="bytes",
    reason="a list of 2,000 local services; a longer answer counts as none",
)
PEER_ADDRESSES_KEPT = Limit(
    name="peer_addresses_kept",
    limit=256,
    unit="addresses",
    reason="more URLs than a node has partners, taken apart once",
)
IDENTIFIER = Limit(
    name="peer_identifier",
    limit=255,
    unit="characters",
    reason="the contract bounds no identifier; what is kept for ever must be",
)
GRANT_NAME = Limit(
    name="peer_authorization_identifier",
    limit=64,
    unit="characters",
    reason="an authorizationIdentifier has 8 or 12 characters in MOBI.Europe; partners' longer ones are borne with",
)
NAME_GUESSED = Limit(
    name="peer_name_guessed",
    limit=64,
    unit="characters",
    reason="what is remembered of a user name that was wrong",
)
CAUSE = Limit(
    name="cause",
    limit=400,
    unit="characters",
    reason="what is kept of another operator's words on why something failed: three sentences",
)
REASON = Limit(
    name="soap_reason",
    limit=400,
    unit="characters",
    reason="what a SOAP Fault tells a partner of its mistake",
)
ENERGY = Limit(
    name="energy",
    limit=2**63 - 1,
    unit="Wh",
    reason="what the store's integers hold; no meter counts so far",
)
DEGREES_DECIMALS = Limit(
    name="degrees_decimals",
    limit=40,
    unit="digits",
    reason="places are kept as they were written; beyond 10 digits they name atoms",
)
NAMESAKES_SHOWN = Limit(
    name="namesakes_shown",
    limit=100,
    unit="transactions",
    reason="transactions with one authorizationIdentifier: more than one is rare, a hundred a partner's defect",
)
DAMAGE_SHOWN = Limit(
    name="damage_shown",
    limit=1_000,
    unit="rows",
    reason="altered rows that `check-journal` names before it stops: nobody reads more",
)
VALUE_SHOWN = Limit(
    name="configuration_value_shown",
    limit=80,
    unit="characters",
    reason="what a message about the configuration repeats of a wrong value: one line",
)
WAL_KEPT = Limit(
    name="sqlite_wal_kept",
    limit=64 * 1024 * 1024,
    unit="bytes",
    reason="what SQLite's write-ahead log keeps on the disk after it was written back: minutes of full load",
)
# -- simulated stations, which run in a process of their own -----------------------------------------------------------

SIMULATED_STATIONS = Limit(
    name="simulated_stations",
    limit=10_000,
    unit="stations",
    reason="as many as a node takes by default, from one process",
)
SIMULATED_TURNS = Limit(
    name="simulated_turns_waiting",
    limit=64,
    unit="turns",
    reason="what waits for one simulated station; its central system sends one call at a time",
)
SIMULATED_HISTORY = Limit(
    name="simulated_history",
    limit=10_000,
    unit="steps",
    reason="what a test may look back on",
)
SIMULATED_CHARGES = Limit(
    name="simulated_charges",
    limit=10_000,
    unit="charges",
    reason="what a test may look back on",
)
SIMULATED_OUTBOX = Limit(
    name="simulated_outbox",
    limit=10_000,
    unit="reports",
    reason="what a station that is offline keeps; weeks of meter values",
)
SIMULATED_TAGS = Limit(
    name="simulated_tags",
    limit=1_000,
    unit="idTags",
    reason="what a station's local list, or its cache, has room for",
)
SIMULATED_PROFILES = Limit(
    name="simulated_profiles",
    limit=20,
    unit="profiles",
    reason="ChargingProfiles that a station keeps at the same time",
)
SIMULATED_STACK_LEVELS = Limit(
    name="simulated_stack_level",
    limit=9,
    unit="level",
    reason="the highest stack level of a ChargingProfile that a station takes",
)
SIMULATED_PERIODS = Limit(
    name="simulated_periods",
    limit=24,
    unit="periods",
    reason="an hour each of a day, in one ChargingSchedule",
)
SIMULATED_CERTIFICATES = Limit(
    name="simulated_certificates",
    limit=20,
    unit="certificates",
    reason="what a station's certificate store has room for",
)
DEMO_LINE = Limit(
    name="demo_line",
    limit=1_000_000,
    unit="bytes",
    reason="a line of a node's log that the demo reads",
)
WRONG_TOKENS = Limit(
    name="rest_wrong_tokens_per_minute",
    limit=20,
    unit="tokens",
    reason="wrong tokens that an address may send in 60 s; then it is answered 429 instead of 401",
)
LAST_EVENT_ID = Limit(
    name="rest_last_event_id",
    limit=15,
    unit="digits",
    reason="a place in the journal of a node that wrote a million facts a second for thirty years",
)
ARCHIVED_AT_ONCE = Limit(
    name="archived_at_once",
    limit=20,
    unit="transactions",
    reason="some 10 ms of the writer's time; what actors append waits no longer for it",
)
FACTS_PACKED = Limit(
    name="facts_packed",
    limit=1_000,
    unit="facts",
    reason="one row of the archive: some 500 kB before it is compressed, read whole when its stream is",
)
STATION_LOG_KEPT = Limit(
    name="station_log_kept",
    limit=20_000,
    unit="entries",
    reason="some 10 MB of a station that logs without end; an orderly one fills a hundredth of it in a year",
)
LOG_FORGOTTEN_AT_ONCE = Limit(
    name="log_forgotten_at_once",
    limit=1_000,
    unit="entries",
    reason="some 10 ms of the writer's time; what actors append waits no longer for it",
)
ROWS_READ = Limit(
    name="rows_read",
    limit=1_000,
    unit="rows",
    reason="what is checked or copied of a table at a time, whatever its length: some 500 kB in memory",
)
NEWEST_TRIED = Limit(
    name="newest_tried",
    limit=10,
    unit="facts",
    reason="among so many of the newest a node that starts seeks one that is unharmed, to go on from its time",
)
HISTORIES_AT_ONCE = Limit(
    name="histories_at_once",
    limit=64,
    unit="streams",
    reason="streams of actors that are read together while others wait: some 5 ms of a reader",
)
BACKUP_PAGES = Limit(
    name="backup_pages",
    limit=4_096,
    unit="pages",
    reason="what a backup copies before it lets others at the file: 16 MB, a few milliseconds",
)
ANSWERS_SWEPT = Limit(
    name="rest_answers_swept",
    limit=1_000,
    unit="answers",
    reason="first answers that leave in one turn of the writer: a few milliseconds of its time",
)
ANSWERS_WRITTEN = Limit(
    name="rest_answers_written",
    limit=500,
    unit="answers",
    reason="first answers that are written in one turn of the writer: a few milliseconds, for which commits wait",
)
CHANGES_READ = Limit(
    name="changes_read",
    limit=100,
    unit="changes",
    reason="what an event stream that fell behind reads of the store at a time",
)
CDRS_READ = Limit(
    name="cdrs_read",
    limit=200,
    unit="records",
    reason="charge records of an export that are in memory at a time, some 200 kB, and read of the store in one go",
)
MINTING_ATTEMPTS = Limit(
    name="minting_attempts",
    limit=5,
    unit="attempts",
    reason="identifiers drawn until one was never used; of 2^48, the second draw is rare already",
)
CONTENT_TYPES_KEPT = Limit(
    name="soap_content_types_kept",
    limit=256,
    unit="texts",
    reason="more forms of Content-Type than partners have, taken apart once",
)
ADDRESSES_READ = Limit(
    name="http_addresses_read",
    limit=4_096,
    unit="addresses",
    reason="addresses of clients taken apart once, about 1 MB; any other is taken apart again",
)
DEMO_LINES_KEPT = Limit(
    name="demo_lines_kept",
    limit=12,
    unit="lines",
    reason="what the demo shows of a process that ended too early",
)
# -- the verification of a partner, which is a process of its own ------------------------------------------------------

ENVELOPE_SHOWN = Limit(
    name="envelope_shown",
    limit=8_000,
    unit="characters",
    reason="what a report shows of one message: any sound one whole, and of an oversized one enough to know it",
)
OVERSIZED = Limit(
    name="oversized",
    limit=2 * 1024 * 1024,
    unit="bytes",
    reason="what a partner is sent to see that it refuses it: four hundred times the longest sound request",
)
WRONG_GUESSES = Limit(
    name="wrong_guesses",
    limit=3,
    unit="passwords",
    reason="wrong passwords that a partner gets under our own name, which it may lock for a while after some",
)

LIMITS: tuple[Limit, ...] = tuple(
    value
    for page in (globals(), vars(card_limits), vars(page_limits), vars(webhook_limits))
    for value in list(page.values())
    if type(value) is Limit
)
"""All of them, in the order of this page; those of cards, of the pages and of webhooks last."""
