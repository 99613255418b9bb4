#!/usr/bin/env bash
# Runs a command with the ROS 2 that is installed below /opt/ros, if there is one. The Containerfile uses it.
set -eo pipefail
for setup in /opt/ros/*/setup.bash; do
  if [ -f "$setup" ]; then
    source "$setup"
  fi
done
exec "$@"
