"""Reads the messages of a bag's SQLite file (`.db3`), with what its write-ahead log beside it holds."""

from __future__ import annotations

import pathlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from chunk_ppo_ros.data.bags.storage.stored import Channel, DamagedFile, Place, StoredMessage


class SqliteFile:
    """Reads one file, as a `BagFile`.

    A recorder that was killed leaves a write-ahead log (`-wal`) beside the file, which has the newest messages. Then
    SQLite needs to write its index (`-shm`) beside them. Without a log nothing is written.

    Args:
        path: the file.
        must_be_checked: whether SQLite checks the structure of the whole file, because nothing else says what it holds.
    """

    def __init__(self, path: pathlib.Path, *, must_be_checked: bool) -> None:
        """Opens the file. The class documents arguments.

        Raises:
            DamagedFile: where the file is not whole.
            sqlite3.Error: where it cannot be opened.
        """
        log = path.with_name(f"{path.name}-wal")
        self.is_cut_off = log.is_file() and log.stat().st_size > 0
        how = "mode=ro" if self.is_cut_off else "immutable=1"
        self._database = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, check_same_thread=False)
        try:
            if must_be_checked:
                self._check()
            self._channels = self._read_channels()
        except (sqlite3.Error, DamagedFile):
            self._database.close()
            raise
        self._counts: dict[str, int] = {}

    def channels(self) -> tuple[Channel, ...]:
        """Returns the topics of the file."""
        return tuple(self._channels.values())

    def counts(self) -> Mapping[str, int]:
        """Returns the number of messages of each topic, once all messages have been yielded."""
        return self._counts

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yields the messages of some topics in the order in which they were written.

        Raises:
            DamagedFile: where a row has an unknown topic, or is no message.
            sqlite3.Error: where the file is damaged.
        """
        self._counts = dict.fromkeys((channel.topic for channel in self._channels.values()), 0)
        for number, count in self._database.execute("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id"):
            if number not in self._channels:
                raise DamagedFile(f"a message must be of a topic of the file, got topic number {number!r}")
            self._counts[self._channels[number].topic] += count
        wanted = [number for number, channel in self._channels.items() if channel.topic in topics]
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT id, topic_id, timestamp, data FROM messages WHERE topic_id IN ({marks}) ORDER BY id"
        for row, number, received, data in self._database.execute(query, wanted):
            if not isinstance(received, int) or not isinstance(data, bytes):
                raise DamagedFile(f"a message must have a time and bytes, got something else in row {row}")
            yield StoredMessage(self._channels[number], received, data, Place(-1, row, len(data)))

    def read(self, place: Place) -> bytes:
        """Returns the bytes of a message."""
        found = self._database.execute("SELECT data FROM messages WHERE id = ?", (place.start,)).fetchone()
        if found is None or not isinstance(found[0], bytes) or len(found[0]) != place.size:
            raise DamagedFile("the message is gone")
        return found[0]

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def _check(self) -> None:
        ((found,),) = self._database.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise DamagedFile(f"a SQLite file must be whole, got: {found}")

    def _read_channels(self) -> dict[int, Channel]:
        """Returns the topics by their numbers. Older versions of rosbag2 wrote fewer columns and no definitions."""
        definitions: dict[str, tuple[str, str]] = {}
        if self._columns("message_definitions"):
            rows = self._database.execute(
                "SELECT topic_type, encoded_message_definition, encoding FROM message_definitions"
            )
            definitions = {_text(name): (_text(text), _text(form)) for name, text, form in rows}
        digest = "type_description_hash" if "type_description_hash" in self._columns("topics") else "''"
        rows = self._database.execute(f"SELECT id, name, type, serialization_format, {digest} FROM topics ORDER BY id")
        return {
            number: Channel(
                _text(name), _text(type_name), _text(form), *definitions.get(type_name, ("", "")), _text(hash_)
            )
            for number, name, type_name, form, hash_ in rows
        }

    def _columns(self, table: str) -> list[str]:
        return [name for _, name, *_ in self._database.execute(f"PRAGMA table_info({table})")]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise DamagedFile(f"a topic must be described by text, got {value!r}")
    return value
