"""The app of one of the partner's users, at Motown's Source API (sv1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from protocols.verify.conversation import Conversation, Mask
from protocols.verify.options import AppAccess, Options
from protocols.verify.partner import Pace

MEDIA_TYPE = "application/vnd.io.motown.mobi-europe-source-api-v1+json"


@dataclass(frozen=True, slots=True)
class AppReply:
    """What the app was answered; `status` 0 is no answer at all."""

    status: int
    content: Any

    @property
    def ok(self) -> bool:
        return self.status == 200 and "responseError" not in self._object

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
        return f"HTTP {self.status} {self.content}" if self.status else "not at all"


class UserApp:
    """Asks as the user; everything is written down. `verify` is as httpx takes it."""

    def __init__(self, options: Options, access: AppAccess, pace: Pace, mask: Mask) -> None:
        self._options, self._access, self._pace, self._mask = options, access, pace, mask
        self._client = httpx.AsyncClient(
            verify=options.tls or True,
            timeout=options.patience_s,
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
            answer = await self._client.post(url, content=body, headers=headers)
        except httpx.HTTPError as error:
            talk.say(f"app: {what}", sent, type(error).__name__)
            return AppReply(0, None)
        talk.say(f"app: {what}", sent, self._mask.message(f"HTTP {answer.status_code}", answer.headers, answer.content))
        return AppReply(answer.status_code, _read(answer.content))


def _read(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
