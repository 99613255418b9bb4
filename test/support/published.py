"""Provides published data that tests compare with.

It is in small files in test/data, so that tests do not need ../shared.

`python test/support/published.py` writes these files anew from ../shared. The FAST tokenizer is Physical
Intelligence's, with encodings that its own code made. The rest are numbers that openpi's code computed. Both are
published under the Apache License 2.0.
"""

from __future__ import annotations

import atexit
import functools
import io
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping

import numpy as np

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
SMALL_IMAGE = "120x160"
FAST_FILES = ("processor_config.json", "reference_encodings.json", "tokenizer.json", "tokenizer_config.json")
SET_A_LEFT_OUT = ("logits", "decode_logits_openpi_pos", "decode_logits_contig_pos")
"""The numbers of golden/set_a that are too large for test/data. The log-probs, which stay, are made of them."""
PARAMETER_TREES = ("param_tree_gemma_2b.json", "param_tree_gemma_2b_lora.json")


@functools.cache
def fast_folder() -> pathlib.Path:
    """Returns the folder of the published FAST tokenizer and its reference encodings.

    This process removes it at its end.
    """
    return unpack("fast.zip")


@functools.cache
def set_a_folder() -> pathlib.Path:
    """Returns the folder of golden/set_a without its largest numbers. This process removes it at its end."""
    return unpack("set_a.zip")


def parameter_tree(variant: str) -> str:
    """Returns the JSON text with the parameters of a published checkpoint: names, shapes and dtypes."""
    with zipfile.ZipFile(DATA / "parameter_trees.zip") as archive:
        return archive.read(f"param_tree_{variant}.json").decode()


def main() -> None:
    """Writes test/data from ../shared."""
    shared = DATA.parents[2] / "shared"
    fast = shared / "data" / "fast"
    pack(DATA / "fast.zip", {name: (fast / name).read_bytes() for name in FAST_FILES})
    pack(DATA / "parameter_trees.zip", {name: (shared / "golden" / name).read_bytes() for name in PARAMETER_TREES})
    pack(DATA / "set_a.zip", cut_set_a(shared / "golden" / "set_a"))
    golden = np.load(shared / "golden" / "preprocess.npz")
    kept = ("state", "state_bins", f"u8_in_{SMALL_IMAGE}", f"u8_out_{SMALL_IMAGE}")
    np.savez_compressed(DATA / "preprocess.npz", **{name: golden[name] for name in kept})


def cut_set_a(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns the files of the reference set by their names below the folder, without SET_A_LEFT_OUT."""
    checkpoint = [file for file in sorted((folder / "checkpoint").rglob("*")) if file.is_file()]
    kept = [folder / "config.json", folder / "inputs.npz", *checkpoint]
    files = {str(file.relative_to(folder)): file.read_bytes() for file in kept}
    for name in ("outputs.npz", "outputs_bf16_params.npz"):
        arrays = {key: array for key, array in np.load(folder / name).items() if key not in SET_A_LEFT_OUT}
        written = io.BytesIO()
        np.savez(written, **arrays)
        files[name] = written.getvalue()
    return files


def pack(archive: pathlib.Path, files: Mapping[str, bytes]) -> None:
    """Packs files, given by their names, so that the same files give the same archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def unpack(archive: str) -> pathlib.Path:
    """Unpacks an archive of test/data into a folder that is removed when this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="published_")
    atexit.register(folder.cleanup)
    with zipfile.ZipFile(DATA / archive) as packed:
        packed.extractall(folder.name)
    return pathlib.Path(folder.name)


if __name__ == "__main__":
    main()
