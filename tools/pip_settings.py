"""Says to uv what pip is configured to do, so that a laboratory's mirror, proxy and certificates are used by both.

uv reads neither pip's configuration files nor the PIP_ variables. It imports the standard library only, because set-up
runs it before there is an environment.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable

LISTS = {
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "trusted-host": "--allow-insecure-host",
    "constraint": "--constraints",
}
"""The settings of pip with several values, divided by spaces or lines, and uv's flag for each value."""

VARIABLES = {
    "cert": ("SSL_CERT_FILE",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
}
"""The settings of pip that uv takes from the environment, and the variables."""

SCOPES = ("global", "install", ":env:")
"""The parts of pip's configuration that `pip install` follows. A later one goes before an earlier one."""

TRUE = ("1", "true", "yes", "on", "y", "t")
OFF = ("0", "false", "no", "off", "n", "f", "")
"""How pip's configuration says that a setting is off, as pip is without the setting."""

WITHOUT_EFFECT = frozenset(
    {
        *("break-system-packages", "cache-dir", "config-file", "disable-pip-version-check", "exists-action", "log"),
        *("no-cache-dir", "no-color", "no-compile", "no-input", "no-python-version-warning", "no-warn-conflicts"),
        *("no-warn-script-location", "progress-bar", "quiet", "require-virtualenv", "require-venv"),
        *("resume-retries", "retries", "root-user-action", "verbose"),
    }
)
"""The settings of pip that do not change what is installed from where."""


@dataclasses.dataclass(frozen=True)
class UvOptions:
    """What uv must be told to do as pip is configured.

    Attributes:
        flags: flags of `uv pip install`.
        variables: environment variables.
        unknown: settings of pip that uv is not told. Where there is one, pip itself must install.
    """

    flags: list[str]
    variables: dict[str, str]
    unknown: list[str]


def uv_options(listing: str) -> UvOptions:
    """Returns what uv must be told.

    Args:
        listing: the output of `pip config list`, with lines such as `global.index-url='...'` and `:env:.cert='...'`.
    """
    flags: list[str] = []
    variables: dict[str, str] = {}
    unknown: list[str] = []
    for name, value in _settings(listing.splitlines()).items():
        if name in LISTS:
            flags += [word for part in value.split() for word in (LISTS[name], part)]
        elif name == "index-url":
            flags += ["--default-index", value]
        elif name == "no-index":
            flags += ["--no-index"] if value.lower() in TRUE else []
        elif name in VARIABLES:
            variables |= dict.fromkeys(VARIABLES[name], value)
        elif name not in WITHOUT_EFFECT and value.lower() not in OFF:
            unknown.append(name)
    if "--index" in flags:  # pip takes the newest release of all indexes, uv that of the first which has the package.
        flags += ["--index-strategy", "unsafe-best-match"]
    return UvOptions(flags, variables, unknown)


def _settings(lines: Iterable[str]) -> dict[str, str]:
    """Returns the values that `pip install` follows, by the names of the settings."""
    found: dict[str, dict[str, str]] = {scope: {} for scope in SCOPES}
    for line in lines:
        key, _, value = line.partition("=")
        scope, _, name = key.rpartition(".")
        if scope in found:
            found[scope][name] = str(ast.literal_eval(value))
    return {name: value for scope in SCOPES for name, value in found[scope].items()}
