"""`python -m experiments COMMAND`, in the root of a checkout."""

from __future__ import annotations

from chunk_ppo_ros.cli.commands import leave, run_command

COMMANDS = {
    "run": ("run", "one curve: run NAME [--variant NAME] --seed N; goes on where it was stopped"),
    "many": ("many", "many curves, some at a time: many NAME[/VARIANT][:SEED,SEED] ...; finished ones are left out"),
    "report": ("report", "tables and plots of all finished curves, in docs/results/"),
}

if __name__ == "__main__":
    leave(run_command("experiments", COMMANDS))
