"""The commands of `node.py ctl`, a row each: which route it asks, and what of the answer people see.

A route of the operator's API without a row here is found by a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "/api/v1/operator"
PLACE = re.compile(r"{(\w+)}")
PAGING = ("cursor", "limit")
"""Parameters of lists that `ctl` fills in by itself, from its own `--limit`."""


class Gives(StrEnum):
    """What a command shows."""

    LIST = "list"
    ONE = "one"
    NOTHING = "nothing"
    STREAM = "stream"
    FILE = "file"


class Shown(StrEnum):
    """How a value reads to people."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and where in an item its value is, as a dotted path."""

    heading: str
    path: str
    shown: Shown = Shown.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: `node.py ctl <thing> <verb>`.

    The parts of `path` in braces are its arguments, in their order. `filters` are parameters of the query, each an
    option. `reads`: a body made of words `field=value`; `named` is the field of it that is an argument of its own.
    `uploads`: the body is a file, whose name is an argument. Of one that `operates` the answer is an operation, whose
    outcome is waited for.
    """

    thing: str
    verb: str
    path: str
    does: str
    gives: Gives = Gives.ONE
    method: str = "GET"
    filters: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    reads: bool = False
    named: str | None = None
    uploads: bool = False
    operates: bool = False
    example: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(PLACE.findall(self.path))

    @property
    def route(self) -> str:
        """Its route, as the OpenAPI document writes it."""
        return f"{self.method} {PREFIX}{self.path}"


def _columns(*rows: str) -> tuple[Column, ...]:
    """`heading`, `heading=path` or `heading=path:shown`."""
    return tuple(_column(row) for row in rows)


def _column(row: str) -> Column:
    heading, _, rest = row.partition("=")
    path, _, shown = rest.partition(":")
    return Column(heading, path or heading, Shown(shown or "text"))


TRANSACTIONS = _columns(
    "role", "transaction=transaction_id", "state", "user=user_identifier", "station=local_service_identifier",
    "partner=pms_identifier", "energy=energy_wh:energy", "began=created_at:time", "changed=changed_at:time", "flags",
)  # fmt: skip
STATIONS = _columns(
    "station=identity", "standing", "registration", "online", "connectors", "vendor", "model", "protocol",
    "seen=last_seen_at:time",
)  # fmt: skip
ORPHANS = _columns("id=id:number", "station", "kind", "at=at:time", "state", "why", "decided by=decided_by")
PEERS = _columns(
    "partner=pms_identifier", "state", "pending=pending_deliveries:number", "parked=parked_deliveries:number",
    "ended=ledger.ended:number", "delivered=ledger.delivered:number", "acknowledged=ledger.acknowledged:number",
    "overdue=ledger.overdue:number", "corrected=ledger.corrected:number",
)  # fmt: skip
QUARANTINE = _columns("actor", "at=at:time", "error", "at work=at_work", "message=message_type")
AUDIT = _columns("at=at:time", "by", "method", "path", "status=status:number", "problem", "from=address")
HOOKS = _columns(
    "webhook=id", "url", "events", "roles", "state", "pending=pending:number", "behind=changes_behind:number",
    "given up=given_up:number", "delivered=delivered_at:time", "failing since=failing_since:time", "cause",
)  # fmt: skip
HOOK_DELIVERIES = _columns(
    "id=id:number", "event", "subject", "at=at:time", "status", "attempts=attempts:number", "next=next_at:time",
    "answered=answered:number", "error",
)  # fmt: skip
EVENTS = _columns("changed=changed_at:time", *["role", "transaction=transaction_id", "state", "user=user_identifier"])


def _list(thing: str, path: str, does: str, columns: tuple[Column, ...], **more: object) -> Command:
    told: dict[str, object] = {"verb": "list", "gives": Gives.LIST, **more}
    return Command(thing=thing, path=path, does=does, columns=columns, **told)  # type: ignore[arg-type]


def _do(thing: str, verb: str, path: str, does: str, **more: object) -> Command:
    told: dict[str, object] = {"method": "POST", **more}
    return Command(thing=thing, verb=verb, path=path, does=does, **told)  # type: ignore[arg-type]


ONE_TRANSACTION = "/transactions/{role}/{transaction}"
STATION = "/stations/{identity}"
PEER = "/peers/{peer}"
DELIVERY = "/deliveries/{delivery}"
ORPHAN = "/orphans/{orphan}"
HOOK = "/webhooks/{webhook}"
CARD = "/cards/{card}"
GROUP = "/groups/{group}"
CASE = "/quarantine/{kind}/{name}"

COMMANDS: tuple[Command, ...] = (
    _list("transactions", "/transactions", "List transactions, newest first.", TRANSACTIONS,
          filters=("role", "state", "station", "connector", "user", "partner", "authorization_identifier", "since",
                   "until", "open", "flagged", "flag"), example="--station CS01 --flag estimated --open false"),
    Command(thing="transactions", verb="show", path=ONE_TRANSACTION, does="Show a transaction as it is now.",
            example="destination 0A1B2C3D4E5F"),
    Command(thing="transactions", verb="why", path=ONE_TRANSACTION,
            does="Say why a transaction is open: who has to do what, and until when.",
            columns=_columns("state", "since=waiting.since:time", "owner=waiting.owner", "awaits=waiting.awaits",
                             "until=waiting.until:time", "heard=waiting.heard_at:time", "you may=waiting.may", "cause",
                             "flags"), example="destination 0A1B2C3D4E5F"),
    Command(thing="transactions", verb="timeline", path=f"{ONE_TRANSACTION}/timeline",
            does="Show what happened to it through REST, SOAP and OCPP.", example="destination 0A1B2C3D4E5F"),
    _do("transactions", "stop", f"{ONE_TRANSACTION}/stop", "Stop a charge at a station of ours.", example="local 7"),
    _do("transactions", "close", f"{ONE_TRANSACTION}/close", "End a charge that its station will never end.",
        reads=True, example="local 7 reason='the car has been towed away'"),
    _do("transactions", "start", f"{STATION}/transactions", "Start a charge without a partner.",
        reads=True, example="CS01 connector_id=1 id_tag=04A1B2C3D4"),
    _list("stations", "/stations", "List our stations.", STATIONS,
          filters=("standing", "registration", "online", "vendor", "model", "text"), example="--online false"),
    Command(thing="stations", verb="show", path=STATION, does="Show all of a station.", example="CS01"),
    _do("stations", "register", "/stations", "Register a station.", reads=True,
        example="identity=CS07 connectors=2 location.latitude=52.37 location.longitude=4.89"),
    _do("stations", "accept", f"{STATION}/accept", "Accept a station that is pending, or was rejected or retired.",
        reads=True, example="CS07"),
    _do("stations", "change", STATION, "Change what is told of a station.", method="PATCH", reads=True,
        example="CS07 price_note='0.39 EUR per kWh'"),
    _do("stations", "credentials", f"{STATION}/credentials", "Set what a station has to show.", reads=True,
        example="CS07 security_profile=2"),
    _do("stations", "reject", f"{STATION}/reject", "Reject a station.", reads=True, example="CS07 reason='not ours'"),
    Command(thing="stations", verb="local-list", path=f"{STATION}/local-list", example="CS01",
            does="Show how far a station's local list is what it should be."),
    _do("stations", "push-local-list", f"{STATION}/local-list/push", "Have a station's local list sent anew.",
        example="CS01"),
    _do("stations", "retire", f"{STATION}/retire", "Retire a station.", reads=True,
        example="CS07 reason='taken down'"),
    _list("stations", f"{STATION}/log", "List what a station reported beside charging, newest first.",
          _columns("at=at:time", "kind", "report"), verb="log", filters=("kind",), example="CS01 --kind SecurityEvent"),
    _do("stations", "command", f"{STATION}/commands", "Give a command to a station, and tell what became of it.",
        reads=True, named="command", operates=True,
        example="CS01 ChangeConfiguration key=HeartbeatInterval value=300"),
    _list("operations", "/operations", "List what was asked of stations, newest first.",
          _columns("operation=id", "station", "command", "by", "state", "asked=asked_at:time", "waits for=waits_for",
                   "until=until:time", "verdict", "status", "progress", "cause", "charge=transaction"),
          filters=("station", "command", "state", "by"), example="--station CS01 --state Waiting"),
    Command(thing="operations", verb="show", path="/operations/{operation}", filters=("wait_s",),
            does="Show an operation, once it is over if that is soon.", example="OPERATION --wait-s 30"),
    _list("cards", "/cards", "List the cards of the store by their idTag.",
          _columns("card=id_tag", "group", "blocked", "from=valid_from:time", "until=valid_until:time", "label"),
          filters=("group", "blocked", "text"), example="--group FLEET-7"),
    Command(thing="cards", verb="show", path=CARD, does="Show a card of the store.", example="04A1B2C3D4"),
    _do("cards", "put", CARD, "Say what holds of a card from now on, whatever was said before.", method="PUT",
        reads=True, example="04A1B2C3D4 group=FLEET-7 valid_until=2030-01-01T00:00:00Z"),
    _do("cards", "import", "/cards.csv", "Say what holds of all cards of a CSV from now on, or of none.",
        uploads=True, filters=("dry_run",), example="cards.csv --dry-run true"),
    Command(thing="cards", verb="export", path="/cards.csv", does="Give the cards of the store as a CSV.",
            gives=Gives.FILE, filters=("group", "blocked"), example="--group FLEET-7"),
    _do("cards", "remove", CARD, "Forget a card.", method="DELETE", gives=Gives.NOTHING, example="04A1B2C3D4"),
    _list("groups", "/groups", "List the groups that cards are in.", _columns("group", "cards")),
    Command(thing="groups", verb="show", path=GROUP, does="Show how many cards are in a group.", example="FLEET-7"),
    _do("groups", "block", f"{GROUP}/block", "Block every card of a group.", example="FLEET-7"),
    _do("groups", "unblock", f"{GROUP}/unblock", "Block no card of a group any more.", example="FLEET-7"),
    _do("groups", "rename", f"{GROUP}/rename", "Give a group another name.", reads=True,
        example="FLEET-7 group=FLEET-8"),
    _do("groups", "remove", GROUP, "End a group; its cards stay, and are in none.", method="DELETE",
        gives=Gives.NOTHING, example="FLEET-7"),
    _list("cdrs", "/cdrs", "List charge records, the one that ended last first.",
          _columns("charge record=cdr_id", "partner=pms_identifier", "user=user_identifier",
                   "station=local_service_identifier", "energy=energy_wh:energy", "began=start_timestamp:time",
                   "ended=end_timestamp:time", "status", "flags"),
          filters=("role", "partner", "status", "since", "until"), example="--role destination --status overdue"),
    Command(thing="cdrs", verb="export", path="/cdrs/export", gives=Gives.FILE,
            does="Give all charge records of a search as a CSV, or as JSON.",
            filters=("format", "role", "partner", "status", "since", "until"),
            example="--since 2026-05-01T00:00:00Z --until 2026-06-01T00:00:00Z --to may.csv"),
    _list("orphans", "/orphans", "List what stations reported that belongs to no transaction.", ORPHANS,
          filters=("station", "kind", "state"), example="--station CS01"),
    Command(thing="orphans", verb="show", path=ORPHAN, does="Show an orphan, and what was decided on it.", example="3"),
    _do("orphans", "assign", f"{ORPHAN}/assign", "Give an orphan to its transaction.", reads=True,
        example="3 role=local transaction_id=7"),
    _do("orphans", "dismiss", f"{ORPHAN}/dismiss", "Dismiss an orphan with a reason.", reads=True,
        example="3 reason='sent twice by a test'"),
    _list("quirks", "/quirks", "List what stations do that OCPP does not allow, by vendor and model.",
          _columns("vendor", "model", "action", "what", "handling", "times=times:number", "stations=stations:number",
                   "last=last_at:time"), filters=("station", "vendor", "model"), example="--vendor Acme"),
    _list("peers", "/peers", "List our partners, with the ledger of charge records.", PEERS),
    Command(thing="peers", verb="show", path=PEER, does="Show all of a partner.", example="IE-001"),
    _do("peers", "test", f"{PEER}/test", "Call a partner with what has no effect there.", example="IE-001"),
    _do("peers", "block", f"{PEER}/block", "End new business with a partner; what runs goes on.", example="IE-001"),
    _do("peers", "unblock", f"{PEER}/unblock", "Allow new business with a partner again.", example="IE-001"),
    _list("deliveries", "/deliveries", "List what partners are and were owed, newest first.",
          _columns("id=id:number", "partner=peer", "operation", "transaction", "status", "overdue",
                   "owed since=created_at:time", "attempts=attempts:number", "next=next_at:time", "error"),
          filters=("peer", "status", "operation", "transaction", "since", "until", "overdue"),
          example="--peer IE-001 --status parked"),
    _list("deliveries", "/deliveries/summary", "Count what each partner is and was owed.",
          _columns("partner=pms_identifier", "pending=pending:number", "done=done:number", "parked=parked:number",
                   "lapsed=lapsed:number", "overdue=overdue:number", "oldest=oldest_overdue_at:time",
                   "ended=ledger.ended:number", "delivered=ledger.delivered:number",
                   "acknowledged=ledger.acknowledged:number", "corrected=ledger.corrected:number"), verb="summary"),
    Command(thing="deliveries", verb="show", path=DELIVERY, does="Show a message, and the charge record that it tells.",
            example="7"),
    _do("deliveries", "replay", f"{DELIVERY}/replay", "Send a parked message again.", example="7"),
    _do("deliveries", "replay-parked", "/deliveries/replay", "Send the dead letters of a partner again.", reads=True,
        example="peer=IE-001 operation=EndTransaction"),
    _list("webhooks", "/webhooks", "List the servers that are told what happens.", HOOKS),
    Command(thing="webhooks", verb="show", path=HOOK, does="Show a webhook, and what it is owed.", example="WEBHOOK"),
    _do("webhooks", "register", "/webhooks", "Have a server told what happens; shows its secret this once.", reads=True,
        example="url=https://erp.example/roaming events[]=cdr"),
    _do("webhooks", "pause", f"{HOOK}/pause", "Tell a webhook nothing for a while; it misses nothing.",
        example="WEBHOOK"),
    _do("webhooks", "resume", f"{HOOK}/resume", "Tell a webhook that is paused all that it has missed.",
        example="WEBHOOK"),
    _do("webhooks", "remove", HOOK, "Forget a webhook, and all that it is owed.", method="DELETE", gives=Gives.NOTHING,
        example="WEBHOOK"),
    _list("webhooks", f"{HOOK}/deliveries", "List what a webhook is told next and was told last, newest first.",
          HOOK_DELIVERIES, verb="deliveries", filters=("status",), example="WEBHOOK --status given-up"),
    Command(thing="webhooks", verb="delivery", path=f"{HOOK}/deliveries/{{delivery}}", example="WEBHOOK 7",
            does="Show an event of that list with its body."),
    _do("webhooks", "replay", f"{HOOK}/deliveries/{{delivery}}/replay", "Send an event to a webhook again.",
        example="WEBHOOK 7"),
    _list("quarantine", "/quarantine", "List what was put aside because it failed again and again.", QUARANTINE),
    Command(thing="quarantine", verb="show", path=CASE, does="Show what was put aside, and what broke it.",
            example="station CS01"),
    _do("quarantine", "release", f"{CASE}/release", "Let it work again.", reads=True, gives=Gives.NOTHING,
        example="station CS01 message=dismiss"),
    Command(thing="events", verb="follow", path="/events", gives=Gives.STREAM, filters=("role",), columns=EVENTS,
            does="Follow every transaction as it changes, until Ctrl-C.", example="--role local"),
    Command(thing="changes", verb="follow", path="/changes", gives=Gives.STREAM, columns=_columns("resource", "id"),
            does="Follow the names of all that changes, until Ctrl-C."),
    _list("audit", "/audit", "List what operators asked for, and what came of it, newest first.", AUDIT,
          filters=("by", "station", "path", "since", "until"), example="--station CS01 --since 2026-05-01T00:00:00Z"),
)  # fmt: skip


def things() -> Iterator[tuple[str, tuple[Command, ...]]]:
    """Each thing with its commands, as they stand in the table."""
    for thing in dict.fromkeys(command.thing for command in COMMANDS):
        yield thing, tuple(command for command in COMMANDS if command.thing == thing)


def page() -> str:
    """docs/ctl.md."""
    return _PAGE + "".join(_section(thing, commands) for thing, commands in things())


def _section(thing: str, commands: tuple[Command, ...]) -> str:
    rows = [f"| `{_usage(each)}` | {each.does} | `{each.route}` |\n" for each in commands]
    examples = [f"node.py ctl {each.thing} {each.verb} {each.example}\n" for each in commands if each.example]
    table = "".join(["| command | what it does | route |\n", "|---|---|---|\n", *rows])
    return f"\n## {thing}\n\n{table}\n```text\n{''.join(examples)}```\n" if examples else f"\n## {thing}\n\n{table}"


def _usage(command: Command) -> str:
    named = [command.named.upper()] if command.named else []
    words = ["FIELD=VALUE..."] if command.reads else ["FILE"] if command.uploads else []
    options = [*command.filters, *(["to"] if command.gives is Gives.FILE else [])]
    filters = [f"[--{each.replace('_', '-')} ...]" for each in options]
    arguments = [each.upper() for each in command.arguments]
    return " ".join([command.thing, command.verb, *arguments, *named, *words, *filters])


_PAGE = """# The operator's command line

`node.py ctl` asks the [API](api.md) of a running node, with an operator's token. This page is made by `make charts` of
the table that the commands are made of; do not edit.

| Where | |
|---|---|
| the node | `--url`, or `ROAMNODE_URL`, or the listener of `--config`; else `http://127.0.0.1:8089` |
| the token | `--token-file`, or `ROAMNODE_TOKEN`, or the first operator of `--config` whose token stands there |
| whom to trust | `--authorities`: a PEM file, instead of the public authorities |

These stand before the thing: `node.py ctl --config examples/both.toml stations list`. Lists are followed over their
pages up to `--limit` (50). `--json` gives one document instead of a table, with the fields of the API (`events follow`:
one a line).

A body is told in words: `reason='towed away'`, `location.latitude=52.37` for a field within a field, `keys[]=A` for
each of a list, JSON for anything longer (`entries='[{"id_tag":"A1"}]'`). What a field is, text or number, the node's
own OpenAPI document says. A `FILE` is sent as it is; `-` is stdin. What is given as a file goes to stdout, or with
`--to` to a file of that name, which is there once all of it is.

Exit status: 0 done, 1 refused by node or station (the reason on stderr), 2 wrong use, 3 the node does not answer.
"""
