"""One follower: it is prepared whenever its driver is new, watched while nothing moves, and commanded in between."""

from __future__ import annotations

from rclpy.task import Future

from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import DriverRefused, LostTorque, WrongMode
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import DriverLink
from chunk_ppo_ros.nodes.robot.interbotix.motor_facts import MotorFacts
from chunk_ppo_ros.nodes.robot.interbotix.motor_settings import MotorWishes, Routine
from chunk_ppo_ros.nodes.robot.interbotix.preparation import prepare, switch_torque_off, watch
from chunk_ppo_ros.nodes.robot.interbotix.waits import ServiceCall, Wait

GRIPPER_STEP = 0.005
"""The smallest change of a gripper's motor that is sent to a real driver, rad. Each command costs it 10 ms."""
PERIOD = 1.0
"""The seconds between two attempts to prepare, and between two looks at the motors."""
IDLE_TIME = 0.5
"""The seconds without a command after which the motors may be looked at."""
ANOTHER_DRIVER = "another driver publishes its joint states; the arm is prepared again"


class Follower:
    """Commands one arm as long as its driver is prepared.

    Args:
        link: the topics and services of the driver.
        wishes: what the motors of the arm are set to.
    """

    def __init__(self, link: DriverLink, wishes: MotorWishes) -> None:
        self._link = link
        self._wishes = wishes
        self.facts = MotorFacts()
        """What the driver has told of the motors."""
        self.num_losses = 0
        """How often the arm's motors may have lost their goals, since they were prepared first."""
        self.gripper_step = GRIPPER_STEP
        """The smallest change of a gripper's motor that is sent, rad."""
        self._drivers: frozenset[bytes] = frozenset()
        self._is_prepared = False
        self._was_prepared = False  # whether it was ever prepared, by this driver or one before
        self._is_refused = False  # whether the problem is what the driver was refused for, which stays until it is over
        self._problem = "is not prepared yet"
        self._rivals = ""  # the nodes that command the arm beside this one
        self._routine: Routine | None = None
        self._wait: Wait | None = None
        self._may_reboot = True  # once for each driver, and when the operator asks for it
        self._next_at = 0.0  # the steady time at which the next routine may begin, s
        self._sent_at = 0.0  # the steady time of the last command, s
        self._sent_gripper: float | None = None
        self._switched_off: Future[str] | None = None  # what waits until the torque is off

    @property
    def problem(self) -> str:
        """Why a command would not move the arm, or an empty string."""
        if self._problem:
            return f"{self._link.name}: {self._problem}"
        if self._rivals:
            return f"{self._link.name}: {self._rivals} commands it too; stop that node"
        return ""

    @property
    def is_first_wait(self) -> bool:
        """Whether its driver is waited for, or being prepared, for the first time, and nothing is known to be wrong."""
        return not (self._was_prepared or self._is_refused)

    @property
    def state_periods(self) -> list[float]:
        """The times between the last joint states, s."""
        return self._link.state_periods

    @property
    def name(self) -> str:
        """The namespace of the arm's driver."""
        return self._link.name

    def note_states(self, publisher: bytes) -> None:
        """Counts joint states of the driver, which come from the publisher of this id."""
        self._link.note_states(publisher)

    def prepare_again(self, reason: str) -> None:
        """Forgets that the arm is prepared. Nothing is sent to it until it is prepared again."""
        self._end_routine()
        self._answer(reason)
        self._is_prepared, self._is_refused = False, False
        self._problem, self._sent_gripper = reason, None
        self._may_reboot, self._next_at = True, 0.0

    def switch_torque_off(self) -> Future[str]:
        """Begins to switch the torque off. The result is why it is still on, or an empty string."""
        self._end_routine()
        self._answer("it was asked for again")
        self._lose_goals()
        self._is_prepared, self._is_refused, self._sent_gripper = False, True, None
        self._problem = "its torque is being switched off"
        self._routine, self._switched_off = switch_torque_off(self._link, self.facts), Future()
        return self._switched_off

    def watch_driver(self) -> bool:
        """Notices a driver that has gone, and one that has come, for example because it was started again.

        Returns whether there is a driver.
        """
        before, self._drivers = self._drivers, self._link.drivers()
        absence = self._link.absence(self._drivers)
        is_another = bool(self._drivers - before) and (self._is_prepared or self._routine is not None)
        if absence or is_another:
            self._lose_goals()
            self.prepare_again(absence or ANOTHER_DRIVER)
            self.facts = MotorFacts()
        return not absence

    def step(self, now: float) -> None:
        """Goes on with the preparation, or with a look at the motors. It returns at once.

        Args:
            now: the steady time, s.
        """
        if not self.watch_driver():
            return
        self._rivals = self._link.rivals()
        if self._is_prepared and self._is_moving(now):
            self._end_routine()
        if self._routine is None and self._may_begin(now):
            self._routine = self._begin()
        if self._routine is not None:
            self._go_on(self._routine, now)

    def send(self, arm: list[float], motor: float, *, now: float) -> None:
        """Commands the arm, and the gripper where its target has changed. Sends nothing to an arm that is not prepared.

        Args:
            arm: the targets of the six joints, rad.
            motor: the target of the gripper's motor, rad.
            now: the steady time, s.
        """
        if not self._is_prepared:
            return
        self._sent_at = now
        self._link.send_arm(arm)
        if self._sent_gripper is None or abs(motor - self._sent_gripper) >= self.gripper_step:
            self._sent_gripper = motor
            self._link.send_gripper(motor)

    def _begin(self) -> Routine:
        if self._is_prepared:
            return watch(self._link, self.facts)
        may_reboot, self._may_reboot = self._may_reboot, False
        return prepare(self._link, self.facts, self._wishes, may_reboot=may_reboot)

    def _may_begin(self, now: float) -> bool:
        return now >= self._next_at and not (self._is_prepared and self._is_moving(now))

    def _is_moving(self, now: float) -> bool:
        return now - self._sent_at < IDLE_TIME

    def _go_on(self, routine: Routine, now: float) -> None:
        try:
            while self._wait is None or self._wait.is_over(now):
                self._wait = next(routine)
        except StopIteration:
            self._finish("", now)
            if self._is_refused:
                self._sent_gripper = None  # Whoever has rebooted a gripper with an error has cleared its goal.
            self._is_prepared, self._was_prepared, self._is_refused = True, True, False
        except DriverRefused as error:
            self._refuse(error, now)
        else:
            if not self._is_prepared and not self._is_refused:
                self._problem = self._wait.reason

    def _refuse(self, error: DriverRefused, now: float) -> None:
        """Keeps the problem until it is over. An arm in another mode or without torque is prepared again first."""
        self._finish(str(error), now)
        self._is_refused = True
        self._answer("" if isinstance(error, LostTorque) else str(error))
        if isinstance(error, WrongMode | LostTorque):
            self._lose_goals()
            self._is_prepared, self._sent_gripper = False, None

    def _answer(self, problem: str) -> None:
        """Answers whoever waits until the torque is off, if anybody does."""
        if self._switched_off is not None:
            self._switched_off.set_result(f"{self._link.name}: {problem}" if problem else "")
        self._switched_off = None

    def _lose_goals(self) -> None:
        """Counts that a prepared arm may have lost its goals: a driver that starts switches the torque off and on."""
        self.num_losses += self._is_prepared

    def _finish(self, problem: str, now: float) -> None:
        self._end_routine()
        self._problem, self._next_at = problem, now + PERIOD

    def _end_routine(self) -> None:
        if isinstance(self._wait, ServiceCall):
            self._wait.cancel()
        self._routine, self._wait = None, None
