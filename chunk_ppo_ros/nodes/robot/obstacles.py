"""Tells the chunk player why the robot must not move, and whether what it was commanded still counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chunk_ppo_ros.nodes.robot.robot_backends import RobotBackend, goals_dropped, problem_of
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

Reason = Callable[[], str]
"""A function that returns why the robot must not move, or an empty string."""


class Obstacles:
    """Collects the reasons why the robot must not move.

    Args:
        player: the chunk player.
        backend: the back end, whose problems are reasons too.
        stops: reasons by which people and the lifecycle stop a robot that follows its commands. The steps before them
            count.
        doubts: reasons for which it is not known whether the robot did what it was commanded. Nothing of the chunk
            counts then, as with a problem of the back end.
        strains: reasons for which the robot should be put down, which a scripted motion may do all the same. The steps
            before them count.
    """

    def __init__(
        self,
        player: ChunkPlayer,
        backend: RobotBackend,
        *,
        stops: Sequence[Reason],
        doubts: Sequence[Reason],
        strains: Sequence[Reason] = (),
    ) -> None:
        self._player = player
        self._backend = backend
        self._stops = tuple(stops)
        self._doubts = (*doubts, lambda: problem_of(backend))
        self._strains = tuple(strains)

    def look(self) -> str:
        """Tells the player the first reason, and returns it, or an empty string where the robot may move."""
        self._player.readiness.note_losses(goals_dropped(self._backend))
        stop = _first(self._stops)
        doubt = "" if stop else _first(self._doubts)
        strain = "" if stop or doubt else _first(self._strains)
        reason = stop or doubt or strain
        self._player.readiness.note_obstacle(reason, counts=not doubt, spares_scripted=bool(strain))
        return reason


def _first(reasons: Sequence[Reason]) -> str:
    return next((text for reason in reasons if (text := reason())), "")
