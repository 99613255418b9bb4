"""Makes `.venv` for `make setup`, with everything that `chunk_ppo` needs, and keeps it up to date.

The set-up consists of steps. The key of a step is made from everything that the step depends on. A step runs when its
key differs from the one in `.venv/setup_steps.json`, so that a second run does nothing. Where ROS 2 is sourced, the
environment sees the system's packages and takes ROS from there. Otherwise ROS comes from wheels.

The Python package is installed editable, so that the code of the checkout runs, with a console script and metadata. An
editable install has no data files. So links are made to the ament index entries, `launch/`, `config/` and the nodes.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from checkout_links import NODE_LIST, link_checkout
from package_installer import InstallError, PackageInstaller
from system_packages import GL_BACKENDS, MissingPackagesError, ensure_build_tools, ensure_rendering
from venv_origin import ForeignEnvironmentError, Origin, check

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup_steps.json"
LOCK = ROOT / ".cache" / "setup.lock"
LOG = ROOT / ".cache" / "setup.log"
"""The output of uv and pip."""
ENVIRONMENT = "virtual environment .venv"
STARTED = "a virtual environment that is being made"
TOTAL = "all of it takes about {} minutes on two cores where packages come quickly"
BY_UV, BY_PIP = "two", "four"
"""The minutes where uv installs, and where pip does, which takes longer and compiles each file."""


class SetupError(RuntimeError):
    """The set-up cannot continue. The text says what to do."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of the set-up.

    Attributes:
        title: name of the step, under which it is recorded as finished.
        key: one string that changes when something changes that the step depends on.
        work: function that does the step.
        extent: text for the user that says how much is installed or how long the step takes.
    """

    title: str
    key: str
    work: Callable[[], None]
    extent: str = ""


def sourced_ros() -> str | None:
    """Returns the distribution of the ROS 2 that is sourced (such as "jazzy"), or None."""
    return os.environ.get("ROS_DISTRO") if os.environ.get("AMENT_PREFIX_PATH") else None


def digest(paths: Iterable[Path]) -> str:
    """Returns a hash over names and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def environ() -> dict[str, str]:
    """Returns the variables of a command of the set-up, without those of another active environment.

    Compiled modules are kept, also where the user's PYTHONDONTWRITEBYTECODE says otherwise.
    """
    foreign = ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in foreign}


def run(*command: str | Path) -> None:
    """Runs a command of the set-up in the checkout.

    Raises:
        SetupError: when the command fails.
    """
    words = [str(part) for part in command]
    if status := subprocess.run(words, cwd=ROOT, env=environ(), stdin=subprocess.DEVNULL).returncode:
        raise SetupError(
            f"`{' '.join(words)}` must succeed, got exit status {status}; see its output above, then run `make setup` "
            "again (`make clean` first to start from nothing)"
        )


def installer() -> PackageInstaller:
    """Returns what installs packages into the environment."""
    return PackageInstaller(PYTHON, folder=ROOT, environ=environ(), log=LOG)


def origin() -> Origin:
    """Returns the origin of a `.venv` that this run makes."""
    return Origin.of_this_run(ROOT, sourced_ros())


def make_environment() -> None:
    """Makes an empty `.venv` and first records its origin in it. `check_environment` must be called before.

    With ROS 2 sourced the environment sees the system's packages. The interpreter is never that of an active `.venv`.
    """
    site_packages = ["--system-site-packages"] if sourced_ros() else []
    if VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    write_stamp({STARTED: origin().key})
    run(origin().interpreter, "-m", "venv", *site_packages, VENV)
    (VENV / "COLCON_IGNORE").touch()


def check_environment() -> None:
    """Refuses a `.venv` that set-up must not change. One that version 0.1.0 made for this place is kept.

    Raises:
        ForeignEnvironmentError: when it must not be changed; the text says what to do.
    """
    finished = read_stamp()
    made_for = Origin.from_key(finished.get(ENVIRONMENT, finished.get(STARTED, "")))
    check(VENV, made_for, origin())
    if made_for == origin() and ENVIRONMENT in finished:
        write_stamp({**finished, ENVIRONMENT: origin().key})


def requirement_files() -> list[str]:
    """Returns the names of the requirement files that apply here."""
    return ["run.txt", "dev.txt"] + ([] if sourced_ros() else ["ros-wheels.txt"])


def install_requirements() -> None:
    """Installs the pinned packages."""
    print(f"downloading and installing pinned packages; all that uv and pip say goes to {LOG}", flush=True)
    folder = ROOT / "requirements"
    lists = [part for name in requirement_files() for part in ("-r", folder / name)]
    arguments = ["-c", folder / "constraints.txt", *lists]
    if sourced_ros():
        print("ROS 2 is sourced: pip installs, because uv does not see the packages of the system", flush=True)
        installer().by_pip(*arguments)
    else:
        installer().by_uv(folder / "installer.txt", *arguments)
    installer().by_pip("--no-deps", "-r", folder / "assets.txt")


def install_messages() -> None:
    """Builds chunk_ppo_msgs and installs it into the environment."""
    run(PYTHON, ROOT / "tools" / "build_messages.py", VENV, VENV / "build" / "chunk_ppo_msgs")


def install_package() -> None:
    """Installs the checkout editable, with links to what an editable install does not have."""
    installer().by_pip("--no-deps", "--no-build-isolation", "--editable", ROOT)
    link_checkout(ROOT, VENV)
    if not sourced_ros():
        compile_modules()


def compile_modules() -> None:
    """Imports all nodes, so that Python keeps their modules compiled. Otherwise each start compiles 1,300 files anew.

    uv has compiled nothing, because most of the 13,000 files that it installs are never imported.
    """
    modules = [node.module for node in runpy.run_path(str(ROOT / NODE_LIST))["NODES"]]
    run(PYTHON, "-c", f"import {', '.join(modules)}")


def prepare_rendering() -> None:
    """Looks for OpenGL that renders without a screen, and prints what it found."""
    backend = ensure_rendering(PYTHON)
    if backend is not None:
        print(f"MuJoCo renders without a screen by {backend}")
        return
    packages = " ".join(package for packages in GL_BACKENDS.values() for package in packages)
    print("no OpenGL renders without a screen, so the kinematic simulator will be used instead of MuJoCo;")
    print(f"to use MuJoCo, run sudo apt-get install {packages}")


def steps() -> list[Step]:
    """Returns the steps in their order. After the step that makes the environment, all others run again."""
    lists = [*requirement_files(), "assets.txt", "constraints.txt", "installer.txt"]
    requirements = digest(ROOT / "requirements" / name for name in lists)
    builders = [ROOT / "tools" / name for name in ("build_messages.py", "repair_wheels.py")]
    builders += [path for path in (ROOT / "tools" / "rosidl_for_wheels").iterdir() if path.is_file()]
    messages = digest([*(ROOT / "msg").iterdir(), *builders, ROOT / "requirements" / "ros-wheels.txt"])
    package = digest(
        [ROOT / NODE_LIST, ROOT / "setup.py", ROOT / "setup.cfg", ROOT / "package.xml", ROOT / "pyproject.toml"]
    )
    linked = sorted(file.name for name in ("launch", "config") for file in (ROOT / name).iterdir())
    rendering = digest([ROOT / "tools" / "system_packages.py"])
    extent = "some minutes by pip" if sourced_ros() else "and as much in the cache of uv, about half a minute"
    return [
        Step(ENVIRONMENT, origin().key, make_environment, "seconds"),
        Step("Python packages", requirements, install_requirements, f"1.5 GB in .venv, {extent}"),
        Step("messages (chunk_ppo_msgs)", messages, install_messages, "compiled here, about a minute"),
        Step("the package itself", " ".join([package, *linked]), install_package, "seconds"),
        Step("OpenGL", rendering, prepare_rendering, "seconds, unless packages are installed by apt-get"),
    ]


def read_stamp() -> dict[str, str]:
    """Returns the keys of the steps that were finished in this `.venv`."""
    if not STAMP.is_file():
        return {}
    keys: dict[str, str] = json.loads(STAMP.read_text(encoding="utf-8"))
    return keys


def write_stamp(keys: dict[str, str]) -> None:
    """Records the keys of the finished steps. A crash leaves the old or the new file, never a part."""
    partial = STAMP.with_suffix(".part")
    partial.write_text(json.dumps(keys, indent=1), encoding="utf-8")
    partial.replace(STAMP)


def plan(outdated: Iterable[Step]) -> str:
    """Returns lines that say where the set-up works, by which Python, and which steps with which extent."""
    found = origin()
    lines = [f"  {step.title}{f': {step.extent}' if step.extent else ''}" for step in outdated]
    if any(step.work is make_environment for step in outdated):
        lines.append(TOTAL.format(BY_PIP if sourced_ros() else BY_UV))
    ros = f"on ROS 2 {found.ros}" if sourced_ros() else "with ROS 2 from wheels"
    return "\n".join([f"set-up of {VENV} by Python {found.python} ({found.interpreter}), {ros}:", *lines])


def run_steps() -> None:
    """Runs the steps that are not up to date and records each when it is finished."""
    finished, started = read_stamp(), time.monotonic()
    outdated = [step for step in steps() if finished.get(step.title) != step.key]
    if any(step.work is make_environment for step in outdated):
        outdated = steps()  # A new environment is empty, so all steps are needed.
    if outdated:
        print(plan(outdated), flush=True)
        ensure_build_tools()
    for step in outdated:
        print(f"--- {step.title}", flush=True)
        begin = time.monotonic()
        step.work()
        if step.work is make_environment:
            finished = {}
        finished[step.title] = step.key
        write_stamp(finished)
        print(f"--- done in {time.monotonic() - begin:.0f} s", flush=True)
    if outdated:
        print(f"set-up is done; it took {duration(time.monotonic() - started)}", flush=True)


def duration(seconds: float) -> str:
    """Returns a time as people say it, such as "3 min 59 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def main() -> int:
    """Runs the set-up and returns the exit status. A lock lets only one run at a time in a checkout."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            check_environment()
            run_steps()
        except (SetupError, InstallError, MissingPackagesError, ForeignEnvironmentError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped; `make setup` continues with the step that was interrupted", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
