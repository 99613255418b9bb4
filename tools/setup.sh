#!/usr/bin/env bash
# Finds a Python that has the right version, and runs setup_environment.py with it. PYTHON=/path/to/python names one instead.
# Where ROS 2 is sourced, that Python must also import its rclpy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

sourced=${AMENT_PREFIX_PATH:+${ROS_DISTRO:-}}
check="import sys; assert (3, 11) <= sys.version_info < (3, 15)"
rule="Python 3.11 to 3.14"
if [ -n "$sourced" ]; then
  check="$check; import rclpy"
  rule="Python >= 3.11 that imports rclpy of the sourced ROS 2 $sourced (Jazzy, Kilted)"
fi

candidates=(python3 /usr/bin/python3 python3.12 python3.13 python3.11 python3.14)
if [ -n "${PYTHON:-}" ]; then
  candidates=("$PYTHON")
fi
for python in "${candidates[@]}"; do
  if "$python" -c "$check" >/dev/null 2>&1; then
    exec "$python" tools/setup_environment.py
  fi
done

echo "error: make setup needs $rule, but found none${PYTHON:+ in PYTHON=$PYTHON}." >&2
echo "Install it (on Debian and Ubuntu: apt-get install python3 python3-venv python3-dev), or name it: make setup PYTHON=/path/to/python3" >&2
exit 1
