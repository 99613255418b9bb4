"""Reads the first fields of serialized messages, without deserializing the rest."""

from __future__ import annotations

import dataclasses
import struct

from chunk_ppo_ros.core.units import NANOSECONDS

_ENCAPSULATION = 4  # bytes before the first field of a serialized message; positions are counted after them


class HeadReader:
    """Reads one field after another, each of which is padded to its own size.

    Args:
        raw: the serialized message. The rest of it may be missing or damaged.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._order = "<" if raw[1] & 1 else ">"
        self._position = 0

    def number(self, code: str) -> int:
        """Returns the integer that comes next. `code` is its type as in the module `struct`.

        Raises:
            struct.error: where the bytes end before.
        """
        size = struct.calcsize(f"={code}")
        self._position += -self._position % size
        (number,) = struct.unpack_from(f"{self._order}{code}", self._raw, _ENCAPSULATION + self._position)
        self._position += size
        return int(number)

    def text(self) -> str:
        """Returns the string that comes next.

        Raises:
            struct.error, IndexError, UnicodeDecodeError: where there is none.
        """
        length = self.number("I")
        start = _ENCAPSULATION + self._position
        if not 1 <= length <= len(self._raw) - start:
            raise IndexError(length)
        self._position += length
        return self._raw[start : start + length - 1].decode()


@dataclasses.dataclass(frozen=True)
class MessageHead:
    """The first fields of a message that is joined by its stamp.

    Attributes:
        stamp: the stamp of the header, ns.
        run_id: the identity of the run.
        sender: which robot of the run.
    """

    stamp: int
    run_id: str
    sender: str


def read_head(raw: bytes) -> MessageHead | None:
    """Returns the head of a serialized message that begins with header, format, run_id and sender.

    It returns None where the bytes have no such head.
    """
    try:
        reader = HeadReader(raw)
        stamp = reader.number("i") * NANOSECONDS + reader.number("I")
        reader.text()  # the frame of the header
        reader.number("H")
        return MessageHead(stamp, reader.text(), reader.text())
    except (struct.error, UnicodeDecodeError, IndexError):
        return None
