"""Plain HTTP towards the partner: what is waited for and what is read is bounded, whatever comes back."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx
import trio

from statecharts.limits import PEER_ANSWER


class Fetched(NamedTuple):
    """An answer; `body` is no more of it than any answer of a partner may have, `whole` whether that is all."""

    status: int
    headers: httpx.Headers
    body: bytes
    whole: bool

    @property
    def media_type(self) -> str:
        return media_type_of(self.headers.get("content-type", ""))


class NotFetched(Exception):
    """There is no answer, for this reason."""


async def fetch(client: httpx.AsyncClient, method: str, url: str, patience_s: float, **given: Any) -> Fetched:
    """What is answered, head and body, within this time; `given` is as httpx takes it. Raises `NotFetched`."""
    content = bytearray()
    try:
        with trio.fail_after(patience_s):
            async with client.stream(method, url, **given) as answer:
                with trio.CancelScope() as enough:  # where a break would leave httpx's generators to the collector
                    async for part in answer.aiter_bytes():
                        content += part
                        if len(content) > PEER_ANSWER.limit:
                            enough.cancel()
    except trio.TooSlowError as error:
        raise NotFetched(f"is not answered within {patience_s:g} s") from error
    except httpx.HTTPError as error:
        raise NotFetched(f"cannot be reached: {str(error) or type(error).__name__}") from error
    whole = len(content) <= PEER_ANSWER.limit
    return Fetched(answer.status_code, answer.headers, bytes(content[: PEER_ANSWER.limit]), whole)


def media_type_of(content_type: str) -> str:
    """For people: the media type without its parameters."""
    return content_type.partition(";")[0].strip() or "no media type"
