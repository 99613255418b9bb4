"""Tests the registry of named parts: names, entry points of other packages, and errors that name who is at fault."""

from __future__ import annotations

import pathlib
import sys
import zipfile

import pytest

from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.registry import Registry, check_short_names, short_name
from support import plugin_package
from support.fresh_python import run_program

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
    with pytest.raises(RegistryError, match=r"own is named with its module, such as own\.halves:MyPart;"):
        parts().get("own.halves")


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
        ("", "must name a part that is there, got no "),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own_lab.own_rules:halv", r"got no halv in \S+own_rules.py from .*; did you mean half\?"),
        ("own_lab.own_rule:half", r"got no module own_lab.own_rule from .*; did you mean own_lab.own_rules\?"),
        ("own_lb.own_rules:half", r"got no module own_lb from .*; did you mean own_lab\?"),
        ("own_lab.own_rules:xyz", r"got no xyz in .*; start the command in the folder of the module"),
        ("own_lab.breaks:half", r"must be importable, got ModuleNotFoundError\(\"No module named 'numpi'"),
    ],
)
def test_a_misspelt_part_of_ones_own_is_named_with_what_is_like_it(
    name: str, text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_lab").mkdir()
    (tmp_path / "own_lab" / "own_rules.py").write_text("def half(x): return x / 2\nhalves = 3\n")
    (tmp_path / "own_lab" / "breaks.py").write_text("import numpi\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryError, match=text):
        parts().get(name)


def test_a_misspelt_part_in_an_archive_is_an_error_too(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped_lab/__init__.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "archive.zip"))
    with pytest.raises(RegistryError, match="got no module zipped_lab.rules from the module"):
        parts().get("zipped_lab.rules:half")


def test_listing_names_imports_no_part() -> None:
    program = (
        "import sys\n"
        "from chunk_ppo_ros.data.readers import READERS\n"
        "assert 'lerobot' in READERS.names()\n"
        "sys.exit(', '.join({'h5py', 'pyarrow', 'rosbags', 'mujoco', 'jax', 'rclpy'} & set(sys.modules)) or None)\n"
    )
    result = run_program(program)
    assert result.returncode == 0, result.stderr


def write_module(folder: pathlib.Path, patch: pytest.MonkeyPatch, name: str, source: str) -> None:
    """Writes a module into a folder that Python does not search, and makes it the current folder."""
    (folder / f"{name}.py").write_text(source)
    patch.chdir(folder)
    patch.setattr(sys, "path", [entry for entry in sys.path if entry])


def test_a_part_of_the_current_folder_is_named_by_its_module(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch, "own_halves", "class Maths:\n    half = staticmethod(lambda x: x / 2)\n")
    assert parts().get("own_halves:Maths.half")(4) == 2.0
    assert parts().get("math:floor")(2.5) == 2
    assert sys.path[-1] == str(tmp_path)  # at the end, so that own files hide no libraries


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own_broken/part.py:half", "must be a registered name or module:attribute, such as my_module:MyClass"),
        ("own_broken:", "must be a registered name or module:attribute"),
        ("own_brken:half", "no module own_brken .* is searched in PYTHONPATH and in .*; did you mean own_broken"),
        ("own_broken:third", "no third in .* or repair the module"),
        ("own_broken:number", r"must have __call__, got 3 without __call__ from the module own_broken"),
        ("own_worse:half", r"ZeroDivisionError.* at .*own_worse\.py:2 from the module own_worse"),
    ],
)
def test_a_reference_that_cannot_be_used_says_why(
    name: str, text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch, "own_broken", "number = 3\n")
    write_module(tmp_path, monkeypatch, "own_worse", "half = 1\n1 / 0\n")
    with pytest.raises(RegistryError, match=text):
        parts().get(name)


def test_names_are_short_without_their_modules() -> None:
    assert [short_name(name) for name in ("rise", "my_terms:rise", "a.b:C.rise")] == ["rise", "rise", "C.rise"]
    check_short_names("reward.scene_terms", ["my_terms:rise", "fall"])
    with pytest.raises(RegistryError, match="must have names that differ without their modules, got a:rise, b:rise"):
        check_short_names("reward.scene_terms", ["a:rise", "b:rise"])
