"""The exit codes of the program. They are listed here and nowhere else."""

from __future__ import annotations

from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, FRESH_UNASKED, RUNTIME_ERROR

INTERRUPTED = 130
"""The exit code after Ctrl-C, which is 128 + SIGINT."""

OUTPUT_CLOSED = 141
"""The exit code where nobody reads the output any more, which is 128 + SIGPIPE."""

EXIT_CODES = {
    0: "all is well",
    RUNTIME_ERROR: "something failed, or a check found an error or a difference",
    CONFIGURATION_ERROR: "a command, a flag, a setting, a file or a folder is not as it must be; one line says what",
    FRESH_UNASKED: "a training ended well, but from fresh weights that nobody asked for (--on_load_failure fallback)",
    INTERRUPTED: "stopped by Ctrl-C; 128 + N stands for another signal N, such as 143 for SIGTERM",
}
"""What each exit code of a command means."""
