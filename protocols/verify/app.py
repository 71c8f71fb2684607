"""The app of one of the partner's users, at Motown's Source API (sv1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from protocols.verify.conversation import Conversation, Mask
from protocols.verify.fetching import Fetched, NotFetched, fetch
from protocols.verify.options import AppAccess, CannotVerify, Options
from protocols.verify.partner import Pace
from statecharts.limits import PEER_ANSWER

MEDIA_TYPE = "application/vnd.io.motown.mobi-europe-source-api-v1+json"


@dataclass(frozen=True, slots=True)
class AppReply:
    """What the app was answered; `status` 0 is no answer at all, and `trouble` says why it cannot be read."""

    status: int
    content: Any = None
    trouble: str = ""

    @property
    def readable(self) -> bool:
        """Whether it is an answer of the API: a refusal by HTTP alone, or an object of JSON."""
        return 400 <= self.status < 500 or (0 < self.status < 400 and isinstance(self.content, dict))

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.readable and "responseError" not in self._object

    @property
    def authorization_identifier(self) -> str:
        """The one that was granted, "" if none was."""
        response = self._object.get("response")
        return str(response.get("authorizationIdentifier") or "") if isinstance(response, dict) else ""

    @property
    def state(self) -> str:
        """The session's state, "" if none is shown."""
        machine = self._object.get("sessionStateMachine")
        return str(machine.get("state", "")) if isinstance(machine, dict) else ""

    @property
    def _object(self) -> dict[str, Any]:
        return self.content if isinstance(self.content, dict) else {}

    def __str__(self) -> str:
        if not self.status:
            return f"not at all: {self.trouble}"
        return f"HTTP {self.status} {self.trouble or self.content}"


class UserApp:
    """Asks as the user; everything is written down.

    Asking raises `CannotVerify` where the app's token is not let in at the first request.
    """

    def __init__(self, options: Options, access: AppAccess, pace: Pace, mask: Mask) -> None:
        self._options, self._access, self._pace, self._mask = options, access, pace, mask
        self._known = False
        self._client = httpx.AsyncClient(
            verify=options.tls or True,
            timeout=None,  # the whole of an exchange has its bound, in `fetch`
            headers={"Authorization": f"Bearer {access.token}"},
            trust_env=False,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def authorize(self, talk: Conversation) -> AppReply:
        options = self._options
        names = {
            "pmsIdentifier": options.partner_pms,
            "servicePms": options.own_pms,
            "userIdentifier": self._access.user,
            "localServiceIdentifier": options.service,
            "connectorIdentifier": str(options.connector),
            "serviceTypeIdentifier": "EV_CHARGING",
        }
        return await self._ask(talk, "authorize", msgspec.json.encode(names), MEDIA_TYPE)

    async def start(self, talk: Conversation, name: str) -> AppReply:
        return await self._named(talk, "requestStartTransaction", name)

    async def stop(self, talk: Conversation, name: str) -> AppReply:
        return await self._named(talk, "requestStopTransaction", name)

    async def session(self, talk: Conversation, name: str) -> AppReply:
        return await self._ask(talk, "session", name.encode(), "text/plain")

    async def _named(self, talk: Conversation, what: str, name: str) -> AppReply:
        return await self._ask(talk, what, msgspec.json.encode({"authorizationIdentifier": name}), MEDIA_TYPE)

    async def _ask(self, talk: Conversation, what: str, body: bytes, media_type: str) -> AppReply:
        await self._pace.turn()
        url, headers = f"{self._access.url.rstrip('/')}/{what}", {"Content-Type": media_type}
        sent = self._mask.message(f"POST {url}", headers, body)
        try:
            answer = await fetch(self._client, "POST", url, self._options.patience_s, content=body, headers=headers)
        except NotFetched as error:
            talk.say(f"app: {what}", sent, f"it {error}")
            return AppReply(0, trouble=f"it {error}")
        talk.say(f"app: {what}", sent, self._mask.message(f"HTTP {answer.status}", answer.headers, answer.body))
        if not self._known and answer.status in (401, 403):
            raise CannotVerify(f"{url} does not let the app in: HTTP {answer.status} with the token given")
        self._known = True
        return _read(answer)


def _read(answer: Fetched) -> AppReply:
    try:
        return AppReply(answer.status, msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        what = "which is no JSON" if answer.whole else f"of more than {PEER_ANSWER.limit} bytes"
        return AppReply(answer.status, trouble=f"with {answer.media_type}, {what}")
