"""HTTP/2: requests beside each other, and clients that abuse it lose their connection and nothing else."""

from __future__ import annotations

import pytest
import trio
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PriorityFrame, WindowUpdateFrame
from structlog.testing import capture_logs

from protocols.http import HttpLimits
from protocols.http.http2 import ServerSide
from statecharts.bounds import HTTP_CONTROL_FRAMES, HTTP_STREAMS, HTTP_STREAMS_REMEMBERED
from tests.unit.http.h2_client import H2Client, client_of, serving_h2
from tests.unit.http.served import is_alive

BRIEF = HttpLimits(head_timeout_s=0.3, send_timeout_s=0.3, connections_max=2)


async def test_requests_are_answered_beside_each_other() -> None:
    async with serving_h2() as served, client_of(served) as client:
        slow = await client.ask("/slow")
        await served.entered.wait()
        quick = await client.ask("/hello")
        await client.until_ended(quick)
        assert (client.statuses[quick], client.bodies[quick]) == (200, b"hello")
        assert slow not in client.ended
        served.release.set()
        await client.until_ended(slow)
        assert client.bodies[slow] == b"done"


async def test_a_body_arrives_whole_and_so_does_a_long_answer() -> None:
    async with serving_h2() as served, client_of(served) as client:
        sent = await client.ask("/body", "POST", body=bytes(60_000))
        big = await client.ask("/long")
        await client.until_ended(sent, big)
        assert client.bodies[sent] == b"60000"
        assert len(client.bodies[big]) == 1_000_000


async def test_head_is_answered_without_a_body_and_with_no_header_of_http_1() -> None:
    async with serving_h2() as served, client_of(served) as client:
        asked = await client.ask("/hello", "HEAD")
        await client.until_ended(asked)
        assert (client.statuses[asked], client.bodies[asked]) == (200, b"")
        assert "connection" not in client.headers[asked]


async def test_an_answer_that_comes_before_the_body_ends_only_its_stream() -> None:
    async with serving_h2() as served, client_of(served) as client:
        number = client.h2.get_next_available_stream_id()
        head = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", "/unread")]
        client.h2.send_headers(number, head)
        client.h2.send_data(number, bytes(1000))
        await client.flush()
        await client.until_ended(number)
        while number not in client.resets:
            assert await client.listen()
        assert (client.statuses[number], client.bodies[number]) == (401, b"no")
        assert client.resets[number] == ErrorCodes.NO_ERROR
        # What was on its way when the answer came is no offence.
        for _ in range(3):
            await client.stream.send_all(DataFrame(number, data=bytes(100)).serialize())
        asked = await client.ask("/hello")
        await client.until_ended(asked)
        assert client.bodies[asked] == b"hello"


async def test_a_request_that_is_reset_cancels_its_handler_and_its_connection_becomes_idle() -> None:
    async with serving_h2(BRIEF) as served, client_of(served) as client:
        slow = await client.ask("/slow")
        await served.entered.wait()
        client.h2.reset_stream(slow, ErrorCodes.CANCEL)
        await client.flush()
        with trio.fail_after(5):
            await served.cancelled.wait()
        await client.until_closed()
        assert client.goaway is not None
        assert client.goaway.error_code == ErrorCodes.NO_ERROR


async def test_an_idle_connection_is_closed_after_its_time_whatever_pings_it_sends() -> None:
    async with serving_h2(BRIEF) as served, client_of(served) as client:
        with trio.fail_after(5):
            while client.goaway is None and not client.closed:
                client.h2.ping(b"00000000")
                await client._answer()
                with trio.move_on_after(0.05):
                    await client.listen()


async def test_a_client_that_opens_no_window_loses_its_request_after_its_time() -> None:
    async with serving_h2(BRIEF) as served, client_of(served, automatic=False) as client:
        big = await client.ask("/big")
        await client.until_ended(big)
        assert client.resets[big] == ErrorCodes.CANCEL
        assert len(client.bodies[big]) == 65_535
        assert await is_alive(served)


async def test_a_client_that_reads_nothing_is_closed_after_its_time() -> None:
    limits = HttpLimits(send_timeout_s=0.3, connections_per_address_max=1)
    async with serving_h2(limits) as served, client_of(served) as client:
        client.h2.increment_flow_control_window(100_000_000)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100_000_000})
        await client.flush()
        await client.ask("/big")
        await served.entered.wait()
        assert await is_alive(served, "127.0.0.2")
        with trio.fail_after(5):
            while not await _finds_room(served):
                pass


async def _finds_room(served) -> bool:
    try:
        return await is_alive(served)
    except Exception:
        return False


async def _flooded(client: H2Client) -> None:
    """The connection is closed, by word where that was still heard."""
    await client.until_closed()
    if client.goaway is not None:
        assert client.goaway.error_code == ErrorCodes.ENHANCE_YOUR_CALM


async def _reset_rapidly(client: H2Client) -> None:
    number = await client.ask("/slow")
    client.h2.reset_stream(number, ErrorCodes.CANCEL)
    await client.flush()


async def _ping(client: H2Client) -> None:
    client.h2.ping(b"12345678")
    await client.flush()


async def _set(client: H2Client) -> None:
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
    await client.flush()


async def _prioritize(client: H2Client) -> None:
    await client.stream.send_all(PriorityFrame(1001, depends_on=7, stream_weight=3).serialize())


async def _empty_data(client: H2Client) -> None:
    await client.stream.send_all(DataFrame(1).serialize())


FLOODS = {"resets": _reset_rapidly, "pings": _ping, "settings": _set, "priorities": _prioritize, "no data": _empty_data}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_control_frames_ends_its_connection(flood) -> None:
    async with serving_h2() as served, client_of(served) as client:
        head = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", "/body")]
        client.h2.send_headers(client.h2.get_next_available_stream_id(), head)
        await client.flush()
        with capture_logs() as logs:
            try:
                for _ in range(HTTP_CONTROL_FRAMES.limit * 3):
                    await flood(client)
            except trio.BrokenResourceError:
                pass
            await _flooded(client)
        assert await is_alive(served)
        refused = [line["reason"] for line in logs if line["event"] == "http.request_unreadable"]
        assert refused == ["too many control frames"]


async def test_a_head_of_endless_continuations_ends_its_connection() -> None:
    async with serving_h2() as served, client_of(served) as client:
        try:
            await client.stream.send_all(HeadersFrame(1, data=bytes(100)).serialize())
            for _ in range(1000):
                await client.stream.send_all(ContinuationFrame(1, data=bytes(100)).serialize())
        except trio.BrokenResourceError:
            pass
        await client.until_closed()
        assert await is_alive(served)


async def test_a_head_that_is_too_long_ends_its_connection() -> None:
    async with serving_h2() as served, client_of(served) as client:
        await client.ask("/hello", **{f"x-{number}": "y" * 1000 for number in range(20)})
        await client.until_closed()
        assert client.goaway is not None
        assert await is_alive(served)


async def test_a_head_that_does_not_end_is_closed_after_its_time() -> None:
    async with serving_h2(BRIEF) as served, client_of(served) as client:
        await client.ask("/slow")
        await served.entered.wait()
        unfinished = HeadersFrame(3, data=bytes(10_000)).serialize()
        with trio.fail_after(5):
            try:
                for at in range(len(unfinished)):
                    await client.stream.send_all(unfinished[at : at + 1])
                    with trio.move_on_after(0.02):
                        await client.listen()
                    if client.closed:
                        break
            except trio.BrokenResourceError:
                pass
        assert await is_alive(served)


@pytest.mark.parametrize("path", ["/héllo", "*", "http://["])
async def test_a_path_that_is_none_is_answered_400_and_harms_no_other_request(path: str) -> None:
    async with serving_h2() as served, client_of(served) as client:
        wrong = await client.ask(path)
        right = await client.ask("/hello")
        await client.until_ended(wrong, right)
        assert client.statuses == {wrong: 400, right: 200}


async def test_connect_opens_no_tunnel() -> None:
    async with serving_h2() as served, client_of(served) as client:
        number = client.h2.get_next_available_stream_id()
        client.h2.send_headers(number, [(":method", "CONNECT"), (":authority", "x")], end_stream=True)
        await client.flush()
        await client.until_ended(number)
        assert client.statuses[number] == 400
        assert await is_alive(served)


async def test_more_streams_than_agreed_end_the_connection() -> None:
    async with serving_h2() as served, client_of(served) as client:
        await client.until_ended(await client.ask("/hello"))
        assert client.h2.remote_settings.max_concurrent_streams == HTTP_STREAMS.limit
        client.h2.remote_settings._settings[SettingCodes.MAX_CONCURRENT_STREAMS].append(1000)
        client.h2.remote_settings.acknowledge()
        try:
            for _ in range(HTTP_STREAMS.limit + 1):
                await client.ask("/slow")
        except trio.BrokenResourceError:
            pass
        await client.until_closed()
        assert await is_alive(served)


async def test_what_comes_late_for_a_stream_that_is_forgotten_is_no_offence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HTTP_STREAMS_REMEMBERED.limit == ServerSide.MAX_CLOSED_STREAMS
    monkeypatch.setattr(ServerSide, "MAX_CLOSED_STREAMS", 5)
    async with serving_h2() as served, client_of(served) as client:
        for _ in range(20):
            await client.until_ended(await client.ask("/hello"))
        await client.stream.send_all(WindowUpdateFrame(1, window_increment=5).serialize())
        asked = await client.ask("/hello")
        await client.until_ended(asked)
        assert client.bodies[asked] == b"hello"


async def test_draining_says_goodbye_and_finishes_what_is_in_flight() -> None:
    async with serving_h2() as served, client_of(served) as idle, client_of(served) as busy:
        slow = await busy.ask("/slow")
        await served.entered.wait()
        served.draining.set()
        await idle.until_closed(2)
        assert idle.goaway is not None
        late = await busy.ask("/hello")
        await busy.until_ended(late)
        assert busy.resets[late] == ErrorCodes.REFUSED_STREAM
        served.release.set()
        await busy.until_closed(2)
        assert busy.bodies[slow] == b"done"
        assert busy.goaway is not None
        assert busy.goaway.error_code == ErrorCodes.NO_ERROR


async def test_a_handler_that_fails_ends_its_own_stream_only() -> None:
    async with serving_h2() as served, client_of(served) as client:
        cut = await client.ask("/cut")
        await client.until_ended(cut)
        assert client.resets[cut] == ErrorCodes.INTERNAL_ERROR
        asked = await client.ask("/hello")
        await client.until_ended(asked)
        assert client.bodies[asked] == b"hello"
