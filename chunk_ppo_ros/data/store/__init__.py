"""Keeps what must not be lost: a store of records that survives the death of a process and a power cut."""

from chunk_ppo_ros.data.store.contents import Contents, Hole, UnfinishedTail
from chunk_ppo_ros.data.store.group_commit import GroupCommit
from chunk_ppo_ros.data.store.lock import StoreLocked
from chunk_ppo_ros.data.store.records import Entry, Key, Record, RecordPlace
from chunk_ppo_ros.data.store.store import DamagedRecord, Store, read_payload, read_store
from chunk_ppo_ros.data.store.store_writer import StoreWriter
from chunk_ppo_ros.data.store.stored_queue import StoredQueue

__all__ = [
    "Contents",
    "DamagedRecord",
    "Entry",
    "GroupCommit",
    "Hole",
    "Key",
    "Record",
    "RecordPlace",
    "Store",
    "StoreLocked",
    "StoreWriter",
    "StoredQueue",
    "UnfinishedTail",
    "read_payload",
    "read_store",
]
