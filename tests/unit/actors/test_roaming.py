"""A whole roaming transaction between two operators, on virtual time."""

from __future__ import annotations

import trio

from statecharts.station_commands import RemoteStartTransaction, RemoteStopTransaction
from statecharts.station_reports import ConnectorStatus
from tests.support.house import APP, StationLine, link, open_house


async def test_a_driver_charges_at_another_operators_station_and_both_hold_the_same_charge_record(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_house("NL-MOT", nursery) as home, open_house("IE-001", nursery) as local:
        link(home, local)
        station = StationLine(local, "CS01")
        await station.come_online()

        view = await home.authorize("IE-001")
        name = view.authorization_identifier
        assert view.state == "Ready" and name is not None

        await home.source.start(APP, view.transaction_id, None)
        await local.until(f"destination/{name}", "StartTxRequested")
        assert station.commands == [RemoteStartTransaction(id_tag=name, connector_id=1)]

        answer = await station.start(name)
        assert answer.id_tag_info.status == "Accepted"
        await home.until(f"source/{view.transaction_id}", "TxRunning")
        await station.meter(answer.transaction_id, 1_500)

        await home.source.stop(APP, view.transaction_id, None)
        await local.until(f"destination/{name}", "StopTxRequested")
        assert station.commands[1:] == [RemoteStopTransaction(transaction_id=answer.transaction_id)]
        await station.stop(answer.transaction_id, 4_200, reason="Remote")
        await station.status(1, ConnectorStatus.AVAILABLE)

        await home.until(f"source/{view.transaction_id}", "Settled")
        await local.until(f"destination/{name}", "Settled")
        (received,), (made,) = (
            (await home.operator.cdrs()).items,
            (await local.operator.cdrs()).items,
        )
        assert received.cdr_id == made.cdr_id == f"IE-001/{name}"
        assert received.energy_wh == made.energy_wh == 3_200
