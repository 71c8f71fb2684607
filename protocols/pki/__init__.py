"""Certificates of charging stations: what a request for one must be, and who signs it (RFC 2986, 5280)."""
