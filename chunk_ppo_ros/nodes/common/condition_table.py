"""The table of the conditions that nodes report. Each has a key, a text, and a text for when it is cleared.

Those of sensors are in `sensors/sensor_conditions.py`.

A node logs a condition once when it is raised and once when it is cleared. policy_node, trainer_node and reward_node
also publish it on /diagnostics as long as it lasts. Names in braces are values that are given when a condition is
raised.
"""

from __future__ import annotations

from chunk_ppo_ros.nodes.common.conditions import Condition

# These conditions are about other nodes.

NOBODY_LISTENS = Condition(
    key="listeners",
    text="nobody listens on {topics}; the policy holds: check that robot_node and reward_node run",
    cleared="robot_node and reward_node listen",
    renewed_by=("topics",),
)
FOREIGN_RUN = Condition(
    key="announcements of another run",
    text="the announcement of run {run_id} is not followed: {publishers}",
    cleared="the announcements come from one trainer again",
    renewed_by=("run_id",),
    is_error=True,
)
FOREIGN_PUBLISHER = Condition(
    key="foreign publishers",
    text="the robot holds: {publishers}",
    cleared="no node publishes beside another any more",
    renewed_by=("publishers",),
    is_error=True,
)
FOREIGN_MESSAGES = Condition(
    key="messages of other nodes",
    text="messages are not used: {publishers}; stop one of the nodes",
    cleared="no messages of other nodes come any more",
    renewed_by=("publishers",),
    is_error=True,
)
TRAINER_LEFT = Condition(
    key="trainer_node",
    text="{name} left the graph; the policy acts until its rollout is full or its transitions are not acknowledged",
    cleared="{name} is back in the graph",
)
NODE_LEFT = Condition(
    key="{name} in the graph",
    text="{name} left the graph; the episode waits for it",
    cleared="{name} is back in the graph",
    is_error=True,
)
PART_SILENT = Condition(
    key="messages of {part}",
    text="{part} is silent: no {message} for {timeout} s",
    cleared="{part} is back",
    is_error=True,
)
CHUNK_UNFINISHED = Condition(
    key="end of the chunk",
    text="chunk {sequence_number} was sent {waited:.1f} s ago and no outcome has arrived; the policy waits: check "
    "robot_node, the reward sources and reward_node, or end the episode",
    cleared="the chunk has ended or its episode is over; the policy goes on",
    renewed_by=("sequence_number",),
)
FORMAT_REFUSED = Condition(
    key="format of {topic}",
    text="messages on {topic} are not used: {reason}",
    cleared="messages on {topic} have the right format again",
    is_error=True,
    renewed_by=("reason",),
)
SOURCE_UNKNOWN = Condition(
    key="reward source {source}",
    text="reward source '{source}' is not in reward.sources and is not used",
    cleared="reward source '{source}' is used",
)

# These conditions are about observations, and about targets that a human commands, in policy_node.

CHECKPOINT_UNREADABLE = Condition(
    key="checkpoint",
    text="policy version {version} cannot be loaded, so that the policy holds: {reason}",
    cleared="the announced weights are loaded",
    is_error=True,
    renewed_by=("checkpoint",),
)
OBSERVATION_REFUSED = Condition(
    key="observation",
    text="the observation is refused, so that the policy holds: {reason}",
    cleared="observations are valid again",
    renewed_by=("reason",),
)
TOKENS_INVALID = Condition(
    key="sampled tokens",
    text="the sampled tokens stand for no actions, so that the robot holds its pose: {reason}",
    cleared="the sampled tokens stand for actions again",
)
CHUNK_REFUSED = Condition(
    key="executed chunks",
    text="chunk {sequence_number} does not count: {reason}",
    cleared="the robot executes chunks again",
    renewed_by=("reason",),
)
COMMANDS_MALFORMED = Condition(
    key="commands of the human",
    text="the segment that the human drove is not used: {reason}",
    cleared="the segments of the human are well formed again",
    is_error=True,
)
SEGMENT_UNUSED = Condition(
    key="segments of the human",
    text="the segment that the human drove is not used: {reason}",
    cleared="the segments of the human are used again",
    renewed_by=("reason",),
)
SEGMENT_TOO_LONG = Condition(
    key="tokens of the human",
    text="the chunk that the human drove cannot be imitated, because it needs more tokens than model.max_action_tokens",
    cleared="the chunks of the human can be imitated again",
)
LEADER_NOT_FOLLOWED = Condition(
    key="leader arms",
    text="the robot holds: {reason}",
    cleared="the robot no longer holds",
    renewed_by=("kind",),  # The reason tells seconds, which change at each step.
)

# These conditions are about the disk.

CHUNK_NOT_STORED = Condition(
    key="stored chunks",
    text="chunks cannot be stored, so that the policy holds: {reason}",
    cleared="chunks can be stored again",
    is_error=True,
)
EPISODE_NOT_STORED = Condition(
    key="count of episodes",
    text="the record of episodes cannot be written: {reason}",
    cleared="the record of episodes is written again",
    is_error=True,
)
DECISIONS_NOT_STORED = Condition(
    key="decisions of reward_node",
    text="what reward_node decides cannot be stored, so that the episode waits: {reason}; make room on the disk",
    cleared="what reward_node decides is stored again",
    is_error=True,
)
STORE_DAMAGED = Condition(
    key="damage of the store",
    text="{damage}; look at the disk. reward_node goes on with what it can read",
    cleared="the store is whole again",
    is_error=True,
)
RUN_BOOKS_NOT_STORED = Condition(
    key="counts and times of the run",
    text="the counts and times of the run cannot be written: {reason}",
    cleared="the counts and times of the run are written again",
    is_error=True,
)
REPORT_NOT_STORED = Condition(
    key="stored {topic}",
    text="what is to be sent on {topic} cannot be stored, and waits in memory until there is room: {reason}",
    cleared="what waited is stored and sent on {topic}",
    is_error=True,
    renewed_by=("reason",),
)
RESULT_NOT_STORED = Condition(
    key="results of episodes",
    text="an episode does not count, because it cannot be written down: {reason}",
    cleared="episodes are written down again",
    is_error=True,
)
METRICS_NOT_STORED = Condition(
    key="metrics",
    text="metrics cannot be written: {reason}",
    cleared="metrics are written again",
    is_error=True,
)
CHECKPOINT_NOT_STORED = Condition(
    key="saved checkpoint",
    text="the update is made but not announced, because its checkpoint cannot be saved yet: {reason}",
    cleared="the checkpoint is saved",
    is_error=True,
)
RECORDING_ENDED = Condition(
    key="recording",
    text="the recording has ended, and training goes on: {reason}",
    cleared="the recording goes on",
    is_error=True,
)
RECORDING_GAPS = Condition(
    key="gaps {topic}",
    text="the recording lacks {lost} of {topic} so far, lost on the way to recorder_node",
    cleared="the recording of {topic} is whole again",
)

# These conditions are about transitions and updates in trainer_node.

START_FAILED = Condition(
    key="start",
    text="training cannot start: {reason}; when that is repaired, clean trainer_node up and configure it again",
    cleared="training starts",
    is_error=True,
)
TRANSITIONS_DELAYED = Condition(
    key="accepting",
    text="transitions cannot be accepted now: {reason}",
    cleared="transitions are accepted again",
    is_error=True,
    renewed_by=("reason",),
)
TRANSITION_INVALID = Condition(
    key="transitions that do not fit",
    text="transition {sequence_number} is refused: {reason}",
    cleared="transitions fit again",
    is_error=True,
    renewed_by=("field",),  # The reason tells numbers, which are other ones in each transition.
)
TRANSITION_OF_OTHER_VERSION = Condition(
    key="transitions of another version",
    text="transition {sequence_number} is refused and not trained on: {reason}",
    cleared="transitions are of the present version again",
    renewed_by=("policy_version", "present_version"),
)
TRANSITIONS_SET_ASIDE = Condition(
    key="transitions of the update",
    text="transitions {numbers} of version {version} are set aside, because the update failed: {reason}",
    cleared="the update is made without the transitions that are set aside",
    is_error=True,
    renewed_by=("numbers",),
)
UPDATE_FAILED = Condition(
    key="update",
    text="the update of version {version} failed: {reason}. The weights and the rollout are kept; discard the episode, "
    "or deactivate and activate trainer_node to try again",
    cleared="the update is made",
    is_error=True,
)
