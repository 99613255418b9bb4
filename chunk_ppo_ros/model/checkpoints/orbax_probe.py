"""Looks at an Orbax folder before Orbax reads it, and stops at what Orbax would not survive quietly.

Orbax reads all arrays at once. Where one of them fails, it goes on reading the others, and Python reports their errors
later, as tracebacks. So everything that is small is read here first, one thing after the other.
"""

from __future__ import annotations

import json
from pathlib import Path

import tensorstore

TREE_FILE = "_METADATA"
"""The name of Orbax's list of arrays. A folder without it is no tree."""

_DATABASE = "manifest.ocdbt"  # The list of a database. A tree without one has a folder for each array.
_DRIVERS = {".zarray": "zarr", "zarr.json": "zarr3"}  # The driver of TensorStore for each header of an array.
_ARRAYS = ("jax.Array", "np.ndarray")


def probe(folder: Path) -> None:
    """Reads Orbax's own files and the headers of the arrays one after the other.

    Later trees of Orbax have one database (OCDBT) of all arrays, and earlier ones have a folder for each. The path must
    be resolved, because TensorStore refuses one with "..".

    Raises:
        ValueError: when a file is no JSON, or there is no header of a listed array.
        OSError: when a file cannot be read. TensorStore raises errors of its own.
    """
    for file in (folder / "_sharding", *sorted(folder.glob("array_metadatas/*"))):
        if file.is_file():
            json.loads(file.read_text())
    files = {"driver": "file", "path": f"{folder.resolve()}/"}
    is_database = (folder / _DATABASE).exists()
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": files} if is_database else files).result()
    headers = [key for key in store.list().result() if key.endswith(tuple(name.encode() for name in _DRIVERS))]
    if not headers:
        raise ValueError("its storage has no arrays")
    for key in headers:
        store.read(key).result()
        if not is_database:  # A database has checksums, so that its headers are right.
            _open_array(folder.resolve() / key.decode())
    missing = _listed_arrays(folder) - {key.decode().rpartition("/")[0] for key in headers}
    if missing:
        raise ValueError(f"its storage lacks {len(missing)} of the arrays that it lists, such as {min(missing)}")


def _open_array(header: Path) -> None:
    """Lets TensorStore read the header of an array in a folder of its own."""
    kvstore = {"driver": "file", "path": f"{header.parent}/"}
    tensorstore.open({"driver": _DRIVERS[header.name], "kvstore": kvstore}, open=True, read=True).result()


def _listed_arrays(folder: Path) -> set[str]:
    """Returns the folder or the prefix of each array that the list names, "params.PaliGemma.img.embedding.bias"."""
    try:
        listed = json.loads((folder / TREE_FILE).read_text())["tree_metadata"]
        return {
            ".".join(str(part["key"]) for part in entry["key_metadata"])
            for entry in listed.values()
            if entry["value_metadata"]["value_type"] in _ARRAYS
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("its list of arrays is damaged") from None
