"""What gateways fetch is answered by the process that has it, as if it had been asked itself."""

import aiohttp
from aiohttp import web

from app.adapters.process.forward import hand_on
from app.adapters.process.supervisor import Child


async def served(aiohttp_client, child):
    app = web.Application()
    async with aiohttp.ClientSession() as made:
        hand_on(app, made, "127.0.0.1", lambda: child)
        client = await aiohttp_client(app)
        headers = {"Authorization": "HMAC-SHA256 x", "If-None-Match": '"e"', "X-Agent-ID": "me"}
        answer = await client.get("/v1/desired/a%20b%2Fc?wait_s=0", headers=headers)
        return answer.status, await answer.json(), answer.headers


async def test_path_query_and_what_proves_the_caller_arrive_unchanged(aiohttp_client, aiohttp_server):
    async def echo(request):
        seen = {name: request.headers[name] for name in ("Authorization", "If-None-Match", "X-Agent-ID")}
        return web.json_response({"raw": request.raw_path, **seen}, headers={"ETag": '"n"', "X-Signature": "s"})

    behind = web.Application()
    behind.router.add_get("/v1/desired/{service}", echo)
    child = Child("actuate", ["x"])
    child.port = (await aiohttp_server(behind)).port
    status, body, headers = await served(aiohttp_client, child)
    assert (status, headers["ETag"], headers["X-Signature"]) == (200, '"n"', "s")
    assert body == {
        "raw": "/v1/desired/a%20b%2Fc?wait_s=0", "Authorization": "HMAC-SHA256 x", "If-None-Match": '"e"', "X-Agent-ID": "me",
    }  # fmt: skip


async def test_without_the_process_it_is_503_with_the_reason(aiohttp_client):
    assert (await served(aiohttp_client, None))[:2] == (503, {"status": 503, "detail": "this worker runs no actuate"})
    starting = Child("actuate", ["x"])
    assert (await served(aiohttp_client, starting))[0] == 503
    starting.port = 1
    status, body, headers = await served(aiohttp_client, starting)
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "does not answer" in body["detail"]
