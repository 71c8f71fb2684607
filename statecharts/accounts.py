"""People who sign in to the pages, and what they may do there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from statecharts.ports import Principal
from statecharts.vocabulary import Value


class Account(Value, frozen=True, kw_only=True):
    """Somebody with a password, kept as its argon2id hash; acts as `principal`."""

    name: str
    password_hash: str
    principal: Principal

    def __repr__(self) -> str:
        return f"<Account {self.name}>"


class People:
    """The accounts of one room, as the configuration has them; `Accounts`."""

    def __init__(self, accounts: Iterable[Account | None]) -> None:
        self._accounts = {each.name: each for each in accounts if each is not None}

    def account(self, name: str) -> Account | None:
        return self._accounts.get(name)

    def __len__(self) -> int:
        return len(self._accounts)


NOBODY = People(())


class Accounts(Protocol):
    """Who may sign in to one room of the pages."""

    def account(self, name: str) -> Account | None: ...

    def __len__(self) -> int: ...
