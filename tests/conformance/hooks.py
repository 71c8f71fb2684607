"""A check of our own: a request that the document allows is never said not to fit."""

from __future__ import annotations

import json
import re
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
    if any(_is_no_instant(case.body, error) for error in answer.get("errors", ())):
        return  # deep inside a body, Schemathesis sends the empty text for an instant, whatever the schema says
    words = answer.get("responseError", {}).get("errorMsg", "")
    assert answer.get("kind") not in UNFIT, f"refused as {answer['kind']}: {answer['detail']}"
    assert not words.startswith("The request does not fit"), words


def _is_no_instant(body: Any, error: dict[str, str]) -> bool:
    """Whether what is wrong is an empty text in place of an instant."""
    if error["reason"] != "Invalid RFC3339 encoded datetime":
        return False
    for step in re.findall(r"\w+", error["field"]):
        body = body[int(step) if step.isdecimal() else step]
    return body == ""
