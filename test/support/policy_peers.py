"""Plays the rest of the graph around policy_node: sensors, robot_node, reward_node and trainer_node."""

from __future__ import annotations

import numpy as np
from chunk_ppo_msgs import msg
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.nodes.wire.sensors import image_messages, joints
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.sim.tasks.reach import ReachTask
from support.node_harness import Peer

CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]


class PolicyPeers(Peer):
    """Plays sensors, robot_node, reward_node and trainer_node."""

    def __init__(self, folder):
        super().__init__()
        self._folder = folder
        self._cameras = {
            camera: self.create_publisher(Image, f"{camera}/camera/color/image_rect_raw", qos.IMAGE_PUBLISHER)
            for camera in CAMERAS
        }
        self._arms = {
            side: self.create_publisher(JointState, f"follower_{side}/joint_states", qos.JOINT_STATES_LOCKSTEP)
            for side in aloha.SIDES
        }
        self.versions = self.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        self._events = self.create_publisher(msg.EpisodeEvent, "episode_event", qos.LATCHED)
        self._outcomes = self.create_publisher(msg.ChunkOutcome, "chunk_outcome", qos.RELIABLE)
        self._acks = self.create_publisher(msg.TransitionAck, "transition_ack", qos.ACKNOWLEDGMENT)
        self._takeovers = self.create_publisher(msg.TakeoverState, "takeover_state", qos.LATCHED)
        self.robot_active = self.create_publisher(Bool, "robot_node/active", qos.LATCHED)
        self._results = self.create_publisher(msg.ExecutionResult, "execution_result", qos.RELIABLE)
        self.listen(msg.ActionChunk, "action_chunk", qos.RELIABLE)
        self.listen(msg.Bootstrap, "bootstrap", qos.RELIABLE)
        for side in aloha.SIDES:
            self.listen(JointTrajectory, f"robot/{side}/joint_trajectory", qos.COMMAND)
        self.chunks = self.heard["action_chunk"]
        self.bootstraps = self.heard["bootstrap"]

    def announce(self, version=0, *, is_there=True, **fields):
        checkpoint = self._folder / f"step_{version}"
        if is_there:
            checkpoint.mkdir()
        message = {"run_id": "run", "version": version, "checkpoint": str(checkpoint), "num_required": 4, **fields}
        self.versions.publish(msg.PolicyVersion(**message))

    def event(self, event, *, episode=0, stamp=0, prompt=ReachTask.prompt, **fields):
        header, fields = header_of(stamp), {"prompt": prompt, **fields}
        self._events.publish(msg.EpisodeEvent(header=header, run_id="run", episode=episode, event=event, **fields))

    def sense(self, stamp, *, cameras=CAMERAS, angle=0.1):
        for camera in cameras:
            pixels = np.full((64, 64, 3), CAMERAS.index(camera), np.uint8)
            self._cameras[camera].publish(image_messages.image_to_message(pixels, stamp=stamp, frame_id=camera))
        for publisher in self._arms.values():
            state = np.array([angle] * 6 + [0.5])
            publisher.publish(joints.StateMessage(CONVENTION).fill(state, stamp=stamp))

    def settle(self, chunk, *, end, num_steps=0, valid=True, sense=True, **fields):
        """Ends the chunk, and shows what came of it in the sensors."""
        self._outcomes.publish(
            msg.ChunkOutcome(
                header=chunk.header,
                run_id=chunk.run_id,
                sender=chunk.sender,
                sequence_number=chunk.sequence_number,
                execution=msg.ExecutionResult(end=time_from_ns(end), num_steps=num_steps),
                valid=valid,
                **fields,
            )
        )
        if sense:
            self.sense(end)

    def take_over(self, *, stamp, human=True, segment=0):
        self._takeovers.publish(msg.TakeoverState(header=header_of(stamp), human=human, segment=time_from_ns(segment)))

    def drive(self, segment, *, num_steps):
        """Ends a segment of a human."""
        driven = ExecutionResult(
            status=Status.EXECUTED,
            num_steps=num_steps,
            stamp=segment,
            human_driven=True,
            commanded=np.full((num_steps, 14), 0.25, np.float32),
            causes=np.zeros(num_steps, np.uint8),
        )
        self._results.publish(conversions.execution_to_message(driven))

    def restart_robot_node(self):
        """Lets the graph show another robot_node."""
        self.destroy_publisher(self._results)
        self._results = self.create_publisher(msg.ExecutionResult, "execution_result", qos.RELIABLE)

    def acknowledge(self, number, num_accepted, *, version=0):
        fields = {"sequence_number": number, "policy_version": version, "num_accepted": num_accepted}
        self._acks.publish(msg.TransitionAck(run_id="run", sender=DEFAULT_SENDER, num_required=4, **fields))
