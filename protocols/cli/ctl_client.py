"""How `node.py ctl` speaks to a node: requests, pages and events, and what is wrong in words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from protocols.cli.starter import CannotRun, Unreachable

PAGE_ITEMS = 200
"""How many items a page of the API may have."""

ANSWER_S = 100.0
"""Longer than a node waits for the slowest of what it asks others."""

KEEP_ALIVE_S = 60.0
"""An event stream says something every 15 s."""

Document = dict[str, Any]


class Node:
    """The operator's API of one node. Raises `CannotRun` for what it refuses, `Unreachable` where there is none."""

    def __init__(self, url: str, token: str, authorities: Path | None = None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"}
        verify = ssl.create_default_context(cafile=authorities) if authorities else True
        self._client = httpx.Client(
            base_url=self._url, headers=headers, timeout=ANSWER_S, trust_env=False, verify=verify
        )

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """What the node answers; None where that is nothing. A body of bytes is a CSV."""
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        kind = "text/csv" if content is body else "application/json"
        headers = {} if content is None else {"Content-Type": kind}
        try:
            response = self._client.request(method, path, params=query or {}, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise CannotRun(_refusal(response))
        return self._read(response) if response.content else None

    def items(self, path: str, query: Mapping[str, str], limit: int) -> tuple[list[Document], bool]:
        """The first items of a list, over as many pages as that takes, and whether there are more."""
        found: list[Document] = []
        cursor: str | None = None
        while True:
            asked = {**query, "limit": str(min(PAGE_ITEMS, limit - len(found)))}
            page = self.ask("GET", path, asked | ({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None or len(found) >= limit:
                return found, cursor is not None

    def events(self, path: str, query: Mapping[str, str], last: str | None) -> Iterator[tuple[str | None, Document]]:
        """What a stream tells, each with the id to go on after, until it ends."""
        timeout = httpx.Timeout(ANSWER_S, read=KEEP_ALIVE_S)
        headers = {"Last-Event-ID": last} if last else {}
        try:
            with self._client.stream("GET", path, params=dict(query), headers=headers, timeout=timeout) as response:
                if response.status_code != 200:
                    response.read()
                    raise CannotRun(_refusal(response))
                yield from _events(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def file(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """The bytes of a file as they come."""
        try:
            with self._client.stream("GET", path, params=dict(query)) as response:
                if response.is_error:
                    response.read()
                    raise CannotRun(_refusal(response))
                yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _read(self, response: httpx.Response) -> Any:
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            raise CannotRun(f"{self._url} is no node of ours: it answered what is no JSON") from None

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        return Unreachable(f"{self._url} does not answer: {error or type(error).__name__}")


def _events(lines: Iterator[str]) -> Iterator[tuple[str | None, Document]]:
    """Server-Sent Events: those with data, and the newest id by then."""
    last: str | None = None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "id":
            last = value.strip()
        elif name == "data" and value.strip() != "{}":
            yield last, msgspec.json.decode(value)


def _refusal(response: httpx.Response) -> str:
    """The problem in one line, with each field that is wrong."""
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return f"{response.status_code}: {response.text[:200]}"
    trace = f" (correlation id {problem['correlation_id']})" if problem.get("correlation_id") else ""
    return f"{response.status_code} {problem.get('kind', '')}: {problem.get('detail', '')}{trace}"
