"""The websocket server of openpi's protocol. It knows no model: a function answers each request.

A client gets the metadata first, and then an answer to each request. Requests of all clients are answered one at a
time, in the order in which they come. A request that cannot be answered gets the reason as a text, and the connection
is closed with the code 1011, as openpi's server does it; the server goes on. `GET /healthz` answers OK.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import http
import logging
import socket
import time
import traceback
from collections.abc import Callable, Mapping

from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from chunk_ppo_ros.agent.serving.latencies import Latencies
from chunk_ppo_ros.agent.serving.served_policy import Answer
from chunk_ppo_ros.agent.serving.wire_format import MessageError, pack
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.core.units import MEBIBYTE

MAX_MESSAGE = 64 * MEBIBYTE
"""The largest message that is read, bytes. Four images of 4K have 95 MiB, four of ALOHA's 3.5 MiB."""
_REASON = "the reason is in the message before"


class PolicyServer:
    """Serves requests until it is told to stop.

    Args:
        answer: returns the answer to the bytes of a request; raises MessageError or UserError with a text for the
            client. It is called in a thread, one request at a time.
        metadata: what each client gets first.
        report: is called with each line for the person at the server.

    Attributes:
        latencies: the latencies of all answers, from a request to its answer, waiting included.
    """

    def __init__(
        self,
        answer: Callable[[bytes], Answer],
        *,
        metadata: Mapping[str, object],
        report: Callable[[str], object],
    ) -> None:
        self._answer, self._metadata, self._report = answer, metadata, report
        self._executor = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy")
        self.latencies = Latencies()

    async def run(
        self, host: str, port: int, *, stop: asyncio.Event, on_listening: Callable[[int], object] = lambda port: None
    ) -> None:
        """Serves until `stop` is set. Clients that are connected then are told so.

        Args:
            host: the address or name that is listened on.
            port: the port; 0 takes a free one.
            stop: ends the server.
            on_listening: is called with the port when clients can connect.

        Raises:
            SettingError: where the address cannot be listened on.
        """
        logger = logging.Logger("chunk_ppo_ros.serving", logging.WARNING)
        logger.addHandler(_Reporter(self._report))
        try:
            server = await serve(
                self._serve_client,
                host,
                port,
                compression=None,
                max_size=MAX_MESSAGE,
                process_request=_answer_health,
                logger=logger,
            )
        except OSError as error:
            self._executor.shutdown()
            raise SettingError(_why_not(error, host, port)) from error
        try:
            on_listening(next(iter(server.sockets)).getsockname()[1])
            await stop.wait()
        finally:
            server.close()
            await server.wait_closed()
            self._executor.shutdown()

    async def _serve_client(self, connection: ServerConnection) -> None:
        name = "{}:{}".format(*connection.remote_address[:2])
        latencies = Latencies()
        self._report(f"client {name} is connected")
        try:
            await connection.send(pack(self._metadata))
            async for message in connection:
                if not await self._serve_request(connection, message, latencies, name):
                    break
        except ConnectionClosed:
            pass  # The line below says that the client has left.
        self._report(f"client {name} has left after {latencies}")

    async def _serve_request(
        self, connection: ServerConnection, message: str | bytes, latencies: Latencies, name: str
    ) -> bool:
        """Answers a request. Returns whether the connection goes on."""
        begin = time.monotonic()
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._executor, self._answer, _binary(message))
            milliseconds = 1e3 * (time.monotonic() - begin)
            packed = pack({**answer, "server_timing": {"infer_ms": milliseconds}})
        except (MessageError, UserError) as error:
            return await self._refuse(connection, name, str(error), str(error))
        except Exception as error:  # A fault of the program. The client gets its traceback, and the others are served.
            return await self._refuse(connection, name, traceback.format_exc(), f"{type(error).__name__}: {error}")
        await connection.send(packed)
        for log in (latencies, self.latencies):
            log.add(milliseconds)
        return True

    async def _refuse(self, connection: ServerConnection, name: str, text: str, line: str) -> bool:
        self._report(f"client {name} is refused: {line}")
        await connection.send(text)
        await connection.close(CloseCode.INTERNAL_ERROR, _REASON)
        return False


async def check_can_listen(host: str, port: int) -> None:
    """Listens on an address for a moment, so that a port that is taken is known before a policy is loaded.

    Raises:
        SettingError: where the address cannot be listened on.
    """
    try:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), host, port)
    except OSError as error:
        raise SettingError(_why_not(error, host, port)) from error
    server.close()
    await server.wait_closed()


class _Reporter(logging.Handler):
    """Makes one line of each error that the library logs."""

    def __init__(self, report: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._report(f"a connection failed: {record.getMessage()}{f' ({error})' if error else ''}")


def _answer_health(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(http.HTTPStatus.OK, "OK\n") if request.path == "/healthz" else None


def _binary(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise MessageError("a request must be a binary message packed by msgpack, got a text")
    return message


def _why_not(error: OSError, host: str, port: int) -> str:
    """Returns why an address cannot be listened on, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"the port must be free, got {port}, on which another program listens at {host}; end that program, or take "
            "another port by --port"
        )
    if error.errno == errno.EACCES:
        return f"the port must be one that you may listen on, got {port}; take one above 1023 by --port"
    what = error.strerror if not isinstance(error, socket.gaierror) else error.args[1]
    return f"the address must be one of this machine, got {host}: {what}; set --host"
