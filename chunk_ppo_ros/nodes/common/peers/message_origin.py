"""Hands to a callback also which publisher sent a message, and when."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class MessageOrigin:
    """Says where a message comes from.

    Attributes:
        publisher: the id of the publisher, which is `endpoint_gid` where the graph lists it. It is empty where rclpy
            does not tell it, as in releases before Kilted.
        sent: when the message was sent, ns of the system clock of the sender's machine; 0 where it is not known.
        received: when the middleware received it, ns of the system clock; 0 where it is not known.
    """

    publisher: bytes = b""
    sent: int = 0
    received: int = 0


class WithOrigin:
    """The callback of a subscription that wants a `MessageOrigin` beside the message.

    rclpy looks at the signature of a callback to learn whether it takes one argument or two. An executor hands over
    the two as two arguments, but rclpy's EventsExecutor (9.1) as one tuple. Both are understood here.

    Args:
        on_message: is called with each message and its origin.
    """

    __signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("message", "message_info")]
    )

    def __init__(self, on_message: Callable[[Any, MessageOrigin], None]) -> None:
        self.take = on_message
        """Takes a message and its origin."""

    def __call__(self, *received: Any) -> None:
        """Takes a message with what rclpy knows of it."""
        message, info = received[0] if len(received) == 1 else received
        publisher = bytes(info.get("publisher_gid", {}).get("data", b""))
        self.take(message, MessageOrigin(publisher, info["source_timestamp"], info.get("received_timestamp", 0)))
