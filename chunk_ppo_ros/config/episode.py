"""The settings of how robot and scene come to the start of an episode, how it starts, and which prompt it has."""

from __future__ import annotations

import dataclasses
import shlex

from chunk_ppo_ros.config.entries.prompts import parse_prompts
from chunk_ppo_ros.config.schema import Checked, setting
from chunk_ppo_ros.core.prompts.prompt_schedule import BALANCED, SAMPLINGS
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt

OPERATOR, SCRIPTED, TELEOPERATED, COMMAND = "operator", "scripted", "teleoperated", "command"
RESETS = (OPERATOR, SCRIPTED, TELEOPERATED, COMMAND)
"""The values of `episode.reset`, which say who brings robot and scene to the start."""


@dataclasses.dataclass(frozen=True)
class EpisodeConfig(Checked):
    """Settings of the reset, the start and the prompts of episodes; see docs/episodes.md and docs/prompts.md."""

    reset: str = setting(
        OPERATOR,
        "who brings a robot and its scene to the start of an episode: operator by any means, scripted moves the arms "
        "to the start pose, teleoperated follows the leader arms, command runs reset_command",
        choices=RESETS,
    )
    reset_command: str = setting(
        "",
        "command line of a reset, a program and its arguments as a shell would quote them, but run without a shell",
        graph_only=True,
    )
    return_to_start: bool = setting(
        True, "after a teleoperated reset or a reset by a command the arms go to the start pose", graph_only=True
    )
    start_automatically: bool = setting(
        False, "an episode starts when it is ready, without the service start_episode", graph_only=True
    )
    prompts: tuple[str, ...] = setting(
        (),
        "tasks in words, one for each episode, each as TEXT or WEIGHT=TEXT; empty takes run.prompt or the task's own",
    )
    prompt_sampling: str = setting(
        BALANCED,
        "how the prompt of an episode is chosen: balanced keeps to the weights and repeats the prompt of a discarded "
        "episode, random draws by weight",
        choices=SAMPLINGS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weighted_prompts  # noqa: B018 - An entry that cannot be used is refused now.
        if (self.reset == COMMAND) != bool(self.reset_command.strip()):
            raise ValueError(
                f"episode.reset_command must be set where episode.reset is {COMMAND} and nowhere else, got "
                f"'{self.reset_command}' with episode.reset {self.reset}; change one of them"
            )
        try:
            self.reset_arguments  # noqa: B018 - A line that cannot be read is refused now.
        except ValueError as error:
            raise ValueError(
                f"episode.reset_command must be a command line, got '{self.reset_command}' ({error}); close its quotes"
            ) from error

    @property
    def reset_arguments(self) -> tuple[str, ...]:
        """The program of `reset_command` and its arguments; empty where there is no command."""
        return tuple(shlex.split(self.reset_command))

    @property
    def has_several_prompts(self) -> bool:
        """Whether episodes have different prompts, so that they are counted apart."""
        return len(self.prompts) > 1

    @property
    def weighted_prompts(self) -> tuple[WeightedPrompt, ...]:
        """The prompts of `prompts` with their weights, in the order of the setting."""
        return parse_prompts("episode.prompts", self.prompts)
