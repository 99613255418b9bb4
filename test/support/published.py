"""Published data that tests compare with: small files in test/data, so that they are there without ../shared.

`python test/support/published.py` writes them anew from ../shared. The FAST tokenizer is Physical Intelligence's, with
encodings that its own code made; the rest are numbers that openpi's code computed. Both are published under the Apache
License 2.0.
"""

from __future__ import annotations

import atexit
import functools
import pathlib
import tempfile
import zipfile

import numpy as np

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
SMALL_IMAGE = "120x160"
FAST_FILES = ("processor_config.json", "reference_encodings.json", "tokenizer.json", "tokenizer_config.json")
PARAMETER_TREES = ("param_tree_gemma_2b.json", "param_tree_gemma_2b_lora.json")


@functools.cache
def fast_folder() -> pathlib.Path:
    """The published FAST tokenizer with its reference encodings, unpacked until this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="published_fast_")
    atexit.register(folder.cleanup)
    with zipfile.ZipFile(DATA / "fast.zip") as archive:
        archive.extractall(folder.name)
    return pathlib.Path(folder.name)


def parameter_tree(variant: str) -> str:
    """The JSON text with the parameters of a published checkpoint: names, shapes and dtypes."""
    with zipfile.ZipFile(DATA / "parameter_trees.zip") as archive:
        return archive.read(f"param_tree_{variant}.json").decode()


def main() -> None:
    """Writes test/data from ../shared."""
    shared = DATA.parents[2] / "shared"
    pack(DATA / "fast.zip", [shared / "data" / "fast" / name for name in FAST_FILES])
    pack(DATA / "parameter_trees.zip", [shared / "golden" / name for name in PARAMETER_TREES])
    golden = np.load(shared / "golden" / "preprocess.npz")
    kept = ("state", "state_bins", f"u8_in_{SMALL_IMAGE}", f"u8_out_{SMALL_IMAGE}")
    np.savez_compressed(DATA / "preprocess.npz", **{name: golden[name] for name in kept})


def pack(archive: pathlib.Path, files: list[pathlib.Path]) -> None:
    """Packs files so that the same files give the same archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for file in files:
            packed.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
