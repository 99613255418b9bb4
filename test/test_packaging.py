"""Tests manifests, interfaces, the repair of the wheels, and a real build by colcon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import chunk_ppo_ros
from chunk_ppo_ros.config.flags import PROGRAM
from chunk_ppo_ros.runtime.description import NODES

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import build_messages  # noqa: E402
import checkout_links  # noqa: E402
import repair_wheels  # noqa: E402
import setup_environment  # noqa: E402
import system_packages  # noqa: E402

INTERFACES = sorted([*ROOT.glob("msg/*.msg"), *ROOT.glob("msg/*.srv")])
PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[0-9][A-Za-z0-9.]*")


@pytest.mark.parametrize("manifest", ["package.xml", "msg/package.xml"])
def test_manifests_have_the_version_of_the_package(manifest: str) -> None:
    assert ElementTree.parse(ROOT / manifest).findtext("version") == chunk_ppo_ros.__version__


def test_manifest_depends_on_every_package_that_the_messages_use() -> None:
    used = set(re.findall(r"^(\w+)/\w+", "\n".join(path.read_text() for path in INTERFACES), re.MULTILINE))
    for manifest in ("package.xml", "msg/package.xml"):
        assert used <= {element.text for element in ElementTree.parse(ROOT / manifest).iter("depend")}


def test_manifest_and_contributing_guide_name_every_run_time_package() -> None:
    lines = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    required = {line.partition("==")[0].lower() for line in lines if line and not line.startswith("#")}
    manifest = (ROOT / "package.xml").read_text()
    keys = {"pyyaml": "yaml", "pillow": "pil"}
    depends = {element.text for element in ElementTree.fromstring(manifest).iter("exec_depend")}
    left = {name for name in required if f"python3-{keys.get(name, name)}" not in depends}
    assert left >= {"jax", "mujoco"}
    for text in (manifest, (ROOT / "CONTRIBUTING.md").read_text()):
        named = re.search(r"It does not install (.*?), and apt's numpy", " ".join(text.split()))
        assert named and set(re.split(r", | and ", named[1].lower())) == left


def test_every_interface_is_listed_in_the_build() -> None:
    text = (ROOT / "msg" / "CMakeLists.txt").read_text()
    messages, services = re.findall(r"^set\((?:messages|services)\n(.*?)^\)", text, re.MULTILINE | re.DOTALL)
    assert messages.split() == [path.stem for path in INTERFACES if path.suffix == ".msg"]
    assert services.split() == [path.stem for path in INTERFACES if path.suffix == ".srv"]


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.name)
def test_every_interface_says_what_it_is_and_every_number_what_it_counts(path: Path) -> None:
    """Identities that are explained where they are owned, flags and nested types may stand without a comment."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    plain = {"run_id", "episode", "chunk", "sequence_number", "policy_version"}
    for line in lines:
        field = re.fullmatch(r"(?:u?int\d+|float\d+|string)(?:\[\S*\])? (\w+)(=\d+)?(\s+# .+)?", line)
        if field and field[2] is None and field[1] not in plain:
            assert field[3], f"{path.name}: {field[1]} must have a comment with its unit and shape"


def test_every_node_of_the_list_has_its_module_and_each_node_module_is_in_the_list() -> None:
    modules = {
        f"chunk_ppo_ros.nodes.{file.parent.name}.{file.stem}" for file in ROOT.glob("chunk_ppo_ros/nodes/*/*_node.py")
    }
    assert {node.module for node in NODES} == modules - {"chunk_ppo_ros.nodes.common.worker_node"}


def test_the_list_of_nodes_is_read_without_any_package_installed() -> None:
    """setup.py and the set-up read the list of nodes in this way too."""
    read = "import runpy; print(*(n.name for n in runpy.run_path('chunk_ppo_ros/runtime/description.py')['NODES']))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", read], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [node.name for node in NODES]
    assert (ROOT / checkout_links.NODE_LIST).samefile(ROOT / "chunk_ppo_ros" / "runtime" / "description.py")


def test_set_up_links_the_launch_files_in_a_folder_that_ros2_launch_looks_into(tmp_path: Path) -> None:
    """`ros2 launch` looks for a file by os.walk, which does not enter a linked folder. An earlier set-up made one."""
    share = tmp_path / "share" / "chunk_ppo_ros"
    share.mkdir(parents=True)
    (share / "launch").symlink_to(ROOT / "launch")
    for _ in range(2):
        checkout_links.link_files(ROOT / "launch", share / "launch")
        found = {name for _, _, names in os.walk(share) for name in names}
        assert found >= {"training.launch.py", "policy.launch.py", "node_packages.py"}
    assert (share / "launch" / "training.launch.py").samefile(ROOT / "launch" / "training.launch.py")
    assert (ROOT / "launch" / "training.launch.py").is_file()


FINDS_JAX = """
import importlib.util, runpy, sys
runpy.run_path(sys.argv[1])
assert importlib.util.find_spec("jax") and importlib.util.find_spec("numpy"), sys.path
print(importlib.util.find_spec("jax").origin)
"""


PLAIN_START = "#!{}\n"
SHELL_START = """#!/bin/sh
'''exec' "{}" "$0" "$@"
' '''
"""


def find_packages(prefix: Path, interpreter: str, *, start: str = PLAIN_START) -> subprocess.CompletedProcess[str]:
    """Runs what a launch file runs first, in a Python without packages, as `ros2` does; the nodes run on another."""
    executable = prefix / "lib" / "chunk_ppo_ros" / "trainer_node"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"{start.format(interpreter)}print('a node')\n")
    index = prefix / "ros" / "ament_index_python"
    index.mkdir(parents=True)
    (index / "__init__.py").touch()
    (index / "packages.py").write_text(f"def get_package_prefix(name):\n    return {str(prefix)!r}\n")
    bare = [sys.executable, "-S", "-c", FINDS_JAX, str(ROOT / "launch" / "node_packages.py")]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(prefix / "ros")}
    return subprocess.run(bare, env=environ, capture_output=True, text=True)


def test_a_launch_file_imports_what_the_nodes_import_although_ros2_runs_on_another_python(tmp_path: Path) -> None:
    found = find_packages(tmp_path, sys.executable)
    assert found.returncode == 0, found.stderr
    import jax

    assert found.stdout.strip() == jax.__file__


def test_a_launch_file_finds_the_python_of_the_nodes_in_a_folder_with_a_space(tmp_path: Path) -> None:
    python = tmp_path / "my robot" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    found = find_packages(tmp_path, str(python), start=SHELL_START)
    assert found.returncode == 0, found.stderr


def test_a_launch_file_says_that_nodes_of_the_systems_colcon_have_no_jax(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text(f"#!/bin/sh\necho '[[{sys.version_info[0]}, {sys.version_info[1]}], []]'\n")
    other.chmod(0o755)
    found = find_packages(tmp_path, str(other))
    last = found.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: the nodes must find ")
    assert f"jax, but {other} does not; run `make setup` with ROS sourced, and build the workspace by" in last


def test_a_launch_file_says_which_pythons_do_not_fit(tmp_path: Path) -> None:
    other = tmp_path / "python3.9"
    other.write_text("#!/bin/sh\necho '[[3, 9], []]'\n")
    other.chmod(0o755)
    found = find_packages(tmp_path, str(other))
    assert f"got 3.9 of {other}; run `make clean` and `make setup` with ROS sourced" in found.stderr


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements/*.txt")), ids=lambda path: path.name)
def test_requirements_are_pinned_and_plain(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert not line or line.startswith("#") or PINNED.fullmatch(line), line


def test_constraints_agree_with_the_requirements() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (line for line in (ROOT / "requirements" / name).read_text().splitlines() if "==" in line)
        pairs = (re.sub(r"\[\w+\]", "", line).split("==") for line in lines)
        return {package.lower().replace("_", "-"): version for package, version in pairs}

    constraints = pins("constraints.txt")
    for name in ("run.txt", "dev.txt", "ros-wheels.txt", "experiments.txt"):
        for package, version in pins(name).items():
            assert constraints[package] == version, f"{name}: {package}"


def test_the_tools_of_pyproject_aim_at_the_oldest_python() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert (tools["ruff"]["target-version"], tools["mypy"]["python_version"]) == ("py311", "3.11")
    assert tools["pytest"]["ini_options"]["filterwarnings"][0] == "error"


def test_repair_replaces_both_include_folders_once(tmp_path: Path) -> None:
    exported = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    exported.parent.mkdir(parents=True)
    foreign = "/opt/python/cp312-cp312"
    exported.write_text(
        f'DIRS "{foreign}/include/python3.12;{foreign}/lib/python3.12/site-packages/numpy/_core/include;/usr/include"\n'
    )
    folders = {"python_include": "/here/include", "numpy_include": "/here/numpy"}
    assert repair_wheels.repair_prefix(tmp_path, **folders) == [exported]
    assert exported.read_text() == 'DIRS "/here/include;/here/numpy;/usr/include"\n'
    assert repair_wheels.repair_prefix(tmp_path, **folders) == []


def test_a_prefix_without_the_wheels_is_told_apart(tmp_path: Path) -> None:
    assert not repair_wheels.has_ros_wheels(tmp_path)
    (tmp_path / "lib" / "python3.11" / "site-packages" / "ros_wheels_bootstrapper").mkdir(parents=True)
    assert repair_wheels.has_ros_wheels(tmp_path)


def test_sourced_ros_is_used_alone_where_there_are_no_wheels(tmp_path: Path) -> None:
    sourced = tmp_path / "ros"
    (sourced / build_messages.GENERATORS).mkdir(parents=True)
    environ = {"AMENT_PREFIX_PATH": f"{tmp_path / 'overlay'}:{sourced}"}
    assert build_messages.ros_prefixes(environ, environment=tmp_path / "venv") == [tmp_path / "overlay", sourced]


def test_only_the_generators_of_the_wheels_have_their_files_compiled_together(tmp_path: Path) -> None:
    sourced, venv = tmp_path / "ros", tmp_path / "venv"
    for prefix in (sourced, venv):
        (prefix / build_messages.GENERATORS).mkdir(parents=True)
    (venv / "lib" / "python3.11" / "site-packages" / "ros_wheels_bootstrapper").mkdir(parents=True)
    assert build_messages.generates_by_wheels([tmp_path / "overlay", venv])
    assert not build_messages.generates_by_wheels([sourced, venv])


def test_the_wheels_generate_what_nodes_in_python_need(interbotix_messages: Path) -> None:
    if not repair_wheels.has_ros_wheels(Path(sys.prefix)):
        pytest.skip("ROS 2 is not from wheels here, and its generators make all that they can")
    libraries = (path.stem for path in interbotix_messages.parents[1].glob("*.so"))
    made = {name.removeprefix("libinterbotix_xs_msgs__rosidl_") for name in libraries}
    assert made == {
        "generator_c",
        "generator_py",
        *(f"typesupport_{kind}" for kind in ("c", "fastrtps_c", "introspection_c")),
    }


def test_no_ros_at_all_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(build_messages.MessageBuildError, match=r"source /opt/ros/<distro>/setup\.bash"):
        build_messages.ros_prefixes({}, environment=tmp_path)


def test_a_failed_build_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('the cause'); raise SystemExit(3)"]
    with pytest.raises(build_messages.MessageBuildError, match=r"the cause\n.* ended with 3"):
        build_messages.run(command, environ=os.environ, log=tmp_path / "log")


def test_missing_packages_are_told_where_nothing_may_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_packages, "build_needs", lambda: [("a compiler", lambda: False, "g++")])
    monkeypatch.setattr(system_packages, "may_install", lambda: False)
    with pytest.raises(system_packages.MissingPackagesError, match=r"a compiler, .* sudo apt-get install g\+\+"):
        system_packages.ensure_build_tools()


def test_opengl_is_installed_until_a_backend_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's EGL never renders, and its OSMesa does once its package is installed."""
    installed: list[str] = []
    monkeypatch.setattr(system_packages, "may_install", lambda: True)
    monkeypatch.setattr(system_packages, "apt_install", lambda packages: installed.extend(packages) or True)
    monkeypatch.setattr(
        system_packages, "renders", lambda python, backend: backend == "osmesa" and "libosmesa6" in installed
    )
    assert system_packages.ensure_rendering(Path(sys.executable)) == "osmesa"
    assert installed == [*system_packages.GL_BACKENDS["egl"], "libosmesa6"]


def test_the_program_has_one_name_in_all_places_that_install_it() -> None:
    """setup.py and set-up run before the package can be imported, so that they spell the name themselves."""
    assert checkout_links.PROGRAM == PROGRAM
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f'PROGRAMS = ("{PROGRAM}", NAME)' in text
    assert '*(f"{program} = {NAME}.__main__:run" for program in PROGRAMS)' in text


def test_a_set_up_step_runs_when_its_key_changes_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    keys = {"first": "1", "second": "1"}

    def steps() -> list[setup_environment.Step]:
        return [
            setup_environment.Step(title, key, lambda title=title: done.append(title)) for title, key in keys.items()
        ]

    monkeypatch.setattr(setup_environment, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(setup_environment, "steps", steps)
    setup_environment.run_steps()
    setup_environment.run_steps()
    assert done == ["first", "second"]
    keys["second"] = "2"
    setup_environment.run_steps()
    assert done == ["first", "second", "second"]


@pytest.mark.slow
@pytest.mark.graph  # it takes all cores: not beside a graph that has time limits
def test_colcon_build_gives_importable_messages_and_what_ros2_needs(tmp_path: Path) -> None:
    """`colcon build --symlink-install` builds a workspace with this checkout, in about a minute on two cores."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "chunk_ppo_ros").symlink_to(ROOT)
    colcon = [
        Path(sys.executable).parent / "colcon",
        "build",
        "--symlink-install",
        "--packages-select",
        "chunk_ppo_ros",
    ]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    built = subprocess.run(colcon, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    prefix = tmp_path / "install" / "chunk_ppo_ros"
    index = prefix / "share" / "ament_index" / "resource_index"
    assert (index / "packages" / "chunk_ppo_ros").is_file()
    assert "msg/Transition.msg" in (index / "rosidl_interfaces" / "chunk_ppo_msgs").read_text().splitlines()
    assert (prefix / "share" / "chunk_ppo_msgs" / "msg" / "Transition.msg").is_file()
    supports = ["fastrtps_c", "introspection_c", "c"]
    if not repair_wheels.has_ros_wheels(Path(sys.prefix)):
        supports += ["fastrtps_cpp", "introspection_cpp", "cpp"]
    for support in supports:
        assert (prefix / "lib" / f"libchunk_ppo_msgs__rosidl_typesupport_{support}.so").is_file()
    for node in NODES:
        assert os.access(prefix / "lib" / "chunk_ppo_ros" / node.name, os.X_OK)

    imports = "import chunk_ppo_msgs.msg as m; m.Transition.__import_type_support__(); print(m.__file__)"
    command = f'. "{tmp_path}/install/setup.sh" && "{sys.executable}" -c "{imports}"'
    imported = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True)
    assert imported.stdout.strip().startswith(str(prefix)), imported.stdout + imported.stderr


def test_a_build_takes_no_interfaces_that_an_earlier_one_has_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser may be another one then: `make setup` keeps the build folder where the wheels of ROS are replaced."""
    build = tmp_path / "build"
    (build / build_messages.PARSED).mkdir(parents=True)
    (build / build_messages.PARSED / "old").touch()
    parsed: list[bool] = []
    for name, answer in (("ros_prefixes", [tmp_path]), ("generates_by_wheels", True), ("find_tool", "cmake")):
        monkeypatch.setattr(build_messages, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(
        build_messages, "run", lambda *_, environ, log: parsed.append(Path(environ["PARSED_INTERFACES"]).exists())
    )
    build_messages.build_messages(tmp_path / "prefix", build_folder=build)
    assert parsed == [False] * 3
