"""Tests the check at the start of a day: its judgements by data, its steps on a robot of numbers, and its report."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.core.findings.finding import Finding, Level, ok, warn
from chunk_ppo_ros.nodes.start_of_day import operator as operator_lib
from chunk_ppo_ros.nodes.start_of_day.command import try_robot
from chunk_ppo_ros.nodes.start_of_day.procedure import MAY_GRIP, MAY_MOVE, Pace, StartOfDay
from chunk_ppo_ros.nodes.start_of_day.report import folder_of, write_report
from chunk_ppo_ros.nodes.start_of_day.robot_link import MotionFailed, OnPicture
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS
from chunk_ppo_ros.robot.start_check import joint_motion
from chunk_ppo_ros.robot.start_check.camera_swap import Answer, PictureChange, WristChanges, answer_of, judge_wrists
from chunk_ppo_ros.robot.start_check.gripper_motion import GripperMotion, judge_gripper
from chunk_ppo_ros.robot.start_check.joint_motion import STEP, JointMotion, judge_joint

HOME = np.array(aloha.START_POSE)
OPENPI = GRIPPER_CONVENTIONS["openpi"]
CAMERAS = list(aloha.CAMERAS)


def motion(*, there: dict[int, float], back: float = 0.0, index: int = 2, asked: float = STEP) -> JointMotion:
    """Returns a motion in which joints have moved by parts of what was asked."""
    moved, returned = HOME.copy(), HOME.copy()
    for joint, part in there.items():
        moved[joint] += part * STEP
    returned[index] += back * STEP
    return JointMotion(index, asked, HOME, moved, returned)


@pytest.mark.parametrize(
    ("moved", "level", "found"),
    [
        (motion(there={2: 0.97}), Level.OK, "asked +2.00 deg, moved +1.94 deg"),
        (motion(there={2: -1.0}, asked=-STEP), Level.OK, "asked -2.00 deg, moved -2.00 deg"),
        (motion(there={2: -1.0}), Level.ERROR, "moved -2.00 deg: the wrong way"),
        (motion(there={}), Level.ERROR, "moved +0.00 deg: it does not move"),
        (motion(there={9: 1.0}), Level.ERROR, "and the right elbow moved +2.00 deg"),
        (motion(there={3: -0.9}), Level.ERROR, "and the left forearm_roll moved -1.80 deg"),
        (motion(there={2: 0.4}), Level.WARN, "moved +0.80 deg"),
        (motion(there={2: 1.6}), Level.WARN, "moved +3.20 deg"),
        (motion(there={2: 1.0}, back=0.7), Level.WARN, "is +1.40 deg away after it went back"),
        (motion(there={2: 1.0, 6: 5.0}), Level.OK, "moved +2.00 deg"),  # A gripper may give way.
    ],
)
def test_a_joint_is_judged_by_how_far_it_went(moved: JointMotion, level: Level, found: str) -> None:
    finding = judge_joint(moved)
    assert (finding.name, finding.level) == ("left elbow", level), finding
    assert found in finding.found
    assert bool(finding.advice) == (level is not Level.OK)


def test_a_joint_at_the_end_of_its_range_moves_the_other_way() -> None:
    pose = HOME.copy()
    assert joint_motion.step_of(pose, 2) == math.radians(2.0)
    pose[2] = aloha.UPPER_LIMITS[2] - 0.01
    assert joint_motion.step_of(pose, 2) == -math.radians(2.0)
    alone = joint_motion.pose_with(2, 0.5)
    assert alone[2] == 0.5 and np.isnan(np.delete(alone, 2)).all()


@pytest.mark.parametrize(
    ("opened", "closed", "level", "found"),
    [
        (0.98, 0.02, Level.OK, "open 0.98 (expected 1.00), closed 0.02 (expected 0.00)"),
        (0.0, 1.0, Level.ERROR, "the wrong way"),
        (0.3, 0.3, Level.ERROR, "it does not move"),
        (1.0, 0.4, Level.WARN, "closed 0.40"),
        (0.6, 0.0, Level.WARN, "open 0.60"),
    ],
)
def test_a_gripper_is_judged_by_its_openings(opened: float, closed: float, level: Level, found: str) -> None:
    finding = judge_gripper(GripperMotion("right", opened, closed), OPENPI)
    assert (finding.name, finding.level) == ("right gripper", level), finding
    assert found in finding.found


@pytest.mark.parametrize(
    ("left", "right", "answer"),
    [
        ((9.0, 0.3), (7.0, 0.0), Answer.RIGHT),
        ((0.3, 9.0), (-0.1, 7.0), Answer.SWAPPED),
        ((9.0, 0.3), (0.4, 0.2), Answer.RIGHT),  # One gripper was enough.
        ((9.0, 0.3), (0.3, 9.0), Answer.UNCLEAR),  # They contradict each other.
        ((9.0, 8.0), (7.0, 6.0), Answer.UNCLEAR),
        ((0.5, 0.1), (0.6, 0.0), Answer.UNCLEAR),  # The pictures hardly change.
    ],
)
def test_the_picture_that_changes_is_on_the_arm_whose_gripper_moves(
    left: tuple[float, float], right: tuple[float, float], answer: Answer
) -> None:
    changes = [WristChanges("left", *left), WristChanges("right", *right)]
    assert answer_of(changes) is answer
    level = {Answer.RIGHT: Level.OK, Answer.SWAPPED: Level.ERROR, Answer.UNCLEAR: Level.WARN}[answer]
    assert judge_wrists(changes).level is level
    said = judge_wrists(changes, operator=Answer.SWAPPED)
    assert said.level is (Level.ERROR if answer is Answer.UNCLEAR else level)


def test_a_change_is_measured_against_the_first_picture() -> None:
    change, picture = PictureChange(), np.full((48, 64, 3), 100, np.uint8)
    change.see(picture)
    assert change.largest == 0.0
    other = picture.copy()
    other[:24] = 120
    change.see(other)
    change.see(picture)
    assert change.largest == pytest.approx(10.0)  # Half of the picture changed by 20.
    change.see(picture[:24])  # A picture of another size begins anew.
    assert change.largest == pytest.approx(10.0)


@dataclasses.dataclass
class NumberRobot:
    """A robot of 14 numbers, whose cameras show how far its grippers are open."""

    pose: np.ndarray = dataclasses.field(default_factory=lambda: HOME.copy())
    calls: list[str] = dataclasses.field(default_factory=list)
    speeds: list[float] = dataclasses.field(default_factory=list)
    wrong_way: int = -1  # the joint that turns the wrong way
    swapped: bool = False  # whether the wrist cameras are
    dark: bool = False
    fails_at: int = -1  # the number of the motion that is refused
    failures: int = 1  # how often it is
    on_picture: OnPicture | None = None

    def state(self) -> np.ndarray:
        return self.pose.copy()

    def pictures(self) -> dict[str, np.ndarray]:
        sides = ("right", "left") if self.swapped else ("left", "right")
        openings = {f"cam_{side}_wrist": self.pose[6 + 7 * number] for number, side in enumerate(sides)}
        shades = {camera: 0.0 if self.dark else 100 * opening for camera, opening in openings.items()}
        return {camera: np.full((48, 64, 3), shades.get(camera, 50.0), np.uint8) for camera in CAMERAS}

    def watch(self, on_picture: OnPicture | None) -> None:
        self.on_picture = on_picture
        self.wait(0.0)

    def wait(self, seconds: float) -> None:
        for camera, picture in self.pictures().items():
            if self.on_picture is not None:
                self.on_picture(camera, picture)

    def move(self, pose: np.ndarray, *, speed: float) -> None:
        if len(self.speeds) == self.fails_at and self.failures:
            self.failures -= 1
            raise MotionFailed("move_arms: ended as FAULT: the left elbow does not follow")
        self.speeds.append(speed)
        moved = np.where(np.isnan(pose), self.pose, pose)
        if self.wrong_way >= 0 and not np.isnan(pose[self.wrong_way]):
            moved[self.wrong_way] = 2 * HOME[self.wrong_way] - moved[self.wrong_way]
        self.pose = moved
        self.wait(0.0)

    def call(self, service: str) -> None:
        self.calls.append(service)


class Answers(operator_lib.NobodyAsked):
    """A person whose answers are given."""

    def __init__(self, *, refuses: str = "", says: str | None = None) -> None:
        self.asked: list[str] = []
        self._refuses, self._says = refuses, says

    def tell(self, text: str) -> None:
        pass

    def agrees(self, question: str) -> bool:
        self.asked.append(question)
        return question != self._refuses

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        self.asked.append(question)
        return self._says


def check(robot: NumberRobot, operator: Answers) -> dict[str, list[Finding]]:
    start = StartOfDay(robot, operator, OPENPI, Pace(speed=0.1, gripper_speed=0.4, settling=0.0))
    start.run(CAMERAS)
    return start.findings


def levels(findings: list[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def test_each_joint_moves_alone_and_slowly_after_the_operator_has_agreed() -> None:
    robot, operator = NumberRobot(), Answers()
    findings = check(robot, operator)
    assert operator.asked == [MAY_MOVE, MAY_GRIP]
    assert robot.calls == ["confirm_motion", "go_to_start_pose"]
    assert robot.speeds == [0.1] * 24 + [0.4] * 6
    np.testing.assert_allclose(robot.pose, HOME)
    assert len(findings["joints"]) == 12 and len(findings["grippers"]) == 2 and len(findings["cameras"]) == 4
    assert {level for group in findings.values() for level in levels(group)} == {Level.OK}


def test_nothing_moves_without_the_consent_of_the_operator() -> None:
    robot = NumberRobot()
    findings = check(robot, Answers(refuses=MAY_MOVE))
    assert (robot.calls, robot.speeds) == ([], [])
    assert levels(findings["joints"]) == [Level.SKIPPED]
    robot = NumberRobot()
    findings = check(robot, Answers(refuses=MAY_GRIP))
    assert len(robot.speeds) == 24
    assert levels(findings["grippers"]) == [Level.SKIPPED]


def test_a_joint_that_turns_the_wrong_way_and_swapped_cameras_are_found() -> None:
    findings = check(NumberRobot(wrong_way=8, swapped=True), Answers())
    wrong = [finding for finding in findings["joints"] if finding.level is Level.ERROR]
    assert [finding.name for finding in wrong] == ["right shoulder"]
    assert "the wrong way" in wrong[0].found
    assert findings["cameras"][-1].level is Level.ERROR
    assert "they are swapped" in findings["cameras"][-1].found


@pytest.mark.parametrize(("says", "level"), [("y", Level.OK), ("n", Level.ERROR), (None, Level.WARN)])
def test_the_operator_is_asked_where_the_pictures_do_not_say(says: str | None, level: Level) -> None:
    operator = Answers(says=says)
    findings = check(NumberRobot(dark=True), operator)
    assert len(operator.asked) == 3
    assert findings["cameras"][-1].level is level


def test_a_motion_that_fails_is_made_again_where_the_operator_has_looked() -> None:
    robot, operator = NumberRobot(fails_at=3), Answers()
    findings = check(robot, operator)
    assert len(robot.speeds) == 30
    assert operator.asked[1] == (
        "move_arms: ended as FAULT: the left elbow does not follow. Look at the robot. Shall it try again?"
    )
    assert levels(findings["joints"]).count(Level.WARN) == 1
    assert findings["joints"][1].name == "motion"


@pytest.mark.parametrize(
    ("failures", "refuses"),
    [
        (1, "move_arms: ended as FAULT: the left elbow does not follow. Look at the robot. Shall it try again?"),
        (4, ""),
    ],
)
def test_a_motion_that_goes_on_failing_ends_the_check(failures: int, refuses: str) -> None:
    robot = NumberRobot(fails_at=3, failures=failures)
    findings = check(robot, Answers(refuses=refuses))
    assert len(robot.speeds) == 3
    assert levels(findings["joints"])[-1] is Level.ERROR
    assert "the left elbow does not follow" in findings["joints"][-1].found
    assert findings["grippers"] == []


def test_a_camera_that_sends_nothing_is_an_error() -> None:
    class Blind(NumberRobot):
        def pictures(self) -> dict[str, np.ndarray]:
            return {}

    findings = check(Blind(), Answers())
    assert levels(findings["cameras"]) == [Level.ERROR] * 3 + [Level.SKIPPED]


def test_ctrl_c_stops_the_robot_and_leaves_a_report(tmp_path: Path) -> None:
    class Interrupted(NumberRobot):
        cameras = CAMERAS

        def move(self, pose: np.ndarray, *, speed: float) -> None:
            if len(self.speeds) == 5:
                raise KeyboardInterrupt
            super().move(pose, speed=speed)

    robot, config = Interrupted(), TrainConfig(run=RunConfig(run_dir=str(tmp_path)))
    assert try_robot(robot, Answers(), config, Pace(settling=0.0)) == 0  # type: ignore[arg-type]
    assert robot.calls[-1] == "stop_scripted_motion"
    (report,) = tmp_path.glob("debug/start_of_day_*/report.md")
    assert "| **WARN** | end | the check was stopped: by Ctrl-C |" in report.read_text()


def test_an_answer_is_yes_only_where_the_person_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = iter(["y\n", "Yes\n", "\n", "no\n", "", "n\n", "perhaps\n"])

    class Input:
        def readline(self) -> str:
            return next(given)

    monkeypatch.setattr("sys.stdin", Input())
    console = operator_lib.Console()
    assert [console.agrees("May it move?") for _ in range(5)] == [True, True, False, False, False]
    assert [console.choose("Which?", ("y", "n")) for _ in range(2)] == ["n", None]
    assert "May it move? [y/N] " in capsys.readouterr().out
    nobody = operator_lib.NobodyAsked()
    assert nobody.agrees("May it move?") and nobody.choose("Which?", ("y", "n")) is None


def test_the_report_has_a_table_the_pictures_and_the_same_as_json(tmp_path: Path) -> None:
    now = datetime.datetime(2026, 11, 27, 8, 30)
    folder = folder_of(tmp_path / "runs" / "mine", now)
    assert folder.name == "start_of_day_2026-11-27_0830"
    findings = {"joints": [ok("left elbow", "a | b")], "cameras": [warn("cam_high", "far", "look")], "grippers": []}
    picture = np.zeros((4, 6, 3), np.uint8)
    page = write_report(folder, findings, {"cam_high": picture}, now=now)
    text = page.read_text()
    assert text.startswith("# Start of day, 2026-11-27 08:30\n\n1 OK, 1 WARN\n")
    assert "| OK | left elbow | a \\| b |  |" in text
    assert "| **WARN** | cam_high | far | look |" in text
    assert "Grippers" not in text
    assert "![cam_high](cam_high.png)" in text and (folder / "cam_high.png").is_file()
    assert json.loads((folder / "report.json").read_text())["counts"]["WARN"] == 1
