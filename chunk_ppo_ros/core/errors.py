"""Errors that a user can mend: their text says what is wrong and what to do, so they are shown without a traceback."""

from __future__ import annotations

RUNTIME_ERROR = 1
"""Exit code of a node that gives up with a UserError."""

CONFIGURATION_ERROR = 2
"""Exit code of a node that refuses its configuration; to start it anew would not help."""


class UserError(Exception):
    """Base of errors whose text is meant for the user."""


class CheckpointError(UserError):
    """A checkpoint is missing, incomplete, foreign or does not fit; or it cannot be written."""


class SimulatorUnavailable(UserError):
    """The simulator cannot run on this machine; the text names what to install and what to use instead."""


class ChunksRefused(UserError):
    """So many chunks in a row were refused that the policy will not get on by itself."""


class EpisodesError(UserError):
    """Recorded episodes are missing, damaged, of an unknown format, or lack what is asked of them."""


class RewardError(UserError, ValueError):
    """Reward terms cannot be summed."""


class RegistryError(UserError, ValueError):
    """A task, reader, reward term or back end is not registered under the name that was given, or cannot be used."""


class SettingError(UserError, ValueError):
    """A setting names something that the robot, the simulator or the task does not have."""
