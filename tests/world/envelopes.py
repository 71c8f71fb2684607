"""What a SOAP envelope says, for the eye."""

from __future__ import annotations

import re

_BODY = re.compile(r"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)")
_NAMES = "authorizationIdentifier|requestIdentifier|requestSuccess|errorCode|value"
_NAMED = re.compile(rf"<(?:[\w-]+:)?({_NAMES})>([^<]*)<")


def soap_names(body: str) -> str:
    """The operation in an envelope, and the identifiers that it carries; empty for what is no envelope."""
    operation = _BODY.search(body)
    if operation is None:
        return ""
    named = dict(_NAMED.findall(body))
    return " ".join([operation[1], *(f"{name}={value}" for name, value in named.items())])
