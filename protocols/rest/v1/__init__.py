"""The API of today, under `/api/v1`: for user apps (`apps`, `events`) and for operators (`operators`, `commands`).

JSON in snake_case with units in the names, times in RFC 3339 UTC, errors as RFC 9457 problem+json, bearer tokens.
"""
