"""Tests pi's space and actions relative to the state, by numbers derived by hand. Every step has its inverse."""

from __future__ import annotations

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chunk_ppo_ros.config import MODELS, Pi0FASTActorCriticConfig
from chunk_ppo_ros.model.tokenization.aloha_transforms import JOINT_SIGNS, AlohaTransforms, joint_mask
from chunk_ppo_ros.robot import grippers

OPENPI, INTERBOTIX = (grippers.GRIPPER_CONVENTIONS[name] for name in ("openpi", "interbotix"))
PI = AlohaTransforms(gripper=OPENPI, delta_actions=False)
DELTA = AlohaTransforms()
ARMS = st.integers(1, 2)


def test_the_signs_of_the_joints_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        JOINT_SIGNS[0] = -1.0


def arm(*joints: float, gripper: float) -> list[float]:
    return [*joints, gripper]


def states(num_arms: int) -> st.SearchStrategy[np.ndarray]:
    """Draws joints anywhere, and grippers within 0..1, where the linkage can be inverted."""
    return arrays.arrays(np.float64, 7 * num_arms, elements=st.floats(0, 1)).map(
        lambda unit: np.where(joint_mask(len(unit)), unit * 6 - 3, unit)
    )


def chunks(num_arms: int) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(np.float64, (3, 7 * num_arms), elements=st.floats(-3, 3))


def all_transforms() -> list[AlohaTransforms]:
    conventions = (None, *grippers.GRIPPER_CONVENTIONS.values())
    return [AlohaTransforms(gripper, delta) for gripper in conventions for delta in (False, True)]


@pytest.mark.parametrize(("opening", "adapted"), [(0.0, -1.080), (0.5, -0.140), (1.0, 0.946)])
def test_state_gripper_by_hand(opening: float, adapted: float) -> None:
    # Half open, the finger is at 0.03822 m, so sin q = (0.022^2 + 0.03822^2 - 0.036^2) / (2 * 0.022 * 0.03822) =
    # 0.38579 and q = 0.39606 rad. The number is (0.39606 - 0.5476) / 1.082 = -0.1401. Open, the finger is at 0.058 m,
    # so sin q = 1 and the number is (1.5708 - 0.5476) / 1.082.
    state = PI.encode_state(np.array(arm(0, 0, 0, 0, 0, 0, gripper=opening)))
    assert state[6] == pytest.approx(adapted, abs=5e-4)
    assert state.dtype == np.float32


def test_shoulder_and_elbow_change_sign() -> None:
    state = np.array(arm(1, 2, 3, 4, 5, 6, gripper=0.5) * 2)
    np.testing.assert_array_equal(PI.encode_state(state)[[0, 1, 2, 3, 4, 5]], [1, -2, -3, 4, 5, 6])
    np.testing.assert_array_equal(PI.encode_state(state)[7:], PI.encode_state(state)[:7])


def test_action_gripper_by_hand() -> None:
    # Closed commands the motor to -0.6213 rad, and open to 1.4910. pi counts from 0.5476.
    actions = np.array([arm(1, 2, 3, 4, 5, 6, gripper=0.0), arm(1, 2, 3, 4, 5, 6, gripper=1.0)])
    encoded = PI.encode_actions(actions, np.zeros(7))
    np.testing.assert_allclose(encoded[0], [1, -2, -3, 4, 5, 6, -1.1689], rtol=1e-6)
    np.testing.assert_allclose(encoded[1, 6], 0.9434, rtol=1e-6)


def test_interbotix_openings_are_the_same_physics() -> None:
    # The finger at 0.0440 m is closed to Interbotix and 0.6461 open to openpi. One motor angle is one adapted number.
    interbotix = AlohaTransforms(INTERBOTIX, delta_actions=False)
    closed = np.array(arm(0, 0, 0, 0, 0, 0, gripper=0.0))
    same = np.array(arm(0, 0, 0, 0, 0, 0, gripper=(0.0440 - 0.01844) / (0.05800 - 0.01844)))
    np.testing.assert_allclose(interbotix.encode_state(closed), PI.encode_state(same), atol=1e-6)
    # Interbotix closes by 0.6197 rad: 0.6197 - 0.5476.
    assert interbotix.encode_actions(closed[None], closed)[0, 6] == pytest.approx(0.0721)


def test_joints_are_relative_and_grippers_absolute() -> None:
    state = np.arange(14, dtype=np.float32)
    relative = DELTA.encode_actions(np.full((2, 14), 10.0), state)
    np.testing.assert_array_equal(relative[1], [10, 9, 8, 7, 6, 5, 10, 3, 2, 1, 0, -1, -2, 10])
    np.testing.assert_array_equal(DELTA.decode_actions(relative, state), np.full((2, 14), 10.0))


def test_relative_to_a_batch_of_states() -> None:
    relative = DELTA.encode_actions(np.zeros((3, 2, 7)), np.array([[1.0] * 7, [2.0] * 7, [3.0] * 7]))
    np.testing.assert_array_equal(relative[:, 0, 0], [-1, -2, -3])
    np.testing.assert_array_equal(relative[:, :, 6], 0)


def test_relative_in_pis_space() -> None:
    # The shoulder's state 0.5 and target 0.7 are -0.5 and -0.7 to pi, so relative -0.2. The waist's 0.2 keeps its sign.
    both = AlohaTransforms(OPENPI, delta_actions=True)
    state, target = np.array(arm(0.5, 0.5, 0, 0, 0, 0, gripper=0.3)), np.array(arm(0.7, 0.7, 0, 0, 0, 0, gripper=1.0))
    np.testing.assert_allclose(both.encode_actions(target[None], state)[0, [0, 1, 6]], [0.2, -0.2, 0.9434], rtol=1e-6)


@pytest.mark.parametrize("transforms", all_transforms(), ids=str)
@hypothesis.given(data=st.data())
def test_actions_invert(transforms: AlohaTransforms, data: st.DataObject) -> None:
    num_arms = data.draw(ARMS)
    state, actions = data.draw(states(num_arms)), data.draw(chunks(num_arms))
    encoded = transforms.encode_actions(actions, state)
    # float32 keeps numbers up to 6 within 2.4e-7. An Interbotix opening is 1.0017 rad of the motor.
    np.testing.assert_allclose(transforms.decode_actions(encoded, state), actions, atol=2e-6)


@pytest.mark.parametrize("transforms", all_transforms(), ids=str)
@hypothesis.given(data=st.data())
def test_states_invert(transforms: AlohaTransforms, data: st.DataObject) -> None:
    state = data.draw(data.draw(ARMS.map(states)))
    # At the outer end of the linkage the finger changes with the square of the angle, so nothing is lost on the way
    # back. Inside, a float32 angle is good for 1e-7 * 0.04 m of the finger, over a range of 0.0139 m.
    np.testing.assert_allclose(transforms.decode_state(transforms.encode_state(state)), state, atol=3e-6)


def test_beyond_the_linkage_an_opening_is_lost() -> None:
    # An opening of 1.05 would be a finger at 0.05998 m. The linkage ends at 0.058 m, which is 1.
    state = np.array(arm(0, 0, 0, 0, 0, 0, gripper=1.05))
    assert PI.decode_state(PI.encode_state(state))[6] == pytest.approx(1.0)


def test_inputs_are_left_as_they_are() -> None:
    state, actions = np.full(7, 0.5), np.full((2, 7), 0.5)
    for transforms in all_transforms():
        transforms.decode_state(transforms.encode_state(state))
        transforms.decode_actions(transforms.encode_actions(actions, state), state)
    np.testing.assert_array_equal(state, 0.5)
    np.testing.assert_array_equal(actions, 0.5)


def test_transforms_of_a_configuration() -> None:
    assert AlohaTransforms.from_config(MODELS["tiny"]) == AlohaTransforms(None, delta_actions=True)
    assert AlohaTransforms.from_config(MODELS["gemma_2b"]) == AlohaTransforms(OPENPI, delta_actions=True)
    config = dataclasses.replace(MODELS["gemma_2b"], adapt_gripper="interbotix", delta_actions=False)
    assert AlohaTransforms.from_config(config) == AlohaTransforms(INTERBOTIX, delta_actions=False)


def test_own_gripper_numbers_adapt_to_pi() -> None:
    """An own gripper that opens at 1.2 rad and closes at -0.4 rad says so by settings (openpi's issue 360)."""
    own = dataclasses.replace(MODELS["gemma_2b"], adapt_gripper_numbers=("motor_open=1.2", "motor_closed=-0.4"))
    transforms = AlohaTransforms.from_config(dataclasses.replace(own, delta_actions=False))
    state = np.array(arm(0, 0, 0, 0, 0, 0, gripper=1.0))
    # The fingers follow from the motor by the linkage, so that an open gripper is its motor at 1.2 rad: for a state
    # (1.2 - 0.5476) / 1.082, and for an action 1.2 - 0.5476.
    assert transforms.encode_state(state)[6] == pytest.approx(0.60296, abs=1e-4)
    assert transforms.encode_actions(state[None], state)[0, 6] == pytest.approx(0.6524, abs=1e-6)
    with pytest.raises(ValueError, match=r"model.adapt_gripper_numbers must be entries NAME=NUMBER"):
        dataclasses.replace(own, adapt_gripper_numbers=("open=1",))


def test_other_robots_pass_with_both_steps_off() -> None:
    # openpi fine-tunes LIBERO with a state of 8 numbers and actions of 7, neither relative nor adapted.
    plain = AlohaTransforms.from_config(Pi0FASTActorCriticConfig(delta_actions=False))
    plain.check_dims(8, 7)
    actions = np.ones((2, 7))
    np.testing.assert_array_equal(plain.encode_actions(actions, np.full(8, 9.0)), actions)


@pytest.mark.parametrize(
    ("transforms", "dims", "text"),
    [
        (DELTA, (8, 7), "state must have the 7 dimensions of the actions .* got 8"),
        (DELTA, (8, 8), r"actions \(model.delta_actions\) must have a multiple of 7 .* got 8"),
        (PI, (8, 7), r"state \(model.adapt_to_pi\) must have a multiple of 7"),
        (PI, (7, 8), r"actions \(model.adapt_to_pi\) must have a multiple of 7"),
    ],
)
def test_dimensions_without_meaning_are_refused(transforms: AlohaTransforms, dims: tuple[int, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        transforms.check_dims(*dims)


def test_joint_mask_wants_whole_arms() -> None:
    np.testing.assert_array_equal(joint_mask(7), [True] * 6 + [False])
    with pytest.raises(ValueError, match="multiple of 7"):
        joint_mask(8)
