"""Tests the registry of named parts: names, entry points of other packages, and errors that name who is at fault."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.registry import Registry
from support import plugin_package

GROUP = "chunk_ppo_ros.test_parts"
OWN = {"square_root": "math:sqrt", "pi": "math:pi"}


def parts(**own: str) -> Registry[object]:
    return Registry("math.part", group=GROUP, own=OWN | own, attributes=("__call__",))


def install(
    folder: pathlib.Path, patch: pytest.MonkeyPatch, source: str, *, name: str = "more", **entries: str
) -> None:
    module = f"plugin_{name.replace('-', '_')}"
    entries = {entry: f"{module}:{value}" for entry, value in entries.items()}
    plugin_package.install(folder, patch, name=name, modules={module: source}, entry_points={GROUP: entries})


def test_own_parts_come_by_their_name() -> None:
    assert parts().names() == ("square_root", "pi")
    assert parts().get("square_root")(9.0) == 3.0


def test_parts_of_another_package_come_by_their_entry_points(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "def double(x): return 2 * x\n", zwei="double")
    assert parts().names() == ("square_root", "pi", "zwei")
    assert parts().other_names() == ("zwei",)
    assert parts().get("zwei")(4) == 8


def test_an_unknown_name_lists_what_there_is_and_what_is_near() -> None:
    with pytest.raises(RegistryError, match=r"math\.part must be one of square_root, pi, got 'sqare_root'; did you"):
        parts().get("sqare_root")
    with pytest.raises(RegistryError, match=rf"got 'z'; install the package that has it .* of the group {GROUP}"):
        parts().get("z")


def test_a_name_that_two_packages_give_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "def mine(x): return x\n", name="other-roots", square_root="mine")
    with pytest.raises(
        RegistryError, match=r"must belong to one package, got .*sqrt' of chunk_ppo_ros, .*of other-roots"
    ):
        parts().get("square_root")
    assert parts().names() == ("square_root", "pi")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise RuntimeError('no license')\n", r"must be importable, got RuntimeError\('no license'\)"),
        ("", "must be importable, got AttributeError"),
        ("part = 3\n", r"must have __call__, got 3 without __call__"),
    ],
)
def test_a_part_that_cannot_be_used_names_its_package(
    source: str, text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, source, name="broken", broken="part")
    assert "broken" in parts().names()  # listing imports nothing
    with pytest.raises(RegistryError, match=text + r".* from the entry point 'broken = plugin_broken:part' of broken"):
        parts().get("broken")


def test_listing_names_imports_no_part() -> None:
    program = (
        "import sys\n"
        "from chunk_ppo_ros.data.readers import READERS\n"
        "assert 'lerobot' in READERS.names()\n"
        "sys.exit(', '.join({'h5py', 'pyarrow', 'rosbags', 'mujoco', 'jax', 'rclpy'} & set(sys.modules)) or None)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
