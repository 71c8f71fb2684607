"""What every actor of a node shares: the world, the store, the settings, and the doors to what is outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from actors.card_charges import CardCharges
from actors.cards import Cards
from actors.changes import Changes
from actors.fleet import Fleet
from actors.journal import Journal
from actors.ledger import Ledger
from actors.local_lists import LocalLists
from actors.names import Names
from actors.node_clock import NodeClock
from actors.notices import Notices
from actors.numbers import Numbers
from actors.operations import Operations
from actors.orphans import Orphans
from actors.outbox import Outbox
from actors.quirks import Quirks
from actors.records import Append
from actors.system import System
from actors.trail import Trail
from actors.vendor_handlers import VendorHandlers
from actors.watches import Watches
from actors.webhooks import NoReceivers, Webhooks
from statecharts.bounds import IN_FLIGHT, OPEN_AUTHORIZATIONS, Watermarks
from statecharts.charging import ChargingDeadlines
from statecharts.directory import ParkingEntry, StationEntry
from statecharts.meters import Meters
from statecharts.model_limits import ModelQuirk
from statecharts.peers_door import LinkView
from statecharts.ports import (
    CertificateAuthority,
    IdentityService,
    Ids,
    PeerClient,
    TransactionView,
)
from statecharts.source_events import SourceDeadlines
from statecharts.views import by_wall_clock
from statecharts.vocabulary import Location, ServiceStatus, ServiceType, Value
from statecharts.webhooks_door import WebhookClient

NOWHERE = Location(latitude=Decimal(0), longitude=Decimal(0))
"""Where a station is of which nobody has said so: no partner ever finds it."""


class DeliverySettings(Value, frozen=True, kw_only=True):
    """How messages to peers are sent and sent again."""

    attempt_timeout_s: float = 10
    retry_base_s: float = 1
    retry_cap_s: float = 900
    parked_after_days: int = 30
    in_flight_max: int = IN_FLIGHT.limit


class WebhookSettings(Value, frozen=True, kw_only=True):
    """How webhooks are told, and told again."""

    attempt_timeout_s: float = 10
    retry_base_s: float = 5
    retry_cap_s: float = 3_600
    paused_after_days: int = 3


class Place(Value, frozen=True, kw_only=True):
    """A local service of ours. A place without a station (PARKING) has 0 `connectors`, and the `status` configured."""

    identity: str
    location: Location
    service_types: tuple[ServiceType, ...]
    connectors: int = 0
    deadlines: ChargingDeadlines = ChargingDeadlines()
    status: ServiceStatus = ServiceStatus.UNKNOWN


def place_at(entry: StationEntry, deadlines: ChargingDeadlines) -> Place:
    """Where a station is, and what it offers there."""
    return Place(
        identity=entry.identity,
        location=entry.location or NOWHERE,
        service_types=entry.service_types,
        connectors=entry.connectors,
        deadlines=deadlines,
    )


def parking_at(entry: ParkingEntry) -> Place:
    """A local service without a station."""
    return Place(
        identity=entry.identifier, location=entry.location, service_types=(ServiceType.PARKING,), status=entry.status
    )


class NodeSettings(Value, frozen=True, kw_only=True):
    """What this node is and how patient it is; everything of it comes from the configuration."""

    pms_identifier: str
    source_deadlines: SourceDeadlines = SourceDeadlines()
    open_authorizations_per_user_max: int = OPEN_AUTHORIZATIONS.limit
    charges_per_card_max: int | None = None
    keeps_local_lists: bool = False
    local_services_deadline_s: float = 8
    heartbeat_interval_s: int = 300
    heartbeat_spread: float = 0.0
    boot_retry_s: int = 60
    renew_before_days: int = 30
    delivery_overdue_s: float = 3_600
    quirks: tuple[ModelQuirk, ...] = ()
    delivery: DeliverySettings = DeliverySettings()
    webhooks: WebhookSettings = WebhookSettings()


@dataclass(slots=True)
class Context:
    """Handed to every actor and role. `fleet` are our stations; `destinations` and `sources` speak to the peers,
    `links` are what is configured of them.

    `authority` signs the certificates of stations; `charging` are those where a charge went on when the node started.
    `vendors` answers what is none of OCPP's own messages, `webhook_client` reaches the servers of operators.
    """

    settings: NodeSettings
    clock: NodeClock
    ids: Ids
    journal: Journal
    system: System
    identity: IdentityService
    fleet: Fleet
    destinations: Mapping[str, PeerClient] = field(default_factory=dict)
    sources: Mapping[str, PeerClient] = field(default_factory=dict)
    links: Mapping[str, tuple[LinkView, ...]] = field(default_factory=dict)
    charging: frozenset[str] = frozenset()
    authority: CertificateAuthority | None = None
    vendors: VendorHandlers = field(default_factory=VendorHandlers)
    webhook_client: WebhookClient = field(default_factory=NoReceivers)
    changes: Changes = field(default_factory=Changes)
    notices: Notices = field(init=False)
    watches: Watches = field(default_factory=Watches)
    names: Names = field(init=False)
    outbox: Outbox = field(init=False)
    ledger: Ledger = field(init=False)
    operations: Operations = field(init=False)
    orphans: Orphans = field(init=False)
    quirks: Quirks = field(init=False)
    numbers: Numbers = field(init=False)
    trail: Trail = field(init=False)
    cards: Cards = field(init=False)
    card_charges: CardCharges = field(init=False)
    lists: LocalLists = field(init=False)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        store = self.journal.store
        self.notices = notices = Notices(self.watermarks)
        self.journal.appended, self.fleet.changed = self._appended, partial(notices.note, "stations")
        self.system.quarantine.changed = partial(notices.note, "quarantine")
        self.names = Names(self.journal, self.watermarks)
        self.outbox, self.ledger, self.numbers = Outbox(store), Ledger(store, self.shown), Numbers(store)
        self.operations = Operations(store)
        self.orphans, self.quirks = Orphans(store), Quirks(self.watermarks)
        self.trail = Trail(store, self.clock, partial(notices.note, "audit"))
        self.cards = Cards(store, self.clock, self.identity, self.watermarks)
        self.cards.on_change.append(lambda _: notices.note("cards"))
        self.card_charges = CardCharges(self.ledger, self.settings.charges_per_card_max)
        self.lists = LocalLists(self)
        self.webhooks = Webhooks(self)

    def _appended(self, append: Append) -> None:
        self.notices.appended(append)
        self.webhooks.appended(append)

    @property
    def places(self) -> Mapping[str, Place]:
        """Our local services, as partners may find them now."""
        return self.fleet.places

    @property
    def watermarks(self) -> Watermarks:
        """The node's."""
        return self.system.watermarks

    @property
    def meters(self) -> Meters:
        """The node's."""
        return self.journal.meters

    def end_streams(self) -> None:
        """Ends all that is told as it changes, now and in future: the node drains."""
        self.changes.drain()
        self.notices.drain()

    def shown(self, view: TransactionView) -> TransactionView:
        """The view for the eyes of people and apps, whose clocks show what the machine's does."""
        return by_wall_clock(view, self.clock.ahead)

    def station_place(self, identity: str) -> Place:
        """Where this station is. One that is ours no more has no connectors: its charges come to their end."""
        return self.fleet.ground(identity) or Place(identity=identity, location=NOWHERE, service_types=())
