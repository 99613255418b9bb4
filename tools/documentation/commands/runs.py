"""Lists the commands of the documents that are run. Each finds what the ones before it have made."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from documentation.commands.programs import own_arguments

IN_PLACE: Mapping[str, str] = {
    "~/aloha_data/cup": "aloha_data/reach",
    "~/cup": "aloha_data/reach",
    "recordings/": "aloha_data/judged",
    "mine/step_26": "mine/step_1",
    "--to step_25": "--to step_1",
    "NAME": "g",
    "my_reward:travel": "examples.own_reward:travel",
    "DIR": "parity_set",
    "CHECKPOINT": "checkpoints/reach-imitation",
}
"""What stands for a name of the documents in the folder of the runs. Longer names come before their parts."""

_ROLLOUT = "--num_chunks_per_update 8 --batch_size 8 --num_epochs_per_update 1"
_LITTLE = f"--simulator kinematic --total_timesteps 256 {_ROLLOUT}"
_IMITATION = "--bc_steps 4 --bc_batch_size 4"
_SIMULATED = "--simulator kinematic"
_PROMPT = '--prompt "touch both targets" --insist clipped_actions'


@dataclasses.dataclass(frozen=True)
class Run:
    """A command that is run.

    Attributes:
        text: the command as the documents have it, from `chunk_ppo` on.
        added: flags that make it small.
        prints: regular expression that its output must contain.
        until: whether the command runs until Ctrl-C, which comes when it has printed that.
        statuses: exit statuses that are right.
        instead: the command that is run, where it differs by more than flags.
    """

    text: str
    added: str = ""
    prints: str = ""
    until: bool = False
    statuses: tuple[int, ...] = (0,)
    instead: str = ""

    @property
    def small(self) -> str:
        """The command as it is run."""
        text = self.instead or self.text
        for name, other in IN_PLACE.items():
            text = text.replace(name, other)
        return f"{text} {self.added}".strip()


def as_documented(text: str) -> str:
    """Returns a command of this package in the form in which the list has it, whichever form the document has."""
    return re.sub(r"^.*?(?:-m chunk_ppo_ros|\bchunk_ppo)(?= |$)", "chunk_ppo", text) if own_arguments(text) else text


RUNS = (
    Run("python examples/chunk_ppo_by_hand.py", prints="All numbers by hand agree"),
    Run(".venv/bin/python test/support/demonstration_files.py aloha_data/reach", prints="wrote 8 episodes"),
    Run("chunk_ppo inspect aloha_data/reach --config demo", prints=r"-> say the task by --prompt", statuses=(1,)),
    Run(
        'chunk_ppo inspect aloha_data/reach --config demo --prompt "touch both targets" --picture reach.png',
        prints="wrote reach.png",
    ),
    Run("chunk_ppo inspect ~/cup --picture cup.png", _PROMPT, prints="wrote cup.png"),
    Run(".venv/bin/python examples/own_demonstrations.py my_episodes", prints="wrote 4 episodes"),
    Run("chunk_ppo inspect my_episodes --picture my_episodes.png", prints="wrote my_episodes.png"),
    Run(
        "chunk_ppo pretrain --config debug --episodes my_episodes --exp_name mine --no_wandb",
        _IMITATION,
        prints="wrote checkpoints/mine-imitation",
    ),
    Run(
        "chunk_ppo pretrain --config demo --exp_name reach",
        f"{_IMITATION} --simulator kinematic --num_demonstrations 12",
        prints=r"wrote checkpoints/reach-imitation",
    ),
    Run(
        "chunk_ppo train --config demo --exp_name mine --pretrained_checkpoint_path checkpoints/reach-imitation "
        "--no_wandb",
        f"{_LITTLE} --total_timesteps 128",
        prints=r"version 1: .*\n(?:.*\n)*.*the newest checkpoint is checkpoints/mine/step_1",
    ),
    Run(
        "chunk_ppo evaluate checkpoints/reach-imitation --episodes 200 --greedy",
        "--episodes 2",
        prints=r"success \d+\.\d% \[",
    ),
    Run(
        "chunk_ppo evaluate checkpoints/mine/step_26 --episodes 200 --greedy",
        "--episodes 2",
        prints=r"success \d+\.\d%",
    ),
    Run(
        "chunk_ppo evaluate checkpoints/mine/step_26 --greedy --video episode.mp4",
        "--episodes 2",
        prints="episode.mp4",
    ),
    Run("chunk_ppo report mine", prints="summary.md"),
    Run("chunk_ppo inspect checkpoints/mine/step_26", prints="made in these stages"),
    Run("chunk_ppo export checkpoints/mine/step_26 for_openpi", prints="for_openpi"),
    Run("chunk_ppo positions checkpoints/reach-imitation", "--num_demonstrations 2", prints="prefers|rule"),
    Run(
        "chunk_ppo pretrain --exp_name cup --episodes ~/cup",
        f"--config demo {_IMITATION} {_PROMPT}",
        prints="wrote checkpoints/cup-imitation",
    ),
    Run("chunk_ppo measure-imitation checkpoints/cup-imitation --episodes ~/cup", _PROMPT, prints="nats per token"),
    Run("chunk_ppo norm-stats ~/aloha_data/cup --output assets/cup", f"--config demo {_PROMPT}", prints="assets/cup"),
    Run("chunk_ppo parity DIR", "--allow_missing", prints="loss"),
    Run(
        "chunk_ppo graph --config demo --exp_name g --record",
        f"{_LITTLE} --no_wandb",
        prints=r"version 1",
    ),
    Run("chunk_ppo command-stream runs/g/bag", prints="wrote|steps"),
    Run("chunk_ppo export-lerobot runs/g g_lerobot", prints="wrote g_lerobot"),
    Run("chunk_ppo salvage runs/g/bag", prints="cut off"),
    Run("chunk_ppo replay runs/g/bag", prints="transitions"),
    Run(
        "chunk_ppo replay runs/g/bag --compare runs/g --output runs/again",
        prints=r"(\d+) of \1 transitions are equal, byte for byte, to those that",
    ),
    Run("chunk_ppo inspect runs/g/bag --config demo", _SIMULATED, prints="prompts"),
    Run("chunk_ppo norm-stats runs/g/bag --output assets/sim --config demo", _SIMULATED, prints="assets/sim"),
    Run(
        "chunk_ppo pretrain --config demo --exp_name again --episodes runs/g/bag",
        f"{_IMITATION} {_SIMULATED}",
        # A policy that has learned nothing may have solved none of the few recorded episodes.
        prints="wrote checkpoints/again-imitation|all of them marked as failures",
        statuses=(0, 2),
    ),
    Run("chunk_ppo report NAME", prints="summary.md"),
    Run("chunk_ppo store list g", prints="journal"),
    Run("chunk_ppo store list NAME", prints="journal"),
    Run("chunk_ppo store verify NAME", prints="journal"),
    Run("chunk_ppo store prune NAME --max_disk 20"),
    Run("chunk_ppo store export NAME --to exported", prints="journal: "),
    Run("chunk_ppo replay-updates g", prints="weights"),
    Run("chunk_ppo replay-updates NAME", prints="weights"),
    Run("chunk_ppo rollback g --to step_25", prints="step_1"),
    Run("chunk_ppo rollback NAME --to step_25", prints="step_1"),
    Run("chunk_ppo --help", prints="completion"),
    Run("chunk_ppo doctor --params_file config/robot.yaml", "--workstation", prints="OK", statuses=(0, 1)),
    Run("chunk_ppo serve checkpoints/mine/step_26", "--port 18431", prints="ws://127.0.0.1:18431", until=True),
    Run(
        "chunk_ppo evaluate checkpoints/mine/step_26 --graph --episodes 24 --greedy",
        "--episodes 2 --simulator kinematic",
        prints=r"success",
    ),
    Run("chunk_ppo deploy checkpoints/mine/step_26", "--episodes 1 --simulator kinematic", prints="success"),
    Run("chunk_ppo positions CHECKPOINT --config debug", "--num_demonstrations 2", prints="rule"),
    Run("chunk_ppo check-task examples.own_task:Touch", "--episodes 1 --simulator kinematic", prints="OK|fine"),
    Run(
        "chunk_ppo check-task examples.own_task:Touch --config demo --picture touch.png",
        "--episodes 1 --simulator kinematic",
        prints="touch.png",
    ),
    Run(
        "chunk_ppo pretrain --config demo --task examples.own_task:Touch --exp_name touch",
        f"{_IMITATION} --simulator kinematic --num_demonstrations 12",
        prints="wrote checkpoints/touch-imitation",
    ),
    Run(
        "chunk_ppo train --config debug --exp_name rewarded --no_wandb --scene_terms "
        "examples.own_reward:near_each_other=-0.01 --execution_terms examples.own_reward:travel=-0.05",
        f"{_LITTLE} --total_timesteps 128",
        prints="version 1: ",
    ),
    Run(
        "chunk_ppo train --config demo --exp_name calm --pretrained_checkpoint_path checkpoints/mine/step_26 "
        "--execution_terms my_reward:travel=-0.02 --total_timesteps 10000 --no_wandb",
        f"{_LITTLE} --total_timesteps 128",
        prints="version 1: ",
    ),
    Run("chunk_ppo report calm", prints="report.html"),
    Run(
        'make bench ARGS="--only act --runs 50"',
        instead="chunk_ppo bench --only act --runs 2",
        prints="load average at the end",
    ),
)
"""The commands that `make docs-commands` runs, in this order."""
