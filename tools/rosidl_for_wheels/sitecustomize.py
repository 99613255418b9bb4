"""Lets the generators of rosidl parse each interface file once. Python imports it where its folder is on PYTHONPATH.

Eight generators read the same interface files, each in a process of its own, and half of their time goes into parsing.
`build_messages.py` puts this folder on PYTHONPATH, and the variable PARSED_INTERFACES says where the parsed files go.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PARSER = "rosidl_parser.parser"


class ParserFinder(importlib.abc.MetaPathFinder):
    """Finds rosidl's parser, and replaces its function when it is imported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name == PARSER else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def replace(module: ModuleType) -> None:
                execute(module)
                module.parse_idl_string = parse_once(module.parse_idl_string, self._folder)  # type: ignore[attr-defined]

            spec.loader.exec_module = replace  # type: ignore[method-assign]
        return spec


def parse_once(parse: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """Returns a function that does what `parse` does, and takes from `folder` what another process has parsed."""

    def parse_or_load(text: str, png_file: str | None = None) -> Any:
        if png_file is not None:
            return parse(text, png_file)
        path = folder / hashlib.sha256(text.encode()).hexdigest()
        if path.exists():
            return pickle.loads(path.read_bytes())
        content = parse(text)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps(content))
        part.replace(path)
        return content

    return parse_or_load


if "PARSED_INTERFACES" in os.environ:
    sys.meta_path.insert(0, ParserFinder(Path(os.environ["PARSED_INTERFACES"])))
