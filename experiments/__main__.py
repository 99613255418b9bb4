"""Runs `python -m experiments COMMAND` in the root of a checkout."""

from __future__ import annotations

from chunk_ppo_ros.cli.commands import run_command
from chunk_ppo_ros.cli.leaving import leave
from chunk_ppo_ros.cli.table import Command

COMMANDS = {
    "run": Command("run", "measure or resume one curve: run NAME [--variant NAME] --seed N"),
    "many": Command("many", "measure many curves that are not finished: many NAME[/VARIANT][:SEED,SEED] ..."),
    "report": Command("report", "write tables and plots of all finished curves to docs/results/"),
}

if __name__ == "__main__":
    leave(run_command("experiments", COMMANDS, program="python -m experiments"))
