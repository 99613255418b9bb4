"""Flags of commands: a parser that teaches, and a flag for every setting."""

from chunk_ppo_ros.config.flags.parser import FlagParser
from chunk_ppo_ros.config.flags.program import PROGRAM, command_line
from chunk_ppo_ros.config.flags.settings import (
    add_config_flags,
    config_from_flags,
    config_or_exit,
    given_at_start,
    given_settings,
    preset_line,
    print_unused,
)

__all__ = [
    "PROGRAM",
    "FlagParser",
    "add_config_flags",
    "command_line",
    "config_from_flags",
    "config_or_exit",
    "given_at_start",
    "given_settings",
    "preset_line",
    "print_unused",
]
