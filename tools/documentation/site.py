"""Builds the site: makes the environment of Sphinx, collects the sources, runs Sphinx, and checks what it wrote."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from documentation import sources
from documentation.offline import loaded_from_elsewhere

ROOT = pathlib.Path(__file__).resolve().parents[2]
SITE = ROOT / "site"
_CACHE = ROOT / ".cache" / "docs"
_REQUIREMENTS = ROOT / "requirements" / "docs.txt"


class BuildError(RuntimeError):
    """The site cannot be built. The text says what to do."""


def build(python: pathlib.Path | None = None) -> None:
    """Builds the site into `site/`.

    Args:
        python: interpreter of an environment that has `requirements/docs.txt`; None makes one below `.cache/docs/`.

    Raises:
        BuildError: where Sphinx warns, or where a page loads something from elsewhere.
    """
    source = _CACHE / "source"
    interpreter = _environment() if python is None else python
    sources.collect(ROOT, source)
    shutil.rmtree(SITE, ignore_errors=True)
    strict = ("-q", "-W", "--keep-going")
    _run(
        interpreter, "-m", "sphinx", "-b", "html", *strict, "-c", ROOT / "docs", "-d", _CACHE / "doctrees", source, SITE
    )
    loads = list(loaded_from_elsewhere(SITE))
    if loads:
        raise BuildError("a page must load nothing from elsewhere, got:\n" + "\n".join(loads))


def _environment() -> pathlib.Path:
    """Returns the interpreter of Sphinx's environment, which is made anew when the requirements have changed."""
    key = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    folder = _CACHE / "environment"
    stamp = folder / "requirements_key"
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != key:
        print("making an environment for Sphinx in .cache/docs (80 MB, half a minute)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", folder)
        _run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", _REQUIREMENTS)
        stamp.write_text(key, encoding="utf-8")
    return python


def _run(*command: str | pathlib.Path) -> None:
    """Runs a command without the variables by which it would find the packages of another environment."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environ = {name: value for name, value in os.environ.items() if name not in foreign}
    status = subprocess.run([str(part) for part in command], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL).returncode
    if status:
        raise BuildError(
            f"`{' '.join(map(str, command))}` must succeed, got exit status {status}; see its output above"
        )
