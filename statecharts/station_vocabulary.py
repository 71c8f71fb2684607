"""Values that reports of stations and commands to them share: what an idTag may do, and how fast a car may charge.

What stations say is in `station_reports`, what they are asked to do in `station_commands`. Where OCPP versions spell
a word differently, ours is that of OCPP 2.x, and the codec of the other translates.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from statecharts.vocabulary import Value, Word

# -- idTags ------------------------------------------------------------------------------------------------------------


class IdTagStatus(Word):
    """OCPP 1.6 section 7.2, AuthorizationStatus."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


class IdTagInfo(Value, frozen=True, kw_only=True):
    """`parent_id_tag` names the group whose tags may stop each other's transactions (OCPP 2.x: groupIdToken)."""

    status: IdTagStatus
    expiry_date: datetime | None = None
    parent_id_tag: str | None = None


# -- smart charging ----------------------------------------------------------------------------------------------------


class ChargingPeriod(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start_s` seconds after the start of its schedule, at most `limit` A or W, in steps of a tenth."""

    start_s: int
    limit: Decimal
    phases: int | None = None


class ChargingSchedule(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OCPP 1.6 section 7.13. `rate_unit` is A or W. Without `duration_s` the last period goes on for ever.

    `schedule_id` is OCPP 2.x's, which tells a profile's schedules apart.
    """

    rate_unit: str
    periods: tuple[ChargingPeriod, ...]
    duration_s: int | None = None
    starts_at: datetime | None = None
    rate_min: Decimal | None = None
    schedule_id: int | None = None


class ChargingProfile(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OCPP 1.6 section 7.8; OCPP 2.x allows up to three schedules to choose from, 1.6 one.

    `purpose` is ChargingStationMaxProfile (1.6: ChargePointMaxProfile), TxDefaultProfile or TxProfile; `kind` is
    Absolute, Recurring or Relative; `recurrency` is Daily or Weekly. `transaction_id` is our number of a transaction
    and `reference` the station's own (OCPP 2.x).
    """

    profile_id: int
    stack_level: int
    purpose: str
    kind: str
    schedules: tuple[ChargingSchedule, ...]
    recurrency: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: int | None = None
    reference: str = ""
