import socket
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from app.adapters.process.health import Report, application, serve


async def client_of(report: Report) -> TestClient[Any, Any]:
    async def look() -> Report:
        return report

    client: TestClient[Any, Any] = TestClient(TestServer(application(look)))
    await client.start_server()
    return client


async def test_a_process_that_is_not_ready_is_alive_and_says_so():
    client = await client_of(Report(ready=False, detail={"agent": "ingest"}, metrics="x 1\n"))
    async with client:
        assert (await client.get("/health/live")).status == 200
        for path in ("/ready", "/health/ready"):
            assert (await client.get(path)).status == 503
        assert await (await client.get("/health")).json() == {"status": "starting", "agent": "ingest"}
        assert await (await client.get("/metrics")).text() == "x 1\n"


async def test_a_ready_process_answers_200():
    client = await client_of(Report(ready=True, detail={}, metrics=""))
    async with client:
        assert (await client.get("/ready")).status == 200
        assert (await (await client.get("/health")).json())["status"] == "ready"


async def test_a_port_that_is_taken_is_replaced_by_a_free_one():
    async def look() -> Report:
        return Report(ready=True, detail={}, metrics="")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        runner, port = await serve(application(look), "127.0.0.1", taken.getsockname()[1])
        try:
            assert port != taken.getsockname()[1]
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as answer:
                assert answer.status == 200
        finally:
            await runner.cleanup()


async def test_a_process_that_is_stuck_says_why_and_fails_live_only():
    async def look() -> Report:
        return Report(ready=True, detail={}, metrics="")

    async def stuck() -> list[str]:
        return ["t-0 has lag and has not moved for 120 s"]

    client: TestClient[Any, Any] = TestClient(TestServer(application(look, stuck)))
    async with client:
        answer = await client.get("/health/live")
        assert answer.status == 503
        assert await answer.json() == {"status": "stuck", "why": ["t-0 has lag and has not moved for 120 s"]}
        assert (await client.get("/ready")).status == 200
