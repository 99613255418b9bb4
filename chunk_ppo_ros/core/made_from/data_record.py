"""Says which data a checkpoint learned from, and how that data was read."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.core.wording.counts import count_of

DEMONSTRATIONS, RECORDINGS = "demonstrations", "recordings"
"""The kinds of data: what a scripted expert did in a simulator, and recorded episodes."""

BY_NAMES = "by names"
"""The order of arms in recordings that name their joints, so that no setting decides it."""


@dataclasses.dataclass(frozen=True)
class DataRecord:
    """The data that a policy imitated.

    Attributes:
        kind: DEMONSTRATIONS or RECORDINGS.
        origin: where the data is from: the files and folders, or the task and the simulator.
        fingerprint: SHA-256 in hexadecimal digits of states, actions, prompts, rates and marks of success, as they were
            read. It does not depend on the order of the episodes.
        episode_count: the number of episodes.
        step_count: the number of control steps, or of demonstrated chunks where the expert was simulated.
        rate: control steps per second, Hz.
        prompts: the tasks in words, each once.
        arm_order: which arm came first in the files, or BY_NAMES; empty for demonstrations.
        channel_order: the order of color channels in compressed images; empty for demonstrations.
        units: the recorded units, one entry for each setting, for example "joint_unit rad".
        gripper_convention: what open and closed meant (`robot.gripper_convention`), with own numbers.
    """

    kind: str
    origin: str
    fingerprint: str
    episode_count: int
    step_count: int
    rate: float
    prompts: tuple[str, ...] = ()
    arm_order: str = ""
    channel_order: str = ""
    units: tuple[str, ...] = ()
    gripper_convention: str = ""

    def __str__(self) -> str:
        steps = "steps" if self.kind == RECORDINGS else "chunks"
        prompts = ", ".join(f"'{prompt}'" for prompt in self.prompts[:3])
        more = f" and {len(self.prompts) - 3} more" if len(self.prompts) > 3 else ""
        read = [f"arms {self.arm_order}", f"channels {self.channel_order}", *self.units] if self.arm_order else []
        return ", ".join(
            [
                f"{self.kind} ({self.origin}): {count_of(self.episode_count, 'episode')}",
                f"{self.step_count} {steps}",
                f"{self.rate:g} Hz",
                f"prompts {prompts}{more}" if self.prompts else "no prompt",
                *read,
                f"grippers {self.gripper_convention}",
                f"fingerprint {self.fingerprint[:12]}",
            ]
        )

    def differences(self, other: DataRecord) -> tuple[str, ...]:
        """Returns one text for each way in which other data was measured otherwise, without what contradicts it.

        Args:
            other: the data to compare with, for which the texts have the second value.
        """
        pairs = {
            "rate": (f"{self.rate:g} Hz", f"{other.rate:g} Hz"),
            "units": (", ".join(self.units), ", ".join(other.units)),
            "gripper_convention": (self.gripper_convention, other.gripper_convention),
        }
        return tuple(f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old and new and old != new)

    def contradictions(self, other: DataRecord) -> dict[str, tuple[str, str]]:
        """Returns the settings of reading that make other data mean something else, with the value of each.

        The order of the arms counts only where both were read from files that do not name their joints.
        """
        pairs = {
            "arm_order": (self.arm_order, other.arm_order),
            "channel_order": (self.channel_order, other.channel_order),
        }
        return {
            name: values
            for name, values in pairs.items()
            if all(values) and BY_NAMES not in values and values[0] != values[1]
        }
