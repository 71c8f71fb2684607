"""What a verification calls its users and requests, so that a later one knows what this one has left open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from statecharts.vocabulary import EndTransaction, NotifyRequestResult, RoamingRequest, TransactionProgressUpdate

RUN_CHARACTERS = 6
ASKED_BY_US = "76657269"
"""What all requestIdentifiers begin with that a verification makes: "veri"."""


@dataclass(slots=True)
class Names:
    """The names of one run at a Destination. Users are named after `user` and the run, so that what an earlier
    verification has left open at the partner counts against users of its own.
    """

    user: str
    new_id: Callable[[], str]
    users: int = 0
    asked: set[str] = field(default_factory=set)
    run: str = field(init=False)

    def __post_init__(self) -> None:
        self.run = self.new_id()[:RUN_CHARACTERS]

    def next_user(self) -> str:
        self.users += 1
        return f"{self.user}-{self.run}-{self.users}"

    def next_request(self) -> str:
        """A requestIdentifier of this run."""
        identifier = ASKED_BY_US + self.new_id()[len(ASKED_BY_US) :]
        self.asked.add(identifier)
        return identifier

    def is_of_before(self, request: RoamingRequest) -> bool:
        """Whether this is about what an earlier verification has asked for."""
        if isinstance(request, NotifyRequestResult):
            return request.request_identifier.startswith(ASKED_BY_US) and request.request_identifier not in self.asked
        if isinstance(request, EndTransaction | TransactionProgressUpdate):
            user = request.transaction_data.user_identifier or ""
            return user.startswith(f"{self.user}-") and not user.startswith(f"{self.user}-{self.run}-")
        return False
