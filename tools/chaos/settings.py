"""The settings of the graph that is killed: the smallest policy, the shortest chunks, and simulated time."""

from __future__ import annotations

from pathlib import Path

RUN = "chaos"
"""The name of the run."""
NODES = ("policy_node", "reward_node", "trainer_node", "robot_node", "sim_node")
"""The nodes that are killed."""
SUPERVISOR = "supervisor"
"""The supervisor, which is killed too. All nodes die with it."""

SMALL_GRAPH = {
    "action_horizon": 4,
    "image_size": 32,
    "patch_size": 16,
    "cameras": "base_0_rgb",
    "value_head_hidden_dim": 8,
    "max_start_jump": 10.0,
    "num_demonstrations": 16,
    "demonstration_workers": 1,
    "max_episode_chunks": 7,
    "num_epochs_per_update": 1,
}
"""The settings of a graph with the smallest policy and the shortest chunks."""
_ENDLESS = {
    "total_timesteps": 10_000_000,
    "keep_checkpoints": 1_000_000,
}
SMALL_TOWERS = (
    *("siglip.width=8", "siglip.depth=1", "siglip.mlp_dim=8", "siglip.num_heads=2"),
    *("gemma.width=16", "gemma.depth=1", "gemma.mlp_dim=8", "gemma.num_heads=2", "gemma.head_dim=4"),
)
"""The sizes of the smallest policy's towers, for `--tower_sizes`."""


def flags(folder: Path, *, chunks_per_update: int, seed: int, simulator: str) -> list[str]:
    """Returns the flags of the command `graph`.

    Args:
        folder: the folder of everything that the run writes.
        chunks_per_update: the number of chunks in an update.
        seed: the seed of the run.
        simulator: the simulator.
    """
    numbers = {"num_chunks_per_update": chunks_per_update, "batch_size": chunks_per_update, "seed": seed}
    settings = {**SMALL_GRAPH, **_ENDLESS, **numbers, "simulator": simulator}
    given = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    places = ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "checkpoints"), "--exp_name", RUN]
    return ["--config", "debug", *places, "--no_wandb", *given, "--tower_sizes", *SMALL_TOWERS]
