"""Runs a command beside fake cameras and fake drivers of both followers, to try commands and the back end by hand.

The drivers have the times of the real ones.

    .venv/bin/python test/support/run_fake_drivers.py .venv/bin/python -m chunk_ppo_ros.nodes.robot.robot_node \\
        --ros-args -p robot.backend:=interbotix -p env.simulator:=none

The command finds the interface package of the fake drivers. Its exit status is returned.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.interbotix_messages import interface_folder

REGISTER_TIME, REBOOT_TIME = 0.01, 1.0  # s, the real driver's


def main(command: Sequence[str]) -> int:
    """Runs the command until it ends or is interrupted, and returns its exit status."""
    folder = str(interface_folder())
    sys.path.insert(0, folder)
    from support.fake_cameras import FakeCameras
    from support.fake_driver import running_driver
    from support.spinner import spinning

    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    with ExitStack() as stack:
        stack.callback(rclpy.shutdown)
        times = {"register_time": REGISTER_TIME, "reboot_time": REBOOT_TIME}
        drivers = {side: stack.enter_context(running_driver(side, **times)) for side in ("left", "right")}
        shown = {side: side for side in drivers}
        stack.enter_context(spinning(FakeCameras(lambda side: drivers[side].motors.positions["gripper"], shown)))
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # The command gets the signal too, and ends by it.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
