"""Every bound of a node in one place: what may grow no further than where, in which unit, and why there.

Code takes its limits from here, the configuration overrides those that an operator may wish to change, and `Watermarks`
remember the highest value that was seen of each: both stand in `/metrics`; docs/bounds.md shows this page.
"""

from __future__ import annotations

from collections.abc import Iterator

from statecharts import card_limits, webhook_limits
from statecharts.limit import Bound

# -- actors ------------------------------------------------------------------------------------------------------------

MAILBOX = Bound(
    name="actor_mailbox",
    limit=256,
    unit="messages",
    reason="more than any honest station or app has waiting at one actor; the next sender is told to come back (503)",
)
WAKING = Bound(
    name="actors_waking",
    limit=16,
    unit="actors",
    reason="enough journal reads at once to keep the readers busy; the other sleepers wait as keys, so that thousands "
    "of deadlines at one moment fill no memory",
)
APPENDS_WAITING = Bound(
    name="journal_appends_waiting",
    limit=10_000,
    unit="appends",
    reason="one second of the journal's work; those behind wait to be let in, so that memory stays flat",
)
APPENDS_PER_COMMIT = Bound(
    name="journal_appends_per_commit",
    limit=1_000,
    unit="appends",
    reason="one fsync for as many as wait; more would keep the first of them waiting longer than the fsync saves",
)
TIPS_KEPT = Bound(
    name="journal_tips_kept",
    limit=50_000,
    unit="streams",
    reason="where the streams used last end, about 15 MB; the end of any other is looked up",
)
CHARGES_KEPT = Bound(
    name="station_charges_kept",
    limit=50,
    unit="charges",
    reason="ended charges that a station's book keeps at hand, days of any station; what is reported of older ones is "
    "kept as an orphan",
)
QUIRK_MODELS_KEPT = Bound(
    name="quirk_models_kept",
    limit=500,
    unit="models",
    reason="vendors and models whose quirks are counted apart, ten times as many as a big operator has; "
    "those beyond are counted together",
)
QUIRKS_KEPT = Bound(
    name="quirks_kept",
    limit=50,
    unit="quirks",
    reason="quirks of one model that are told apart; one that always finds another is counted under everything else",
)
OPERATIONS_AT_STATION = Bound(
    name="operations_at_station",
    limit=32,
    unit="operations",
    reason="commands of operators to one station whose outcome is awaited; each is looked at with every report of "
    "that station, and the next one is refused (429)",
)
STOPS_KEPT = Bound(
    name="station_stops_kept",
    limit=50,
    unit="stops",
    reason="stops without a start that wait for it; the book forgets the oldest first, the operator's list none",
)
RESERVATIONS_KEPT = Bound(
    name="station_reservations_kept",
    limit=100,
    unit="reservations",
    reason="reservations of one station that have not lapsed, more than any has connectors; the next one is not sent",
)
SESSIONS_KEPT = Bound(
    name="station_sessions_kept",
    limit=50,
    unit="transactions",
    reason="transactions of OCPP 2.x that nobody pays for yet; the book forgets the oldest, the journal none",
)
REPORT_SETTINGS = Bound(
    name="station_report_settings",
    limit=10_000,
    unit="settings",
    reason="what a station of OCPP 2.x reports of itself, joined into one answer, some 2 MB; honest ones have hundreds",
)
REQUESTS_KEPT = Bound(
    name="transaction_requests_kept",
    limit=64,
    unit="requests",
    reason="requests that a Source may make of one transaction, half of them starts and half stops, so that no number "
    "of starts keeps it from being stopped: each is remembered to be answered and told once; an honest one needs a "
    "handful (429)",
)
OPEN_AUTHORIZATIONS = Bound(
    name="open_authorizations_per_user",
    limit=3,
    unit="transactions",
    reason="a person charges one car or two; the next authorisation is refused (`open_authorizations_per_user_max`)",
)
FACTS_AFTER_SNAPSHOT = Bound(
    name="facts_after_snapshot",
    limit=200,
    unit="facts",
    reason="read in a few milliseconds when an actor loads; a snapshot with every 200th costs less than one fact each",
)

# -- HTTP --------------------------------------------------------------------------------------------------------------

HTTP_CONNECTIONS = Bound(
    name="http_connections",
    limit=1_000,
    unit="connections",
    reason="some 40 MB when all are open; a further one is answered 503 (`http.connections_max`)",
)
HTTP_CONNECTIONS_PER_ADDRESS = Bound(
    name="http_connections_per_address",
    limit=250,
    unit="connections",
    reason="no client alone can keep all others out; behind a proxy, all clients have the proxy's address and the "
    "limit is raised (`http.connections_per_address_max`)",
)
HTTP_REQUESTS = Bound(
    name="http_requests",
    limit=1_000,
    unit="requests",
    reason="HTTP/2 brings many over one connection; a further one is answered 503 (`http.connections_max` as well)",
)
HTTP_HEAD = Bound(
    name="http_head",
    limit=16 * 1024,
    unit="bytes",
    reason="ten times what a browser sends; a longer head is answered 431, over HTTP/2 its connection is closed",
)
HTTP_BODY = Bound(
    name="http_body",
    limit=256 * 1024,
    unit="bytes",
    reason="the longest sound request, an endTransaction with its texts, has some 5 kB; a longer one is answered 413",
)
HTTP_LONG_BODIES = Bound(
    name="http_long_bodies",
    limit=4,
    unit="requests",
    reason="requests whose body may be longer than others', as a CSV of cards: some 16 MB; one more is answered 503",
)
HTTP_STREAMS = Bound(
    name="http2_streams",
    limit=100,
    unit="streams",
    reason="requests that one HTTP/2 connection may have open; RFC 9113 section 6.5.2 asks for no fewer",
)
HTTP_STREAMS_REMEMBERED = Bound(
    name="http2_streams_remembered",
    limit=1_000,
    unit="streams",
    reason="streams that have ended, of which one connection still knows how: what comes late for them is then no "
    "offence; h2 would keep 65,536, which is 7 MB",
)
HTTP_CONTROL_FRAMES = Bound(
    name="http2_control_frames",
    limit=200,
    unit="frames",
    reason="resets, pings and settings that one connection may send at once, and 20 more a second: honest clients need "
    "a handful, floods need thousands; then the connection is closed",
)
HTTP_TURNING_AWAY = Bound(
    name="http_turning_away",
    limit=50,
    unit="connections",
    reason="refused connections that are still told 503; those beyond are closed without a word",
)

# -- the store ---------------------------------------------------------------------------------------------------------

STORE_READERS = Bound(
    name="store_readers",
    limit=4,
    unit="connections",
    reason="reads at one time, each on a snapshot of its own; more would only wait for the same disk",
)

# -- stations ----------------------------------------------------------------------------------------------------------

STATIONS = Bound(
    name="stations",
    limit=20_000,
    unit="stations",
    reason="four times as many as a node is measured with, some 30 MB; a further one is not registered (429)",
)
STATIONS_PENDING = Bound(
    name="stations_pending",
    limit=100,
    unit="stations",
    reason="stations that came by themselves and wait for the operator's decision: more than anybody decides on in a "
    "day; a further one is answered 404 (`ocpp.unknown_stations`)",
)
NEWCOMERS = Bound(
    name="stations_introduced_per_minute",
    limit=10,
    unit="stations",
    reason="stations nobody knows that are kept in 60 s; an installer brings one at a time",
)
CONNECTORS_UNTOLD = Bound(
    name="station_connectors_untold",
    limit=32,
    unit="connectors",
    reason="connectors whose states are kept of a station of which nobody has said how many it has",
)
OCPP_CONNECTIONS = Bound(
    name="ocpp_connections",
    limit=10_000,
    unit="connections",
    reason="some 250 MB when all are there; a further one is answered 503 and comes again (`ocpp.connections_max`)",
)
OCPP_CONNECTIONS_PER_ADDRESS = Bound(
    name="ocpp_connections_per_address",
    limit=5_000,
    unit="connections",
    reason="half of all: mobile networks put whole fleets behind one address, which still must not keep all others "
    "out; a further one is answered 503 (`ocpp.connections_per_address_max`)",
)
OCPP_HANDSHAKES = Bound(
    name="ocpp_handshakes",
    limit=256,
    unit="handshakes",
    reason="at a time, a quarter of them for one address: with TLS one second's work of a core, so that in a reconnect "
    "storm each is over before its deadline; the others wait in order (`ocpp.handshakes_max`)",
)
OCPP_COMING_IN = Bound(
    name="ocpp_coming_in",
    limit=32,
    unit="stations",
    reason="stations whose actors hear at a time that they are here: enough for a commit to hold many of them, few "
    "enough for one with a charge to be among the next; the others wait with their upgrade unanswered, then get 503",
)
OCPP_TURNING_AWAY = Bound(
    name="ocpp_turning_away",
    limit=50,
    unit="connections",
    reason="refused connections that are still told 503; those beyond are closed without a word",
)
OCPP_WAITING_CALLS = Bound(
    name="ocpp_waiting_calls",
    limit=16,
    unit="calls",
    reason="commands that wait for one station, which takes them one by one: eight minutes' worth if it never answers; "
    "a further one is never sent and its asker is told so",
)
OCPP_INCOMING_CALLS = Bound(
    name="ocpp_incoming_calls",
    limit=16,
    unit="calls",
    reason="a station sends one and waits for its answer (OCPP-J 1.6 section 4.1.1); the next is answered CALLERROR",
)
OCPP_REMEMBERED_ANSWERS = Bound(
    name="ocpp_remembered_answers",
    limit=8,
    unit="answers",
    reason="given again when a station repeats a call on its connection, which it does with the last one",
)
OCPP_FAILING_ADDRESSES = Bound(
    name="ocpp_failing_addresses",
    limit=1_024,
    unit="addresses",
    reason="addresses that were turned away lately, each with the station it claimed to be; the one longest quiet is "
    "forgotten first",
)
OCPP_ALARMS = Bound(
    name="ocpp_alarms",
    limit=1_024,
    unit="stations",
    reason="stations in whose name somebody was turned away lately, so that each gets one entry a minute in its log; "
    "the one longest quiet is forgotten first",
)

# -- partners ----------------------------------------------------------------------------------------------------------

PEER_CONNECTIONS = Bound(
    name="peer_connections",
    limit=20,
    unit="connections",
    reason="more than deliveries that may be under way to one partner, so that people's questions find one free; "
    "further requests wait their turn within their own deadline",
)
OWED = Bound(
    name="peer_owed",
    limit=1_000,
    unit="deliveries",
    reason="a few megabytes for each partner that is away; those beyond wait in the outbox table for their turn",
)

IN_FLIGHT = Bound(
    name="peer_in_flight",
    limit=8,
    unit="deliveries",
    reason="deliveries that one partner gets at a time, so that a backlog floods nobody (`delivery.in_flight_max`)",
)
GUESSES_REMEMBERED = Bound(
    name="peer_guesses_remembered",
    limit=4_096,
    unit="addresses",
    reason="addresses, with the name they gave, whose credentials were wrong lately, about 1 MB; the oldest is "
    "forgotten first",
)

# -- apps and operators ------------------------------------------------------------------------------------------------

FAILING_ADDRESSES = Bound(
    name="rest_failing_addresses",
    limit=10_000,
    unit="addresses",
    reason="those that sent wrong tokens lately, about 2 MB; the one longest quiet is forgotten first",
)
RATE_LIMITED_TOKENS = Bound(
    name="rest_rate_limited_tokens",
    limit=10_000,
    unit="tokens",
    reason="more apps than an operator has; the token unused longest begins with a full bucket again",
)
EVENT_STREAMS_PER_TOKEN = Bound(
    name="rest_event_streams_per_token",
    limit=200,
    unit="streams",
    reason="an app's server may follow as many charges one by one, and all of them with one; fewer than one address "
    "may have connections, so that streams never take them all (429)",
)
EVENT_STREAMS = Bound(
    name="rest_event_streams",
    limit=800,
    unit="streams",
    reason="four fifths of `http.connections_max`, whatever that is: streams last for hours, and requests must still "
    "find a place (503)",
)
ANSWERS_WAITING = Bound(
    name="rest_answers_waiting",
    limit=10_000,
    unit="answers",
    reason="first answers not yet on disk, some seconds' work; one beyond is not kept: asked again, its request is "
    "answered with the transaction as it is then",
)
ANSWERS_KEPT = Bound(
    name="rest_answers_kept",
    limit=1_000_000,
    unit="answers",
    reason="about 1 GB of disk; the oldest leave first, and their requests still never do anything twice",
)
NOTICES_PENDING = Bound(
    name="notices_pending",
    limit=1_000,
    unit="notices",
    reason="changes that one watcher has not been told of; beyond them it is told once that everything has changed",
)
NAMES = Bound(
    name="names_remembered",
    limit=20_000,
    unit="names",
    reason="four megabytes; names of the latest five thousand transactions, any older one is looked up in the journal",
)

BOUNDS: tuple[Bound, ...] = tuple(
    value
    for page in (globals(), vars(card_limits), vars(webhook_limits))
    for value in list(page.values())
    if isinstance(value, Bound)
)
"""All of them, in the order of this page; those of cards and webhooks last."""


class Watermarks:
    """The limit that is in force for each bound, and the highest value seen since the node started."""

    def __init__(self) -> None:
        self._limits = {bound.name: bound.limit for bound in BOUNDS}
        self._highest = dict.fromkeys(self._limits, 0)

    def limit(self, bound: Bound, limit: int) -> None:
        """The configuration sets another limit than the one of this page."""
        self._limits[bound.name] = limit

    def saw(self, bound: Bound, value: int) -> None:
        """Remembers the value if it is the highest so far."""
        if value > self._highest[bound.name]:
            self._highest[bound.name] = value

    def __iter__(self) -> Iterator[tuple[Bound, int, int]]:
        """Each bound with its highest value and its limit."""
        for bound in BOUNDS:
            yield bound, self._highest[bound.name], self._limits[bound.name]
