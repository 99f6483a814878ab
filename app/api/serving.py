"""The process of `llm-optimizer serve`: the read model and its feed, the snapshot for draws, REST, gRPC; in order."""

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from app.adapters.codec.avro import AvroReader, use
from app.adapters.kafka.admin import AdminError, KafkaAdmin, check, refusal
from app.adapters.kafka.command_log import CommandLog
from app.adapters.kafka.connection import aiokafka_connection
from app.adapters.kafka.options import EXIT_BROKER, EXIT_TOPICS
from app.adapters.kafka.wait import NoBrokerError, wait_for_broker
from app.adapters.process.folder import EXIT_FOLDER, FolderError, make_usable
from app.adapters.readmodel.feed import Feed
from app.adapters.readmodel.file import FileError, Held, open_model
from app.adapters.readmodel.model import Model
from app.adapters.readmodel.store import StoreError
from app.api.auth import Authenticator
from app.api.context import Parts
from app.api.events_in import EventsIn
from app.api.hub import Hub
from app.api.keys import KeysError
from app.api.limits import Guards
from app.api.orders import Orders
from app.api.routes import ROUTES
from app.api.rpc.server import RpcServer
from app.api.select import Selector
from app.api.server import Server
from app.api.tokens import TokenError
from app.factory import registry_of
from app.settings import Settings

log = logging.getLogger(__name__)

SOURCE = "/llm-optimizer/api"
REFRESH_S = 1.0
SWITCH_S = 0.000_5
"""The feed and questions run in threads beside the loop that answers: it waits for them no longer than this."""
EXIT_SETTINGS = 78
EXIT_PORT = 1


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM: exit code 0; 5 no broker, 7 topics, 78 settings or a folder, 1 a port that is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        auth = Authenticator(settings.api)
        make_usable(Path(settings.state.dir), "state.dir")
        await wait_for_broker(aiokafka_connection(settings.kafka), settings.kafka.broker_wait_s)
        held = await asyncio.to_thread(_open, settings)
    except (KeysError, TokenError, OSError) as error:
        return _failed(EXIT_SETTINGS, f"api: {error}")
    except FolderError as error:
        return _failed(EXIT_FOLDER, str(error))
    except NoBrokerError as error:
        return _failed(EXIT_BROKER, str(error))
    except StoreError as error:
        return _failed(EXIT_SETTINGS, str(error))
    except (AdminError, FileError) as error:
        return _failed(EXIT_TOPICS, str(error))
    if isinstance(held, str):
        return _failed(EXIT_TOPICS, held)
    try:
        return await _serve(settings, held, auth, stop)
    finally:
        held.close()


async def _serve(settings: Settings, held: Held, auth: Authenticator, stop: asyncio.Event) -> int:
    model, feed, events = Model(held.store), Feed(settings, held.store), EventsIn(settings)
    orders = Orders(CommandLog(settings, source=SOURCE), model)
    guards = Guards(settings.api.max_connections, settings.api.request_timeout_s)
    parts = Parts(settings, model, feed, orders, events, Selector(model), guards, Hub(model))
    server = Server(parts, ROUTES, auth)
    sys.setswitchinterval(SWITCH_S)
    feed.start()
    refreshing = asyncio.create_task(_refresh(parts, stop))
    runner = listening = rpc = None
    try:
        runner, listening, port = await server.listen(settings.api.host, settings.api.port)
        scheme = "https" if settings.api.tls_certfile else "http"
        log.info("api: %s://%s:%d (%s), read model %s", scheme, settings.api.host, port, settings.api.auth, held.place)
        if settings.api.grpc_port >= 0:
            rpc = RpcServer(parts, auth)
            log.info("grpc: %s:%d", settings.api.host, await rpc.start(settings.api.host, settings.api.grpc_port))
        await stop.wait()
    except OSError as error:
        why = f"api: cannot listen on {settings.api.host}: {error}; set api.port and api.grpc_port"
        return _failed(EXIT_PORT, why)
    finally:
        stop.set()
        if rpc is not None:
            await rpc.stop()
        if listening is not None and runner is not None:
            listening.close()
            await runner.cleanup()
        await refreshing
        await asyncio.to_thread(feed.stop)
        await asyncio.to_thread(events.close)
    return 0


async def _refresh(parts: Parts, stop: asyncio.Event) -> None:
    """Keep the snapshot of splits fresh."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(parts.selector.refresh)
        except Exception:
            log.exception("the snapshot of splits stays as it was")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REFRESH_S)


def _open(settings: Settings) -> Held | str:
    use(AvroReader(registry_of(settings)))  # a registry that is down stops the feed, which tries again
    wrong = check(settings, KafkaAdmin(settings))
    return f"the topics are not as they must be:\n{refusal(wrong)}" if wrong else open_model(settings)


def _failed(code: int, why: str) -> int:
    log.critical("%s", why)
    return code
