"""A check of our own: a request that the document allows is never said not to fit."""

from __future__ import annotations

import json
from typing import Any

import schemathesis

UNFIT = {"invalid-request", "malformed-json", "not-utf-8", "invalid-idempotency-key", "invalid-last-event-id"}


@schemathesis.check
def nothing_allowed_is_unfit(_: Any, response: Any, case: Any) -> None:
    """Fails for a 400 that blames the request though all of it is as the document says."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not positive or response.status_code != 400:
        return
    answer = json.loads(response.content)
    words = answer.get("responseError", {}).get("errorMsg", "")
    assert answer.get("kind") not in UNFIT, f"refused as {answer['kind']}: {answer['detail']}"
    assert not words.startswith("The request does not fit"), words
