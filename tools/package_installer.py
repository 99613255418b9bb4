"""Installs packages into an environment by uv, which takes a fifth of pip's time, or by pip where uv cannot.

pip alone is used where ROS 2 is sourced, because uv does not see which packages the system already has, and where pip
is configured in a way that uv cannot be told. It imports the standard library only, because set-up runs it before there
is an environment.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from logged_command import run_logged
from pip_settings import UvOptions, uv_options


class InstallError(RuntimeError):
    """Packages could not be installed. The text says which command failed."""


class PackageInstaller:
    """Installs packages into one environment. The output of uv and pip goes to a file: it is hundreds of lines long."""

    def __init__(self, python: Path, *, folder: Path, environ: Mapping[str, str], log: Path) -> None:
        """Args:
        python: the interpreter of the environment.
        folder: the folder in which the commands run.
        environ: their environment variables.
        log: the file of their output.
        """
        self._python, self._folder, self._environ, self._log = python, folder, dict(environ), log

    def by_pip(self, *arguments: str | Path) -> None:
        """Runs `pip install` with these arguments.

        Raises:
            InstallError: when pip fails.
        """
        words = self._pip_words(*arguments)
        if status := self._run(words):
            raise InstallError(
                f"`{' '.join(words)}` must succeed, got exit status {status}; see its output above and all of it in "
                f"{self._log}, then run `make setup` again (`make clean` first to start from nothing)"
            )

    def by_uv(self, tool: Path, *arguments: str | Path) -> None:
        """Runs `uv pip install` with these arguments, and says why where pip has to do it.

        Args:
            tool: the requirements file that names uv.
            arguments: what `pip install` and `uv pip install` both understand.

        Raises:
            InstallError: when pip has to do it and fails, or cannot read its own configuration.
        """
        options = self.uv_options()
        if options.unknown:
            settings = ", ".join(options.unknown)
            print(f"uv does not know pip's setting {settings}, so pip installs; it takes some minutes", flush=True)
        elif self._run(self._pip_words("-r", tool)):
            print("uv could not be installed, so pip installs all packages; it takes some minutes", flush=True)
        elif self._run(self._uv_words(options, *arguments), options.variables):
            print("uv could not install the packages, so pip tries it; it takes some minutes", flush=True)
        else:
            return
        self.by_pip(*arguments)

    def uv_options(self) -> UvOptions:
        """Returns what uv must be told. A pip that is configured to be quiet would list nothing, so it must not be.

        Raises:
            InstallError: when pip cannot read its own configuration.
        """
        words = [str(self._python), "-m", "pip", "config", "list"]
        result = subprocess.run(words, env=self._environ | {"PIP_QUIET": "0"}, capture_output=True, text=True)
        if result.returncode:
            raise InstallError(
                f"`{' '.join(words)}` must list how pip is configured, got exit status {result.returncode}: "
                f"{result.stderr.strip()}; correct the configuration of pip, then run `make setup` again"
            )
        return uv_options(result.stdout)

    def _pip_words(self, *arguments: str | Path) -> list[str]:
        words = [str(self._python), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
        return [*words, "--progress-bar=off", *map(str, arguments)]

    def _uv_words(self, options: UvOptions, *arguments: str | Path) -> list[str]:
        """Returns the command. It copies from uv's cache, because set-up changes some of the ROS wheels' files."""
        words = [str(self._python.with_name("uv")), "pip", "install", "--python", str(self._python), "--no-progress"]
        return [*words, "--link-mode", "copy", *options.flags, *map(str, arguments)]

    def _run(self, words: list[str], variables: Mapping[str, str] | None = None) -> int:
        return run_logged(words, environ=self._environ | dict(variables or {}), folder=self._folder, log=self._log)
