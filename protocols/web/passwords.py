"""People's passwords: argon2id (RFC 9106, its second recommended setting), in a thread, since each takes its time."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import trio

from statecharts.accounts import Account
from statecharts.page_limits import PASSWORDS_AT_ONCE

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LENGTH_MIN = 10
SALT_BYTES = 16
NOBODY = "nobody has this password"


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # a node where nobody signs in does without
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def hashed(password: str, salt: bytes) -> str:
    """What a configuration keeps of a password. `salt` is `SALT_BYTES` random bytes of this password alone."""
    return _hasher().hash(password, salt=salt)


@cache
def _nobody() -> str:
    return hashed(NOBODY, bytes(SALT_BYTES))


class Doorkeeper:
    """Compares passwords, a few at a time: each takes 64 MiB for a moment."""

    def __init__(self) -> None:
        self._room = trio.CapacityLimiter(PASSWORDS_AT_ONCE.limit)

    async def fits(self, account: Account | None, password: str) -> bool:
        """Whether it is this account's password; takes as long where there is no account."""
        return await trio.to_thread.run_sync(_fits, account, password, limiter=self._room)


def _fits(account: Account | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(account.password_hash if account else _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return account is not None
