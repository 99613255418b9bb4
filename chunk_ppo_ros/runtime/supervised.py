"""Lets a process end with the one that started it, however that ends.

This file also runs a module in such a process. The command is
`python -m chunk_ppo_ros.runtime.supervised PARENT_ID MODULE ARGUMENTS`.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

from chunk_ppo_ros.runtime import interrupts

_PR_SET_PDEATHSIG = 1  # The number is that of linux/prctl.h.


VARIABLE = "CHUNK_PPO_ROS_ENDS_WITH"
"""The name of the environment variable that holds the id of the process with which a node ends."""


def die_with_parent(parent_id: int) -> None:
    """Asks the kernel to kill this process when its parent ends in any way. It does nothing outside Linux.

    Raises:
        OSError: where the kernel refuses the request.
    """
    _ask_for(signal.SIGKILL)
    if sys.platform == "linux" and os.getppid() != parent_id:  # The parent ended before the request.
        os._exit(1)


def end_with_launch() -> None:
    """Lets this process get SIGTERM when its parent ends, where VARIABLE names a process. Only Linux can do so.

    `ros2 launch` that is ended by SIGTERM, SIGKILL or the end of its terminal ends none of its processes. A node that
    is told has time to let the robot brake, and to close its files. The process of VARIABLE need not be the parent
    itself, because a debugger may stand between.

    Raises:
        OSError: where the kernel refuses the request.
    """
    launch_id = os.environ.pop(VARIABLE, "")
    if not launch_id:
        return
    _ask_for(signal.SIGTERM)
    try:
        os.kill(int(launch_id), 0)
    except ProcessLookupError:  # It ended before the request.
        os.kill(os.getpid(), signal.SIGTERM)


def _ask_for(number: signal.Signals) -> None:
    """Asks the kernel to send this process a signal when its parent ends. It does nothing outside Linux."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


if __name__ == "__main__":
    interrupts.end_quietly()  # This holds until the module handles SIGINT itself.
    die_with_parent(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
