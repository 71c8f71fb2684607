"""REST for user apps and operators: Motown's two MOBI.Europe APIs (sv1, dv1) and our own (v1)."""

from protocols.rest.app import make_app

__all__ = ["make_app"]
