"""Runs `python -m documentation`, which builds the site into site/."""

from __future__ import annotations

import argparse
import pathlib
import sys

from documentation import site


def main() -> int:
    """Builds the site and returns the exit status."""
    parser = argparse.ArgumentParser(prog="make docs", description="Builds the documentation site into site/.")
    parser.add_argument("--python", type=pathlib.Path, help="interpreter that has requirements/docs.txt already")
    parsed = parser.parse_args()
    try:
        site.build(parsed.python)
    except site.BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {site.SITE / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
