"""Errors that a user can repair. Their text says what is wrong and what to do, so no traceback is shown."""

from __future__ import annotations

RUNTIME_ERROR = 1
"""The exit code of a node that ends with a UserError."""

CONFIGURATION_ERROR = 2
"""The exit code of a node that refuses its configuration. A restart would not help."""


FRESH_UNASKED = 3
"""The exit code of a training that ended well, but from fresh weights that nobody asked for.

The checkpoint that it was to start from could not be loaded, and `run.on_load_failure` is "fallback"."""


class UserError(Exception):
    """The base class of errors whose text is meant for the user."""


class CheckpointError(UserError):
    """A checkpoint is missing or incomplete, has an unknown format, does not fit the model, or cannot be written."""


class MissingCheckpoint(CheckpointError):
    """No checkpoint is at the path that the user named, as after a typing mistake."""


class ContradictedCheckpoint(CheckpointError):
    """Settings mean something else than those that a checkpoint was made with."""


class DamagedFile(UserError, ValueError):
    """A file that this package keeps has other content than was written. The text names the file."""


class BrokenWeights(UserError, RuntimeError):
    """A policy computes numbers that are not finite, although its weights are. They are absurd, or were trained so."""


class SimulatorUnavailable(UserError):
    """The simulator cannot run on this machine. The text names what to install and what to use instead."""


class ChunksRefused(UserError):
    """Too many chunks in a row were refused. The policy cannot recover from this by itself."""


class EpisodesError(UserError):
    """Recorded episodes are missing or damaged, have an unknown format, or lack something that is needed."""


class UnansweredQuestion(EpisodesError):
    """Recorded episodes can be read in several ways, and only a person knows which is right.

    The text names the flag that says it.
    """


class RewardError(UserError, ValueError):
    """Reward terms, or measurements that they need, cannot be computed or added up."""


class RegistryError(UserError, ValueError):
    """No task, reader, reward term or back end has the given name, or the one that has it cannot be used."""


class SettingError(UserError, ValueError):
    """A setting names something that the robot, the simulator or the task does not have."""
