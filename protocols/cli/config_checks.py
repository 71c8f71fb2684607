"""What must hold between the values of a configuration that are sound in themselves: names, secrets, roles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from protocols.cli.config_problems import Places, Problem, nearest
from protocols.cli.config_reach import is_exposed, reach_problems, reach_warnings
from protocols.cli.config_sections import EVERY_USER, Bearer, Credential, Role
from statecharts.station_credentials import SecurityProfile

if TYPE_CHECKING:
    from protocols.cli.config import Config

SAMPLE = "sample-"
SAMPLE_SALT = "$cHVibGlzaGVkIHNhbXBsZQ$"
"""The salt of every password of our examples: "published sample" in base64."""
"""How the secrets in our examples begin. They are public, so a node that others can reach refuses them."""


def cross_problems(config: Config, places: Places) -> list[Problem]:
    """Everything that cannot be as it is; `places` tells under which keys the rows of `config` stood."""
    checks = (_names, _partners, _credentials, _dates, _pauses, _exposed_samples, _every_user_alone)
    found = [problem for check in checks for problem in check(config, places)]
    return [*found, *reach_problems(config, places)]


def cross_warnings(config: Config) -> list[Problem]:
    """Everything that is odd, but may be meant."""
    checks = (_lonely_roles, _idle_tables, _strangers, _samples)
    found = [problem for check in checks for problem in check(config, Places())]
    return [*found, *reach_warnings(config)]


# -- names -------------------------------------------------------------------------------------------------------------


def _repeated(named: Iterable[tuple[str, Hashable]]) -> Iterator[Problem]:
    """A problem for every name that an earlier key has already."""
    first: dict[Hashable, str] = {}
    for key, name in named:
        if first.setdefault(name, key) != key:
            yield Problem(key, f"must be unique, and is the same as {first[name]}")


def _names(config: Config, places: Places) -> Iterator[Problem]:
    """Local services share one space of names. Case tells no two stations or cards apart: OCPP folds it."""
    stations = [(f"{key}.identity", each.identity.casefold()) for key, each in places.rows(config, "stations")]
    parking = [(f"{key}.identifier", each.identifier.casefold()) for key, each in places.rows(config, "parking")]
    users = places.rows(config, "users")
    bearers = _bearers(config, places)
    yield from _repeated([*stations, *parking])
    yield from _repeated((f"{key}.identifier", user.identifier) for key, user in users)
    yield from _repeated((f"{key}.id_tags.{n}", tag.casefold()) for key, u in users for n, tag in enumerate(u.id_tags))
    yield from _repeated((f"{key}.name", bearer.name) for key, bearer in bearers)
    yield from _repeated((f"{key}.token", bearer.digest) for key, bearer in bearers if bearer.digest)
    for table in ("destinations", "sources"):
        peers = places.rows(config, table)
        names = list(_repeated((f"{key}.pms_identifier", peer.pms_identifier) for key, peer in peers))
        yield from names or _repeated((f"{key}.incoming_username", peer.presented_username) for key, peer in peers)


def _bearers(config: Config, places: Places) -> list[tuple[str, Bearer]]:
    return [*places.rows(config, "apps"), *places.rows(config, "operators")]


def _dates(config: Config, places: Places) -> Iterator[Problem]:
    for key, user in places.rows(config, "users"):
        if user.valid_from and user.valid_until and user.valid_until <= user.valid_from:
            yield Problem(f"{key}.valid_until", "must be later than valid_from")


def _pauses(config: Config, places: Places) -> Iterator[Problem]:
    for name, table in (("delivery", config.delivery), ("webhooks", config.webhooks)):
        if table.retry_cap_s < table.retry_base_s:
            yield Problem(f"{name}.retry_cap_s", f"must be retry_base_s ({table.retry_base_s:g}) or more")


def _every_user_alone(config: Config, places: Places) -> Iterator[Problem]:
    for key, app in places.rows(config, "apps"):
        if EVERY_USER in app.users and len(app.users) > 1:
            yield Problem(f"{key}.users", f'"{EVERY_USER}" is every user: name no others beside it')


def _strangers(config: Config, places: Places) -> Iterator[Problem]:
    """Users that an app acts for and that are not ours: refused when they come, so perhaps a slip of the pen."""
    known = [user.identifier for user in config.users]
    for key, app in places.rows(config, "apps"):
        for number, name in enumerate(app.users):
            if name not in (EVERY_USER, *known):
                yield Problem(f"{key}.users.{number}", f"is no user of ours{nearest(name, known)}")


# -- secrets -----------------------------------------------------------------------------------------------------------


def _presented(config: Config, places: Places) -> list[tuple[str, Credential]]:
    """What each of those presents that come to us."""
    tables = ("destinations", "sources", "stations", "apps", "operators")
    return [(key, row.credential) for table in tables for key, row in places.rows(config, table)]


def _credentials(config: Config, places: Places) -> Iterator[Problem]:
    """Whoever comes to us has one secret, as it is or hashed; but stations whose profile asks for none, and people."""
    profiles = {key: station.profile(config.ocpp) for key, station in places.rows(config, "stations")}
    people = {key for key, operator in places.rows(config, "operators") if operator.password_hash is not None}
    for row, credential in _presented(config, places):
        key = f"{row}.{credential.key}"
        needed = profiles.get(row) not in (SecurityProfile.NONE, SecurityProfile.TLS_CERTIFICATE) and row not in people
        if needed and credential.plain is None and credential.hashed is None:
            yield Problem(key, f"is required, or {credential.hashed_key} instead")
        elif credential.plain is not None and credential.hashed is not None:
            yield Problem(key, f"cannot stand beside {credential.hashed_key}: give one of them")


def _samples(config: Config, places: Places) -> Iterator[Problem]:
    """Secrets of our examples."""
    peers = [*places.rows(config, "destinations"), *places.rows(config, "sources")]
    ours = [(f"{key}.password", peer.password) for key, peer in peers]
    theirs = [(f"{row}.{credential.key}", credential.plain) for row, credential in _presented(config, places)]
    for key, secret in [*ours, *theirs]:
        if secret is not None and secret.get_secret_value().startswith(SAMPLE):
            yield Problem(key, "is a secret of the published examples: make one of your own")
    for table in ("users", "operators"):
        for key, person in places.rows(config, table):
            if person.password_hash is not None and SAMPLE_SALT in person.password_hash:
                yield Problem(f"{key}.password_hash", "is a secret of the published examples: make one of your own")


def _exposed_samples(config: Config, places: Places) -> Iterator[Problem]:
    if is_exposed(config):
        yield from _samples(config, places)


# -- roles -------------------------------------------------------------------------------------------------------------


def _partners(config: Config, places: Places) -> Iterator[Problem]:
    """Partners of a role that this node does not play would be listed in vain, and unnoticed."""
    for table, role in (("destinations", Role.SOURCE), ("sources", Role.DESTINATION)):
        if places.rows(config, table) and not config.plays(role):
            yield Problem(table, f'needs the role "{role}": add it to roles, or remove these partners')


def _lonely_roles(config: Config, places: Places) -> Iterator[Problem]:
    for table, role in (("destinations", Role.SOURCE), ("sources", Role.DESTINATION), ("stations", Role.DESTINATION)):
        if config.plays(role) and not places.rows(config, table):
            yield Problem(table, f'is empty: there is little to do for the role "{role}"')


def _idle_tables(config: Config, places: Places) -> Iterator[Problem]:
    for table, role in (("apps", Role.SOURCE), ("stations", Role.DESTINATION), ("parking", Role.DESTINATION)):
        if places.rows(config, table) and not config.plays(role):
            yield Problem(table, f'does nothing without the role "{role}"')
