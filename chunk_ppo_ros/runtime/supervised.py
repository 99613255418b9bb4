"""Runs a module in a process that cannot outlive its parent.

The command is `python -m chunk_ppo_ros.runtime.supervised PARENT_ID MODULE ARGUMENTS`.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

from chunk_ppo_ros.runtime import interrupts

_PR_SET_PDEATHSIG = 1  # The number is that of linux/prctl.h.


def die_with_parent(parent_id: int) -> None:
    """Asks the kernel to kill this process when its parent ends in any way. It does nothing outside Linux.

    Raises:
        OSError: where the kernel refuses the request.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_id:  # The parent ended before the request.
        os._exit(1)


if __name__ == "__main__":
    interrupts.end_quietly()  # This holds until the module handles SIGINT itself.
    die_with_parent(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
