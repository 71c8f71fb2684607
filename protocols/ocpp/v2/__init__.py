"""What OCPP 2.0.1 and 2.1 share: their typed exchanges, one file per functional block of the specification.

MOBI.Europe's connectorIdentifier, and `connector_id` in our own words, is the EVSE's id: one EVSE charges one car at a
time. A plug of an EVSE matters only where the specification asks for one: it is then the first.
"""
