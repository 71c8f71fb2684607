"""The node as tools of others find it: its API as its document says, and cases of the OCPP test tool by their ids."""
