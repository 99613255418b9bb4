"""Builds the interface package chunk_ppo_msgs (the folder `msg/`) with CMake and rosidl, and installs it.

Tests also build the interface package of their fake driver with it, from another folder and into a cache.

`setup.py` (colcon, pip) and `make setup` use it. Both install into the prefix that the Python package goes to. It takes
the ROS 2 that is sourced. Where none is sourced, it takes the wheels in the environment of the running interpreter. It
imports the standard library only, because the build tools run this file with whatever Python they have.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from repair_wheels import has_ros_wheels, repair

SOURCE = Path(__file__).resolve().parent.parent / "msg"
GENERATORS = Path("share/rosidl_default_generators/cmake")
FOR_WHEELS = Path(__file__).with_name("rosidl_for_wheels")
"""The folder with what makes the generators of the ROS wheels do less, and do it more quickly."""
PARSED = "parsed"
"""The folder of parsed interfaces in the build folder. Each build begins without it, because its parser may be another
one: pip replaces the wheels of ROS and leaves the build folder."""


class MessageBuildError(RuntimeError):
    """The messages cannot be built. The text says what to do."""


def ros_prefixes(environ: Mapping[str, str], *, environment: Path) -> list[Path]:
    """Returns the ROS prefixes to build against, in the order in which they are searched.

    Args:
        environ: the environment variables, of which AMENT_PREFIX_PATH lists the prefixes that are sourced.
        environment: the prefix of the running interpreter, which may hold the ROS wheels.

    Raises:
        MessageBuildError: when none of them has rosidl's generators.
    """
    sourced = [Path(entry) for entry in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    prefixes = [*sourced, environment] if has_ros_wheels(environment) else sourced
    if not any((prefix / GENERATORS).is_dir() for prefix in prefixes):
        raise MessageBuildError(
            f"ROS 2 with rosidl_default_generators must be sourced or installed in {environment}, got neither; "
            "source /opt/ros/<distro>/setup.bash, or pip install -r requirements/ros-wheels.txt there and build with "
            "--no-build-isolation"
        )
    return list(dict.fromkeys(prefixes))


def generates_by_wheels(prefixes: Iterable[Path]) -> bool:
    """Returns whether the first prefix with rosidl's generators holds the ROS wheels, whose files compile together."""
    first = next(prefix for prefix in prefixes if (prefix / GENERATORS).is_dir())
    return has_ros_wheels(first)


def find_tool(name: str, *, environment: Path) -> str:
    """Returns the path of a program, which is looked for beside the interpreter and then on PATH.

    Raises:
        MessageBuildError: when it is in neither place.
    """
    found = shutil.which(name, path=os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", "")]))
    if found is None:
        raise MessageBuildError(f"the messages must be built with {name}, found none; apt-get install {name}")
    return found


def build_environment(prefixes: list[Path], *, environment: Path) -> dict[str, str]:
    """Returns the environment variables of the build.

    They name the ROS prefixes, and put the programs beside the interpreter first on PATH.
    """
    environ = dict(os.environ)
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        before = [entry for entry in environ.get(name, "").split(os.pathsep) if entry]
        environ[name] = os.pathsep.join(dict.fromkeys([*map(str, prefixes), *before]))
    environ["PATH"] = os.pathsep.join([str(environment / "bin"), environ.get("PATH", "")])
    return environ


def run(command: list[str], *, environ: Mapping[str, str], log: Path) -> None:
    """Runs one step of the build, and writes its output to `log`.

    Raises:
        MessageBuildError: when the step failed. The text has the last lines of the log and the place of the log.
    """
    with log.open("w", encoding="utf-8") as output:
        status = subprocess.run(command, env=dict(environ), stdout=output, stderr=subprocess.STDOUT).returncode
    if status:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise MessageBuildError(f"{tail}\n{' '.join(command)} ended with {status}; the whole log is {log}")


def build_messages(prefix: Path, *, build_folder: Path, source: Path = SOURCE) -> None:
    """Configures, builds and installs an interface package.

    Args:
        prefix: the folder to install into. The files go to its `share/chunk_ppo_msgs`, its `lib` and its site-packages.
        build_folder: the folder of objects and logs. Where it is kept, a second build compiles only what changed.
        source: the folder of the interface package.

    Raises:
        MessageBuildError: when ROS or a tool is missing, or a step of the build failed.
    """
    environment = Path(sys.executable).parent.parent  # colcon replaces sys.prefix by its own
    prefixes = ros_prefixes(os.environ, environment=environment)
    for ros_prefix in filter(has_ros_wheels, prefixes):
        repair(ros_prefix)
    environ = build_environment(prefixes, environment=environment)
    cmake = find_tool("cmake", environment=environment)
    build_folder.mkdir(parents=True, exist_ok=True)
    (build_folder / "COLCON_IGNORE").touch()
    configure = [cmake, "-S", str(source), "-B", str(build_folder), "--fresh", "-DCMAKE_BUILD_TYPE=Release"]
    configure += ["-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
    if generates_by_wheels(prefixes):
        configure.append(f"-DCMAKE_PROJECT_INCLUDE={FOR_WHEELS / 'compile_together.cmake'}")
        configure.append(f"-Drosidl_default_generators_DIR={FOR_WHEELS}")
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(FOR_WHEELS), environ.get("PYTHONPATH")]))
        shutil.rmtree(build_folder / PARSED, ignore_errors=True)
        environ["PARSED_INTERFACES"] = str(build_folder / PARSED)
    jobs = str(os.cpu_count() or 1)
    name = "chunk_ppo_msgs" if source == SOURCE else source.name
    print(f"building {name} for {prefix} ({jobs} jobs, about a minute on two cores)", flush=True)
    run(configure, environ=environ, log=build_folder / "configure.log")
    run([cmake, "--build", str(build_folder), "--parallel", jobs], environ=environ, log=build_folder / "build.log")
    run([cmake, "--install", str(build_folder)], environ=environ, log=build_folder / "install.log")


def main() -> int:
    """Runs `build_messages.py PREFIX BUILD_FOLDER` and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", type=Path, help="the folder to install into")
    parser.add_argument("build_folder", type=Path, help="the folder of objects and logs")
    parser.add_argument("--source", type=Path, default=SOURCE, help="the folder of the interface package")
    arguments = parser.parse_args()
    places = {"build_folder": arguments.build_folder.absolute(), "source": arguments.source.absolute()}
    try:
        build_messages(arguments.prefix.absolute(), **places)
    except MessageBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
