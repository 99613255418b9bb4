"""Tests that uv is told what pip is configured to do, and that pip installs where uv cannot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from package_installer import InstallError, PackageInstaller  # noqa: E402
from pip_settings import UvOptions, uv_options  # noqa: E402

LISTING = r"""
:env:.cert='/certificates.crt'
:env:.disable-pip-version-check='1'
:env:.find-links='/wheels /more wheels'
download.index-url='for-downloads'
global.default-timeout='180'
global.extra-index-url='file:///one\nfile:///two'
global.find-links='/of-the-file'
global.index-url='from-the-global-part'
global.no-index='false'
install.index-url='from-the-install-part'
"""


def test_uv_is_told_what_pip_is_configured_to_do() -> None:
    assert uv_options(LISTING) == UvOptions(
        flags=[
            *("--index", "file:///one", "--index", "file:///two"),
            *("--find-links", "/wheels", "--find-links", "/more", "--find-links", "wheels"),
            *("--default-index", "from-the-install-part"),
            *("--index-strategy", "unsafe-best-match"),
        ],
        variables={"UV_HTTP_TIMEOUT": "180", "SSL_CERT_FILE": "/certificates.crt"},
        unknown=[],
    )
    assert uv_options("") == UvOptions([], {}, [])


@pytest.mark.parametrize(("line", "flags"), [("no-index='1'", ["--no-index"]), ("no-index='yes'", ["--no-index"])])
def test_an_index_that_is_not_to_be_used_is_not_used(line: str, flags: list[str]) -> None:
    assert uv_options(f"global.{line}") == UvOptions(flags, {}, [])


def test_a_setting_that_uv_is_not_told_is_named() -> None:
    listing = "global.require-hashes='true'\n:env:.client-cert='/c'"
    assert uv_options(listing).unknown == ["require-hashes", "client-cert"]


PROGRAM = """#!/bin/sh
echo "$0 $*" >> {done}
case "$*" in *"config list"*) test "$PIP_QUIET" = 0 && echo "{listing}"; echo "{error}" >&2 ;; esac
case "$0 $*" in {fails}) exit 3 ;; esac
"""
"""What the tests put in the place of the interpreter and of uv: it notes its arguments, and fails where told."""


def test_settings_that_change_nothing_in_an_environment_leave_the_work_to_uv() -> None:
    """Images of containers set the first one, and `pip config list` names the file that it has read."""
    listing = ":env:.break-system-packages='1'\n:env:.config-file='/etc/pip.conf'\nglobal.user='false'\n:env:.pre='0'"
    assert uv_options(listing) == UvOptions([], {}, [])


class Environment:
    """An environment whose programs note that they were run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.done = folder, folder / "done"
        self.installer = PackageInstaller(folder / "python", folder=folder, environ=os.environ, log=folder / "log")

    def put(self, *, listing: str = "", fails: str = "nothing", error: str = "") -> None:
        for name in ("python", "uv"):
            program = self.folder / name
            program.write_text(PROGRAM.format(done=self.done, listing=listing, fails=fails, error=error))
            program.chmod(0o755)

    def installed(self) -> list[str]:
        """Returns which program installed what."""
        lines = [line for line in self.done.read_text().splitlines() if " install" in line]
        return [f"{Path(words[0]).name} {words[-1]}" for words in map(str.split, lines)]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


def test_uv_is_installed_and_installs(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    environment.put()
    environment.installer.by_uv(Path("uv.txt"), "jax")
    assert environment.installed() == ["python uv.txt", "uv jax"]
    assert "--link-mode copy" in environment.done.read_text()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("listing", "fails", "installed", "said"),
    [
        ("", "*uv.txt", ["python uv.txt", "python jax"], "uv could not be installed"),
        ("", "*/uv*", ["python uv.txt", "uv jax", "python jax"], "uv could not install the packages"),
        ("global.user='1'", "nothing", ["python jax"], "uv does not know pip's setting user"),
    ],
)
def test_pip_installs_where_uv_cannot_and_says_why(
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    listing: str,
    fails: str,
    installed: list[str],
    said: str,
) -> None:
    environment.put(listing=listing, fails=fails)
    environment.installer.by_uv(Path("uv.txt"), "jax")
    assert environment.installed() == installed
    assert said in capsys.readouterr().out


def test_a_failing_pip_names_the_command_its_log_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "setup.log"
    installer = PackageInstaller(Path(sys.executable), folder=tmp_path, environ=os.environ, log=log)
    with pytest.raises(InstallError) as failed:
        installer.by_pip("--no-index", "a-package-that-nobody-has")
    assert "install --no-input --progress-bar=off --no-index a-package-that-nobody-has` must succeed" in str(
        failed.value
    )
    assert f"see its output above and all of it in {log}, then run `make setup` again" in str(failed.value)
    assert "No matching distribution found" in capsys.readouterr().out
    assert "No matching distribution found" in log.read_text()


def test_where_pip_fails_too_the_text_has_the_command_and_the_log(environment: Environment) -> None:
    environment.put(fails="*jax")
    with pytest.raises(InstallError, match="install --no-input .* jax` must succeed, got exit status 3; .*log"):
        environment.installer.by_uv(Path("uv.txt"), "jax")


def test_a_pip_that_is_configured_to_be_quiet_still_says_how_it_is_configured(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise uv would not be told of the mirror of a laboratory, and would install from elsewhere."""
    monkeypatch.setenv("PIP_QUIET", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    installer = PackageInstaller(Path(sys.executable), folder=environment.folder, environ=os.environ, log=Path("log"))
    assert "--no-index" in installer.uv_options().flags


def test_a_configuration_that_pip_cannot_read_is_one_error(environment: Environment) -> None:
    environment.put(fails="*list", error="line 3 has no section")
    text = "config list` must list how pip is configured, got exit status 3: line 3 has no section; correct"
    with pytest.raises(InstallError, match=text):
        environment.installer.by_uv(Path("uv.txt"), "jax")
