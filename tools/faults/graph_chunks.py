"""Sends hostile chunks through a graph with a real robot_node, one after the other and some at once."""

from __future__ import annotations

import heapq
import itertools
import math
import time

import numpy as np
from chunk_ppo_msgs.msg import EpisodeEvent
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.nodes.wire.sensors.joints import CHUNK_JOINTS, duration_of
from faults.graph_rig import PERIOD, RUN
from faults.graph_run import GraphRun
from faults.hostile_chunks import LONGEST, WHOLE, ChunkSource, Delivery

CHUNKS_PER_EPISODE = 50
"""The number of chunks after which the operator starts an episode."""
EARLY = 0.15
"""The part of the chunks that do not wait for the result of the one before."""

LONGEST_WAIT = 2.0 * LONGEST * PERIOD
"""The time after the last chunk within which each must have its result, s. The longest takes up to 9.6 s."""


def send_hostile_chunks(graph: GraphRun, num_chunks: int, *, seed: int) -> None:
    """Sends hostile chunks and waits for their results."""
    random = np.random.default_rng([seed, 1_000_000])
    source = ChunkSource(random, PERIOD)
    queue: list[tuple[float, int, Delivery]] = []
    order = itertools.count()
    judge, rig = graph.judge, graph.rig
    for number in range(num_chunks):
        if number % CHUNKS_PER_EPISODE == 0:
            rig.tell(EpisodeEvent.STARTED)
            judge.begin(f"hostile chunks from number {number} on", f"--seed {seed} --chunks 0 --cells 0")
        deliveries = source.deliveries(rig.command, now=time.monotonic(), clock=rig.now())
        judge.counts.faults += deliveries[0].kind != WHOLE
        for delivery in deliveries:
            heapq.heappush(queue, (delivery.arrival, next(order), delivery))
        _deliver(graph, queue)
        if random.random() > EARLY:
            _wait(graph, queue, patience=1.0)
    _wait(graph, queue, patience=LONGEST_WAIT)
    judge.finish(lost=False)


def _wait(graph: GraphRun, queue: list[tuple[float, int, Delivery]], *, patience: float) -> None:
    """Delivers what is due until all that was sent has results, or for `patience` seconds."""
    deadline = time.monotonic() + patience
    while (queue or graph.judge.outstanding) and time.monotonic() < deadline:
        _deliver(graph, queue)
        graph.spin(0.005)


def _deliver(graph: GraphRun, queue: list[tuple[float, int, Delivery]]) -> None:
    while queue and queue[0][0] <= time.monotonic():
        delivery = heapq.heappop(queue)[2]
        half = delivery.trajectory
        graph.judge.note(f"{delivery.side} half, {delivery.kind}, {len(half.times)} points, stamp {half.stamp}")
        graph.judge.sent([half.stamp])
        graph.rig.send({delivery.side: _message(delivery, graph.rig.now())})


def _message(delivery: Delivery, now: int) -> JointTrajectory:
    """Returns a half of a chunk as a message. Times that a message cannot hold become 0."""
    half = delivery.trajectory
    points = [
        JointTrajectoryPoint(positions=row.tolist(), time_from_start=duration_of(at if math.isfinite(at) else 0.0))
        for row, at in zip(half.positions, half.times.tolist(), strict=True)
    ]
    header = header_of(half.stamp, frame_id=str(ChunkOrigin(RUN, 0, now)))
    return JointTrajectory(header=header, joint_names=list(CHUNK_JOINTS), points=points)
