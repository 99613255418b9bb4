"""Tests what a package brings beside its code: manifests, changelog, citation, container file, and first commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from catkin_pkg.changelog import get_changelog_from_path
from catkin_pkg.package import parse_package

import chunk_ppo_ros

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import system_packages  # noqa: E402

CONTAINER = (ROOT / "Containerfile").read_text()
INSTRUCTIONS = [
    line.split(maxsplit=1) for line in CONTAINER.replace("\\\n", " ").splitlines() if line and not line.startswith("#")
]
OBSOLETE = pytest.mark.filterwarnings("ignore:nodes.Node.traverse:DeprecationWarning")
"""Marks tests that call catkin_pkg's reader of changelogs, which calls an obsolete function of docutils."""
CFF_KEYS = {
    *("cff-version", "message", "authors", "title", "type", "version", "date-released", "license", "abstract"),
    *("keywords", "url", "repository", "repository-code", "license-url", "doi", "identifiers", "contact", "commit"),
    *("references", "preferred-citation", "repository-artifact"),
}
"""The keys that version 1.2.0 of the Citation File Format knows."""


@pytest.mark.parametrize("manifest", ["package.xml", "msg/package.xml"])
def test_manifests_are_what_the_tools_of_ros_read_without_a_warning(manifest: str) -> None:
    warnings: list[str] = []
    package = parse_package(str(ROOT / manifest), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == [] and package.package_format == 3


@OBSOLETE
def test_the_changelog_is_in_the_form_of_ros_and_has_this_version() -> None:
    changelog = get_changelog_from_path(str(ROOT))
    assert changelog is not None
    versions = {version: date for version, date, _ in changelog.foreach_version()}
    assert versions[chunk_ppo_ros.__version__] is not None
    titles = re.findall(r"^(.+)\n-+$", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert titles[0] == "Forthcoming" or titles[0].startswith(chunk_ppo_ros.__version__)


@OBSOLETE
def test_the_citation_has_the_keys_of_its_format_and_says_what_the_package_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "authors", "title"} <= set(citation) <= CFF_KEYS
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert all(
        set(author) <= {"name", "family-names", "given-names", "orcid", "email"} for author in citation["authors"]
    )
    assert citation["version"] == chunk_ppo_ros.__version__
    changelog = get_changelog_from_path(str(ROOT))
    assert changelog is not None
    dates = {version: date for version, date, _ in changelog.foreach_version()}
    released = dates[chunk_ppo_ros.__version__]
    assert released is not None and citation["date-released"] == released.date()
    assert [citation["license"]] == parse_package(str(ROOT / "package.xml")).licenses


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_first_page_says_how_to_cite_the_package(page: str) -> None:
    assert "CITATION.cff" in (ROOT / page).read_text(encoding="utf-8")


def test_what_the_container_file_copies_is_there() -> None:
    copied = [words.split() for name, words in INSTRUCTIONS if name == "COPY"]
    sources = [
        source for *many, _ in copied for source in many if not source.startswith("--from") and "/opt" not in source
    ]
    assert {"chunk_ppo_ros", "msg", "tools"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    stages = re.findall(r"^FROM \S+ AS (\w+)$", CONTAINER, re.MULTILINE)
    assert re.findall(r"--from=(\w+)", CONTAINER) == stages
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ".venv" in ignored and not set(ignored) & set(sources)


def test_the_container_file_starts_a_program_that_it_has_copied() -> None:
    (entry,) = re.findall(r'^ENTRYPOINT \["/opt/chunk_ppo_ros/(\S+)", "chunk_ppo"\]$', CONTAINER, re.MULTILINE)
    assert os.access(ROOT / entry, os.X_OK) and entry.startswith("tools/")
    assert f"RUN {entry} make setup" in CONTAINER


def builder() -> str | None:
    """Returns docker or podman, where one is installed and may be used."""
    for program in filter(shutil.which, ("docker", "podman")):
        if subprocess.run([program, "info"], capture_output=True).returncode == 0:
            return program
    return None


@pytest.mark.slow
def test_the_container_file_builds_an_image_whose_program_starts() -> None:
    program = builder()
    if program is None:
        pytest.skip("neither docker nor podman is installed and may be used here")
    build = [program, "build", "-f", "Containerfile", "-t", "chunk_ppo:test", "."]
    subprocess.run(build, cwd=ROOT, check=True)
    try:
        run = subprocess.run([program, "run", "--rm", "chunk_ppo:test"], capture_output=True, text=True, check=True)
    finally:
        subprocess.run([program, "rmi", "chunk_ppo:test"], capture_output=True, check=True)
    assert "chunk_ppo" in run.stdout


def test_the_container_file_installs_what_set_up_and_rendering_need() -> None:
    build, last = (stage.split() for stage in CONTAINER.split("\nFROM ")[1:])
    assert {"g++", "make", "python3-dev", "python3-venv", *system_packages.GL_BACKENDS["egl"]} <= set(build)
    assert {"make", "python3", *system_packages.GL_BACKENDS["egl"]} <= set(last)


def test_all_documents_install_the_package_on_ros_by_the_same_commands() -> None:
    """rosdep has no jax: set-up brings it, and the colcon of its environment makes nodes that find it."""
    commands = (
        "rosdep install --from-paths src --ignore-src -y",
        "make -C src/chunk_ppo_ros setup",
        "src/chunk_ppo_ros/.venv/bin/colcon build",
        "source install/setup.bash",
    )
    texts = {path.relative_to(ROOT): path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
    naming = {str(path): text for path, text in texts.items() if "rosdep install" in text}
    assert {"CONTRIBUTING.md", "docs/install.md"} <= set(naming)
    for name, text in naming.items():
        places = [text.find(command) for command in commands]
        assert -1 not in places and places == sorted(places), f"{name}: {places}"


def test_the_contribution_guide_begins_with_three_commands() -> None:
    first = re.search(r"```(?:bash)?\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert first is not None
    assert [line.partition("#")[0].strip() for line in first[1].splitlines()] == [
        "make setup",
        "make test",
        "make lint",
    ]


NOT_IN_THE_SOURCE_DISTRIBUTION = {
    ".ci/run": "only the checks of the repository call it",
    ".gitattributes": "only git reads it",
    ".gitignore": "only git reads it",
    ".pre-commit-config.yaml": "pre-commit runs in a git repository alone",
}


def test_the_source_distribution_has_what_the_repository_has(tmp_path: Path) -> None:
    """So its `make setup`, `make demo`, `make test` and documents work too."""
    if not (ROOT / ".git").exists():
        pytest.skip("the files of the repository are known where it is a clone of git")
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    repository = {name for name in listed if (ROOT / name).is_file()}
    info = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(info, cwd=ROOT, capture_output=True, check=True)
    (sources,) = tmp_path.glob("*/SOURCES.txt")
    distribution = {name for name in sources.read_text().splitlines() if not Path(name).is_absolute()}
    assert sorted(repository - distribution) == sorted(NOT_IN_THE_SOURCE_DISTRIBUTION)
    assert sorted(distribution - repository) == []


def test_ament_finds_no_fault_with_the_build_of_the_messages() -> None:
    """The other linters of ament read Python, which ruff checks by the rules of this package."""
    lint_cmake = pytest.importorskip("ament_lint_cmake.main", reason="ament_lint_cmake comes with a ROS 2 from apt")
    assert lint_cmake.main(argv=[str(ROOT / "msg" / "CMakeLists.txt")]) == 0
