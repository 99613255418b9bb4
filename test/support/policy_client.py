"""Has a minimal client of openpi's websocket protocol, written from its description, and a server in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np
from websockets.sync.client import ClientConnection, connect

from chunk_ppo_ros.agent.serving.server import PolicyServer

TIMEOUT = 60.0


def encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}


def decode(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        return np.ndarray(value[b"shape"], np.dtype(value[b"dtype"]), value[b"data"])
    return value


def packed(message: Any) -> bytes:
    return msgpack.packb(message, default=encode)


class PolicyClient:
    """A connection to a server, with the metadata that it sent first."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.metadata = self.receive()

    def receive(self) -> Any:
        """Returns the next message: a text as it is, and bytes unpacked."""
        message = self.connection.recv(timeout=TIMEOUT)
        return message if isinstance(message, str) else msgpack.unpackb(message, object_hook=decode)

    def infer(self, message: Any) -> Any:
        self.connection.send(packed(message))
        return self.receive()


@contextlib.contextmanager
def connected(port: int) -> Iterator[PolicyClient]:
    """Connects to a server on this machine."""
    with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None, open_timeout=TIMEOUT) as connection:
        yield PolicyClient(connection)


@contextlib.contextmanager
def serving(
    answer: Callable[[bytes], dict[str, object]], metadata: dict[str, object], lines: list[str]
) -> Iterator[int]:
    """Runs a server in a thread, and yields its port."""
    listening: dict[str, Any] = {}
    is_up = threading.Event()

    async def run() -> None:
        listening["loop"], listening["stop"] = asyncio.get_running_loop(), asyncio.Event()

        def on_listening(port: int) -> None:
            listening["port"] = port
            is_up.set()

        server = PolicyServer(answer, metadata=metadata, report=lines.append)
        await server.run("127.0.0.1", 0, stop=listening["stop"], on_listening=on_listening)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert is_up.wait(TIMEOUT)
        yield listening["port"]
    finally:
        listening["loop"].call_soon_threadsafe(listening["stop"].set)
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def observation(**changes: Any) -> dict[str, Any]:
    """Returns what openpi's ALOHA client sends, with changes. A change to None leaves the key out."""
    pictures = {name: np.full((3, 8, 8), 100, np.uint8) for name in ("cam_high", "cam_left_wrist", "cam_right_wrist")}
    message = {"state": np.linspace(0.0, 0.5, 14), "images": pictures, **changes}
    return {key: value for key, value in message.items() if value is not None}
