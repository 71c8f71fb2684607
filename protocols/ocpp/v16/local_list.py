"""OCPP 1.6 local authorisation list: sections 3.5.2, 5.10 and 5.15."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present
from protocols.ocpp.v16.fields import read_id_tag_info, write_id_tag_info
from statecharts.station_commands import GetLocalListVersion, LocalListEntry, SendLocalList


def _write_list(order: SendLocalList) -> Content:
    if order.update == "Full" and any(entry.id_tag_info is None for entry in order.entries):
        raise msgspec.ValidationError("an entry without id_tag_info is taken out by a Differential update only")
    return present(
        listVersion=order.version,
        updateType=order.update,
        localAuthorizationList=[_write_entry(entry) for entry in order.entries] or None,
    )


def _write_entry(entry: LocalListEntry) -> Content:
    return present(idTag=entry.id_tag, idTagInfo=write_id_tag_info(entry.id_tag_info))


def _read_list(payload: Any) -> SendLocalList:
    return SendLocalList(
        version=payload.listVersion,
        update=payload.updateType,
        entries=tuple(
            LocalListEntry(id_tag=entry.idTag, id_tag_info=read_id_tag_info(entry.idTagInfo))
            for entry in given(payload.localAuthorizationList) or ()
        ),
    )


COMMANDS = (
    command("SendLocalList", SendLocalList, _write_list, _read_list),
    command("GetLocalListVersion", GetLocalListVersion, lambda order: {}, lambda payload: GetLocalListVersion()),
)
