"""Typical values of the settings of simulators, tasks, episodes and the executed part of a chunk."""

from __future__ import annotations

EPISODES: dict[str, str] = {
    "env.max_episode_chunks": (
        "6 for reach, 20 for the hand-over, 40 on a robot. A limit that is too short hides successes; one that is too "
        "long wastes time on failures."
    ),
    "env.sensor_timeout": "5 s in simulation, 1 s on a robot. Take 2 s for a camera that pauses now and then.",
    "env.simulator": "`mujoco` to learn, `kinematic` without OpenGL or for quick trials, `none` on a robot.",
    "env.task": "`reach` first. `transfer_cube` is far harder. Your own task is `module:Class`.",
    "env.task_settings": "Empty. Make a task easier by it, such as a smaller area in which a cube is laid.",
    "env.realtime": (
        "false to learn in simulation. true to drive a simulated robot by hand, to test timing, and on a robot."
    ),
    "env.mirror": "`none`. Take `mujoco` beside a simulation of the robot's driver, which has no cameras.",
    "env.camera_rate": "30 Hz, as RealSense cameras at 640 x 480.",
    "env.sync_tolerance": "0.1 s: three periods of a camera of 30 Hz. Raise it for slower cameras.",
    "episode.reset": (
        "`operator` first. `scripted` where only the arms must go back, `teleoperated` where the scene is far away, "
        "`command` where a program can do it."
    ),
    "episode.reset_command": "A program of yours, as `python3 /home/lab/reset_scene.py`.",
    "episode.return_to_start": "true. false where the reset leaves the arms in a start pose of your own.",
    "episode.start_automatically": (
        "false on a robot, so that a person has looked before it moves. true only where nobody can be in its reach."
    ),
    "episode.prompts": "Empty for one task. docs/prompts.md says how several tasks share a run.",
    "episode.prompt_sampling": "`balanced`. Take `random` where the order of the tasks must not be foreseen.",
    "chunk_length.length_rule": "`fixed`. Read docs/chunk-length.md before another.",
    "chunk_length.executed_steps": "All of a chunk, or half of it where the robot must react sooner.",
    "chunk_length.end_steps": (
        "A quarter to a half of `model.action_horizon`. Smaller reacts sooner, and costs more inferences."
    ),
    "chunk_length.schedule_updates": "The number of updates of half the run.",
    "chunk_length.low_entropy": (
        "A little above `chunk/entropy_min` of a run with the rule fixed. It depends on task and temperature."
    ),
    "chunk_length.high_entropy": "A little below `chunk/entropy_max` of a run with the rule fixed.",
    "chunk_length.low_value": (
        "Equal to `high_value`, so that V(s) does not count. Set it once the value head is trained, from `value/mean`."
    ),
    "chunk_length.high_value": "As `low_value`.",
    "deploy.checkpoints": "Empty in training. `deploy` and `evaluate --graph` set it.",
    "deploy.decoding": (
        "`greedy`, with which a trained policy usually solves more. `sample` to see the policy as training does."
    ),
    "deploy.num_episodes": (
        "50 to 100 for each checkpoint where the result must count; docs/deploy.md has the intervals."
    ),
}
"""Sentences by the dotted name of the setting."""
