"""Says in lines which settings a command takes from a checkpoint, what it assumes, and what the policy acts with."""

from __future__ import annotations

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings

ASSUMED = (
    *("model.action_horizon", "model.delta_actions", "model.adapt_to_pi", "model.adapt_gripper"),
    *("robot.control_rate", "robot.gripper_convention"),
)
"""The settings without which the actions of a checkpoint mean nothing."""


def print_history(checkpoint: Checkpoint) -> None:
    """Prints in which stages a checkpoint was made, one line for each."""
    print(f"{checkpoint.root} was made in these stages:")
    print("\n".join(f"  {line}" for line in checkpoint.history.lines()), flush=True)


def print_assumptions(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Prints one line that says what is assumed of a checkpoint that does not say how its actions are meant."""
    stored, assumed = checkpoint.settings.values, RunSettings.of(config)
    missing = {name: assumed.values[name] for name in ASSUMED if name not in stored}
    if missing:
        values = ", ".join(f"{name} {shown_value(value)}" for name, value in missing.items())
        print(f"{checkpoint.root} does not say what its actions mean; assumed: {values}; flags change it", flush=True)


def shown_value(value: object) -> str:
    """Returns a setting's value as one text, a list with spaces between its entries."""
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def describe(config: TrainConfig) -> str:
    """Returns one line with the task, simulator, time limit, temperature and prompts that a policy acts with."""
    env, length = config.env, config.chunk_length
    executed = "" if length.length_rule == "fixed" else f", chunks executed by the rule {length.length_rule}"
    if length.length_rule == "fixed" and length.executed_steps:
        executed = f", {length.executed_steps} steps of each chunk executed"
    return (
        f"task {env.task}, simulator {env.simulator}, time limit {config.max_episode_steps} control steps "
        f"({env.max_episode_chunks} chunks of {config.model.action_horizon}), temperature {config.model.temperature:g}"
        f"{executed}, {_prompts(config)}"
    )


def _prompts(config: TrainConfig) -> str:
    prompts = [f"'{prompt.text}' (weight {prompt.weight:g})" for prompt in config.episode.weighted_prompts]
    if prompts:
        return f"{config.episode.prompt_sampling} prompts {', '.join(prompts)}"
    return f"prompt '{config.run.prompt}'" if config.run.prompt else "the task's own prompt"


def recorded_prompts(config: TrainConfig) -> str:
    """Returns a text that says which prompts recorded episodes are measured with."""
    return f"the prompt is '{config.run.prompt}'" if config.run.prompt else "prompts are those of the episodes"


def source_of(checkpoint: Checkpoint, preset: str) -> str:
    """Returns a text that says where the settings come from that no flag gives."""
    stored, root = checkpoint.settings.values, checkpoint.root
    unknown = checkpoint.settings.unknown
    left_out = f" (it has settings of another release, which are left out: {', '.join(unknown)})" if unknown else ""
    if "env.task" in stored:
        return f"the settings are those of {root}{left_out} and the flags"
    missing = ["task", "simulator", "time limit", *([] if "model.temperature" in stored else ["temperature"])]
    missing += [] if "run.prompt" in stored else ["prompt"]
    return (
        f"{root} does not say its {', '.join(missing)}{left_out}, so they are those of preset {preset} and the flags; "
        "choose the preset by --config"
    )
