"""Installs the Python package, and with it the interface package chunk_ppo_msgs, which is built from `msg/`.

colcon does not look for packages inside a package, so `msg/` is built here: after a normal install (`colcon build`,
`pip install --no-build-isolation .`) and after develop (`colcon build --symlink-install`), into the same prefix.
"""

from __future__ import annotations

import re
import runpy
import sys
import sysconfig
from pathlib import Path

from setuptools import Command, Distribution, find_packages, setup
from setuptools.command.develop import develop
from setuptools.command.install import install

ROOT = Path(__file__).resolve().parent  # colcon --symlink-install runs a link to this file from its build folder
sys.path.insert(0, str(ROOT / "tools"))

from build_messages import build_messages  # noqa: E402

NAME = "chunk_ppo_ros"
UPLOT = f"{NAME}.reporting.page.uplot"  # where the pages find uPlot, which a checkout has in third_party/
PROGRAMS = ("chunk_ppo", NAME)  # The same program has two names; the second is that of `ros2 run` in earlier releases.
NODES = runpy.run_path(str(ROOT / NAME / "runtime" / "description.py"))["NODES"]  # the package is not installed yet


def install_messages(command: Command) -> None:
    """Builds chunk_ppo_msgs into the prefix of an install or develop command, in a folder of its build base."""
    prefix = Path(command.get_finalized_command("install").install_data).resolve()
    build_base = Path(command.get_finalized_command("build").build_base).resolve()
    build_messages(prefix, build_folder=build_base / f"chunk_ppo_msgs-{sysconfig.get_config_var('SOABI')}")


class InstallWithMessages(install):
    """The normal install, then the messages."""

    def run(self) -> None:
        super().run()
        install_messages(self)


class DevelopWithMessages(develop):
    """The develop step of `colcon build --symlink-install`, then the messages."""

    def run(self) -> None:
        super().run()
        install_messages(self)


class BinaryDistribution(Distribution):
    """A distribution with compiled parts: its wheels carry the tag of one Python and one platform."""

    def has_ext_modules(self) -> bool:
        return True


def version() -> str:
    """Returns `__version__` of the package, without importing it."""
    text = (ROOT / NAME / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f'{NAME}/__init__.py must have a line __version__ = "<version>", got none')
    return match[1]


def requirements() -> list[str]:
    """Returns the pinned run-time requirements, from the one list that has them."""
    lines = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def files(pattern: str) -> list[str]:
    """Returns the files of the checkout that match `pattern`, relative to its root."""
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.is_file())


setup(
    name=NAME,
    version=version(),
    description="Online reinforcement learning of a Pi0-FAST policy on a bimanual ALOHA, in ROS 2",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=[NAME, f"{NAME}.*"]), UPLOT],
    package_dir={UPLOT: "third_party/uplot"},
    package_data={"": ["*.json", "*.xml", "*.yaml", "*.css", "*.js", "py.typed"], UPLOT: ["LICENSE"]},
    install_requires=requirements(),
    zip_safe=False,
    distclass=BinaryDistribution,
    cmdclass={"install": InstallWithMessages, "develop": DevelopWithMessages},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", files("launch/*.py")),
        # colcon links what is listed here into the folder from which it runs this file with --symlink-install.
        (f"share/{NAME}/third_party/uplot", files("third_party/uplot/*")),
        (f"share/{NAME}/config", files("config/*.yaml") + files("config/*.perspective") + files("config/*.json")),
    ],
    entry_points={
        "console_scripts": [
            *(f"{program} = {NAME}.__main__:run" for program in PROGRAMS),
            *(f"{node.name} = {node.module}:main" for node in NODES),
        ]
    },
)
