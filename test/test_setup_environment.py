"""Tests what set-up does to an existing `.venv`: a link, one of another place or interpreter, and its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from chunk_ppo_ros.runtime.description import NODES

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import setup_environment  # noqa: E402
from venv_origin import Origin  # noqa: E402


class Checkout:
    """A checkout in a scratch folder whose set-up has two steps. `done` lists the steps and commands that ran."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.venv, self.stamp = root, root / ".venv", root / ".venv" / "setup_steps.json"
        self.done: list[str] = []
        root.mkdir()
        for name, path in (("ROOT", root), ("VENV", self.venv), ("STAMP", self.stamp), ("LOCK", root / "lock")):
            monkeypatch.setattr(setup_environment, name, path)
        monkeypatch.setattr(
            setup_environment, "run", lambda *command: self.done.append(" ".join(map(str, command[:3])))
        )
        monkeypatch.setattr(setup_environment, "ensure_build_tools", lambda: None)
        monkeypatch.setattr(setup_environment, "steps", self._steps)

    def _run(self, *command: str | Path) -> None:
        self.done.append(" ".join(map(str, command[:3])))

    def _steps(self) -> list[setup_environment.Step]:
        return [
            setup_environment.Step(
                setup_environment.ENVIRONMENT, setup_environment.origin().key, setup_environment.make_environment
            ),
            setup_environment.Step("packages", "1", lambda: self.done.append("packages"), "a minute"),
        ]

    def put(self, key: str, *, packages: str = "1") -> None:
        """Puts a `.venv` there with a file of the user's."""
        self.venv.mkdir()
        (self.venv / "mine").write_text("precious")
        self.stamp.write_text(json.dumps({setup_environment.ENVIRONMENT: key, "packages": packages}))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    return Checkout(tmp_path / "checkout", monkeypatch)


MAKES = f"{os.path.realpath(sys.executable)} -m venv"


def test_an_environment_is_made_once_and_the_plan_is_said(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup_environment.main() == 0
    assert checkout.done == [MAKES, "packages"]
    said = capsys.readouterr().out
    assert f"set-up of {checkout.venv} by Python" in said and "with ROS 2 from wheels" in said
    assert "  packages: a minute\nall of it takes about two minutes on two cores" in said
    assert said.splitlines()[-1].startswith("set-up is done; it took ")
    assert setup_environment.main() == 0
    assert checkout.done == [MAKES, "packages"]
    assert capsys.readouterr().out == ""


def test_a_link_is_refused_and_what_it_points_to_is_whole(
    checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "mine").write_text("precious")
    checkout.venv.symlink_to(target)
    assert setup_environment.main() == 1
    assert f"got a link to {target}, which is left as it is; remove the link (rm .venv)" in capsys.readouterr().err
    assert (target / "mine").read_text() == "precious" and not checkout.done


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"place": "/another/place"}, "got one made for /another/place, and an environment cannot be moved"),
        ({"interpreter": "/opt/python3.11"}, "run `make setup PYTHON=/opt/python3.11` to keep it"),
        ({"python": "3.99"}, "got one made by Python 3.99"),
    ],
)
def test_an_environment_of_another_place_or_interpreter_is_refused(
    checkout: Checkout, change: dict[str, str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads(setup_environment.origin().key) | change
    checkout.put(json.dumps(values))
    assert setup_environment.main() == 1
    error = capsys.readouterr().err
    assert text in error and "`make clean` and `make setup`" in error
    assert (checkout.venv / "mine").read_text() == "precious" and not checkout.done


def test_a_folder_that_set_up_did_not_make_is_refused(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.venv.mkdir()
    assert setup_environment.main() == 1
    assert "must have been made by `make setup`, got one that does not say so" in capsys.readouterr().err
    assert checkout.venv.is_dir() and not checkout.done


def test_an_interrupted_beginning_is_gone_on_with(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*command: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup_environment, "run", interrupted)
        assert setup_environment.main() == 130
    assert setup_environment.main() == 0
    assert checkout.done == [MAKES, "packages"]


class Installer:
    """Notes by what packages are installed."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def by_pip(self, *arguments: object) -> None:
        self.done.append("pip")

    def by_uv(self, *arguments: object) -> None:
        self.done.append("uv")


@pytest.mark.parametrize("distribution", ["", "jazzy"])
def test_on_a_sourced_ros_pip_installs_and_set_up_says_why_and_how_long_it_takes(
    distribution: str, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if distribution:
        monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/{distribution}")
        monkeypatch.setenv("ROS_DISTRO", distribution)
    used = Installer()
    monkeypatch.setattr(setup_environment, "installer", lambda: used)
    setup_environment.install_requirements()
    assert used.done == ["pip" if distribution else "uv", "pip"]
    assert ("ROS 2 is sourced: pip installs, because" in capsys.readouterr().out) == bool(distribution)
    assert setup_environment.main() == 0
    assert f"all of it takes about {'four' if distribution else 'two'} minutes" in capsys.readouterr().out


def test_the_modules_of_all_nodes_are_compiled_at_set_up(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    place = checkout.root / setup_environment.NODE_LIST
    place.parent.mkdir(parents=True)
    place.write_text((TOOLS.parent / setup_environment.NODE_LIST).read_text())
    run: list[str] = []
    monkeypatch.setattr(setup_environment, "run", lambda *command: run.append(str(command[-1])))
    setup_environment.compile_modules()
    assert run == [f"import {', '.join(node.module for node in NODES)}"]


def test_another_ros_makes_it_anew_with_everything_in_it(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.put(setup_environment.origin().key)
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert setup_environment.main() == 0
    assert checkout.done == [MAKES, "packages"]
    assert not (checkout.venv / "mine").exists()


def test_an_environment_of_version_0_1_0_is_taken_over(checkout: Checkout) -> None:
    checkout.put(f"{platform.python_version()} {sys.executable} {checkout.root} None")
    assert setup_environment.main() == 0
    assert not checkout.done
    assert json.loads(checkout.stamp.read_text())[setup_environment.ENVIRONMENT] == setup_environment.origin().key


def test_one_of_version_0_1_0_for_another_place_is_refused(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.put(f"{platform.python_version()} {sys.executable} /old/place None")
    assert setup_environment.main() == 1
    assert "got one made for /old/place" in capsys.readouterr().err


def test_an_activated_environment_counts_as_what_it_was_made_by(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "toy"], check=True)
    program = (
        f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import pathlib, venv_origin;"
        "print(venv_origin.Origin.of_this_run(pathlib.Path('/place'), None).key)"
    )
    answer = subprocess.run(
        [tmp_path / "toy" / "bin" / "python", "-c", program], check=True, capture_output=True, text=True
    )
    assert Origin.from_key(answer.stdout.strip()) == Origin.of_this_run(Path("/place"), None)


def test_the_python_that_is_named_may_be_in_a_folder_with_a_space(tmp_path: Path) -> None:
    python = tmp_path / "my robot" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools" / "setup.sh"
    script.write_text((TOOLS / "setup.sh").read_text())
    (tmp_path / "tools" / "setup_environment.py").write_text("import sys\nprint(sys.executable)\n")
    environ = {"PATH": os.environ["PATH"], "PYTHON": str(python)}
    ran = subprocess.run(["bash", script], env=environ, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.strip()) == (0, str(python)), ran.stderr
