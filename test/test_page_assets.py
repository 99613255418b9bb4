"""Tests that uPlot and MathJax are here as their authors published them, and that an installed package finds uPlot."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

# The checksums (SHA-256) of the files in the package uplot-1.6.32.tgz from npm.
PUBLISHED = {
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "package.json": "6bfea8e275a2f8194e2395d2dc15f64151e69f141db19741e5a5afe75ba4180b",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}

# The checksums (SHA-256) of LICENSE and es5/tex-svg.js in the package mathjax-3.2.2.tgz from npm.
MATHJAX = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "tex-svg.js": "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882",
}


@pytest.mark.parametrize("name", MATHJAX)
def test_mathjax_is_unmodified(name: str, repository: Path) -> None:
    content = (repository / "third_party" / "mathjax" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == MATHJAX[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_uplot_is_unmodified(name: str, repository: Path) -> None:
    content = (repository / "third_party" / "uplot" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED[name]


def test_a_built_package_has_the_files_of_a_page_and_makes_one(tmp_path: Path, repository: Path) -> None:
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "built")]
    subprocess.run(build, cwd=repository, check=True, capture_output=True, timeout=60)
    program = (
        "from chunk_ppo_ros.reporting.page import assets\n"
        "print(assets.__file__)\n"
        "assert 'Leon Sorokin' in assets.script() and '.u-legend' in assets.style()\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'built')!r})\n{program}"]
    found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    assert Path(found.stdout.strip()).is_relative_to(tmp_path)
