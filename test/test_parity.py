"""Tests the comparison with openpi's numbers, on sets in which our own model plays openpi's part."""

from __future__ import annotations

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.evaluation.parity import parity_complete, parity_forward, parity_tolerances
from chunk_ppo_ros.evaluation.parity.parity_forward import make_inputs
from chunk_ppo_ros.evaluation.parity.parity_quantities import Model
from chunk_ppo_ros.evaluation.parity.parity_rows import HEADING, Quantity, Tolerance, compare
from chunk_ppo_ros.evaluation.parity.parity_served import CONTIGUOUS_SHIFT, SERVED_SHIFT
from chunk_ppo_ros.evaluation.parity.parity_set import read_reference_set
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.robot.images import resize_with_pad
from support import reference_set

ALL_CAMERAS = np.ones((2, 3), bool)
SOME_CAMERAS = np.array([[True, False, True], [True, True, False]])


@pytest.fixture(scope="module")
def masked_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reference_set.write_set(tmp_path_factory.mktemp("sets") / "masked", image_mask=SOME_CAMERAS, suffix="/value")


@pytest.fixture(scope="module")
def plain_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reference_set.write_set(tmp_path_factory.mktemp("sets") / "plain", image_mask=ALL_CAMERAS, only_greedy=True)


def scores(folder: Path, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-probs of the greedy tokens as openpi's sampler has them at a shift, and as the policy does."""
    reference = read_reference_set(folder)
    model = Model(reference, Pi0FAST.from_config(reference.config), jax.tree.map(jnp.asarray, reference.params))
    tokens = reference.outputs["greedy_tokens"]
    served = jax.nn.log_softmax(jnp.asarray(model.served_logits(tokens, shift=shift)))
    ours = jax.jit(parity_forward.cached_log_probs, static_argnums=0)(
        model.backbone, model.params, make_inputs(reference), jnp.asarray(tokens)
    )
    return np.asarray(parity_forward.pick(served, jnp.asarray(tokens))), np.asarray(ours)


def test_contiguous_positions_without_masked_cameras_are_the_policys(plain_set: Path) -> None:
    served, ours = scores(plain_set, CONTIGUOUS_SHIFT)
    np.testing.assert_allclose(served, ours, atol=1e-5)


def test_served_positions_differ_after_the_first_token(plain_set: Path) -> None:
    served, ours = scores(plain_set, SERVED_SHIFT)
    np.testing.assert_allclose(served[:, 0], ours[:, 0], atol=1e-5)  # the prefix has the same positions
    assert np.abs(served - ours)[:, 1:].max() > 1e-3


def test_masked_cameras_shift_the_served_positions(masked_set: Path) -> None:
    served, ours = scores(masked_set, CONTIGUOUS_SHIFT)
    assert np.all(np.abs(served - ours).max(axis=1) > 1e-3)


def test_a_set_passes_wherever_it_is_copied(
    masked_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The set has masked cameras, other image sizes, and leaves that end in `value`.

    config.json does not know the name of the set.
    """
    copy = shutil.copytree(masked_set, tmp_path / "copy")
    assert __main__.main(["parity", str(copy)]) == 0
    printed = capsys.readouterr().out
    assert f"checkpoint {copy}/checkpoint/params" in printed and "2 masked" in printed
    assert "not compared: nothing" in printed and "FAIL" not in printed


def test_each_changed_number_fails_and_unknown_ones_are_named(
    masked_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(masked_set, tmp_path / "copy")
    outputs = dict(np.load(copy / "outputs.npz"))
    outputs["logits"][1, 10, 3] += 1e-3  # a pad, which openpi's packing has numbers for
    outputs["decode_logits_openpi_pos"][0, 2, 7] += 1e-3
    outputs["sampled_tokens_T2_key7"][1, 3] += 1
    outputs["grad_leaf_norms"][4] += 0.01
    np.savez(copy / "outputs.npz", **outputs, attention_entropy=np.zeros(3))
    assert __main__.main(["parity", str(copy)]) == 1
    *_, left, verdict = capsys.readouterr().out.strip().splitlines()
    assert left == "not compared: attention_entropy"
    assert verdict == (
        "4 quantities beyond tolerance: logits, grad_leaf_norms, decode_logits_openpi_pos, sampled_tokens_T2_key7"
    )


def damage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def forget_sizes(folder: Path) -> None:
    (folder / "config.json").write_text('{"checkpoint": "checkpoint/params"}')


def remove_checkpoint(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoint")


def damage_outputs(folder: Path) -> None:
    (folder / "outputs.npz").write_bytes(b"PK")


def list_sizes(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def forget_an_input(folder: Path) -> None:
    inputs = dict(np.load(folder / "inputs.npz"))
    del inputs["token_ar_mask"]
    np.savez(folder / "inputs.npz", **inputs)


def forget_outputs(folder: Path) -> None:
    np.savez(folder / "outputs.npz", attention_entropy=np.zeros(3))


def move_prompt(folder: Path) -> None:
    inputs = dict(np.load(folder / "inputs.npz"))
    np.savez(folder / "inputs.npz", **{**inputs, "token_ar_mask": inputs["token_ar_mask"][:, ::-1]})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "config.json cannot be read"),
        (damage_config, "config.json cannot be read"),
        (list_sizes, "config.json must hold one object, got list"),
        (forget_sizes, "does not describe a model"),
        (forget_an_input, "inputs.npz must have 'token_ar_mask', got "),
        (forget_outputs, "outputs.npz must have known quantities, got attention_entropy"),
        (remove_checkpoint, "must be an Orbax folder"),
        (damage_outputs, "outputs.npz cannot be read"),
        (move_prompt, "a prompt, an answer and pads"),
    ],
)
def test_what_is_no_set_is_refused_in_one_line(
    plain_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil, message: str
) -> None:
    copy = shutil.copytree(plain_set, tmp_path / "copy")
    spoil(copy)
    assert __main__.main(["parity", str(copy)]) == 2
    assert message in capsys.readouterr().err


def test_help_and_errors_say_what_the_folder_must_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["parity", str(tmp_path)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    with pytest.raises(SystemExit):
        __main__.main(["parity", "--help"])
    for text in (error, " ".join(capsys.readouterr().out.split())):
        assert "config.json (sizes), inputs.npz, outputs.npz and the checkpoint" in text
        assert "docs/model.md says what each file has" in text


def test_images_of_another_size_are_resized_without_rounding(masked_set: Path) -> None:
    """openpi rounds in its data transforms, and not in its model. Before rounding, both are the same."""
    raw, reference = np.load(masked_set / "inputs.npz"), read_reference_set(masked_set)
    for index, camera in enumerate(reference.config.cameras):
        rounded = np.stack([resize_with_pad(image, 28) for image in raw[f"image_{camera}"]])
        np.testing.assert_allclose(reference.images[:, index], rounded, atol=0.502)
    np.testing.assert_array_equal(reference.images[:, 0], raw["image_base_0_rgb"])  # its size is right already


def passes(ours: list, reference: list, tolerance: Tolerance, counted: list | None = None) -> bool:
    mask = None if counted is None else np.array(counted)
    return compare(Quantity("x", np.array(ours), np.array(reference), tolerance, counted=mask)).passed


def test_tolerance_is_absolute_or_grows_with_the_reference() -> None:
    assert not passes([1.0, 10.2], [1.0, 10.0], Tolerance(0.1))
    assert passes([1.0, 10.2], [1.0, 10.0], Tolerance(0.1, "element"))  # 0.1 * 10
    assert not passes([1.2, 10.0], [1.0, 10.0], Tolerance(0.1, "element"))  # 0.1 * 1
    assert passes([3.3, 4.0], [3.0, 4.0], Tolerance(0.1, "vector"))  # 0.1 * sqrt((9 + 16) / 2) = 0.354
    assert not passes([3.4, 4.0], [3.0, 4.0], Tolerance(0.1, "vector"))
    assert not passes([0.25, 0.0], [0.0, 0.0], Tolerance(0.2, "vector"))  # never below the bound itself


def test_only_what_counts_is_compared() -> None:
    assert passes([[1.0, 1.0], [2.0, 9.0]], [[1.0, 1.0], [9.0, 9.0]], Tolerance(0.1), counted=[True, False])
    assert not passes([[1.0, 1.0], [2.0, 9.0]], [[1.0, 1.0], [9.0, 9.0]], Tolerance(0.1), counted=[False, True])


def test_other_shapes_and_nan_never_pass() -> None:
    assert not passes([1.0], [1.0, 1.0], Tolerance(10.0))
    assert not passes([np.nan], [1.0], Tolerance(10.0))
    assert not passes([1.0], [np.nan], Tolerance(10.0))


def test_a_row_says_where_the_difference_is_largest_in_proportion_to_its_tolerance() -> None:
    ours, reference = np.array([[1.0, 20.5], [0.1, 3.0]]), np.array([[1.0, 20.0], [0.0, 3.0]])
    row = compare(Quantity("logits", ours, reference, Tolerance(0.05, "element"), remark="the policy's slots"))
    # 0.5 of 20 is within 0.05 * 20 by one half, and 0.1 of 0 is twice the bound.
    assert (row.difference, row.where, row.passed) == (0.1, "[1, 0]", False)
    shown = "logits 1.00e-01 [1, 0] 5e-02 x max(1, |ref|) FAIL the policy's slots"
    assert " ".join(str(row).split()) == shown
    number = compare(Quantity("loss", np.array(2.0), np.array(2.0), Tolerance(0.0)))
    assert (number.difference, number.where, number.passed, str(number).split()[-1]) == (0.0, "", True, "ok")
    assert len(str(number).rstrip()) < len(HEADING)
    nothing = compare(Quantity("x", np.zeros((0, 2)), np.zeros((0, 2)), Tolerance(0.0)))
    assert (nothing.difference, nothing.where, nothing.passed) == (0.0, "", True)


def test_tolerances_are_those_that_the_document_names() -> None:
    """A wider tolerance would hide a difference, so widening one takes a change here and in docs/model.md."""
    fine = {name: str(tolerance) for name, tolerance in parity_tolerances.FINE.items()}
    assert fine == {
        **dict.fromkeys(("prefix_emb_mean", "prefix_emb_std", "prefix_emb_first8"), "1e-04"),
        **dict.fromkeys(("logits", "pre_logits_text"), "1e-04 x max(1, rms ref)"),
        **dict.fromkeys(("token_logp", "seq_logp_sum", "loss"), "1e-04 x max(1, |ref|)"),
        **dict.fromkeys(("input_mask", "ar_mask"), "0e+00"),
    }
    coarse = {name: (tolerance.bound, tolerance.scale) for name, tolerance in parity_tolerances.COARSE.items()}
    assert coarse == {
        **dict.fromkeys(("prefix_emb_mean", "prefix_emb_std"), (0.02, "none")),
        "prefix_emb_first8": (0.05, "element"),
        "logits": (1.0, "none"),
        "pre_logits_text": (0.1, "element"),
        "token_logp": (0.5, "none"),
        "seq_logp_sum": (0.05, "element"),
        "loss": (0.1, "none"),
        **dict.fromkeys(("input_mask", "ar_mask"), (0.0, "none")),
    }
    assert (parity_tolerances.CHOICE.bound, parity_tolerances.COARSE_CHOICE.bound) == (5e-4, 1.0)


def test_a_tolerance_of_bfloat16_grows_with_the_references_own_rounding() -> None:
    """The reference is 0.75 from its float32 numbers in what counts. The tolerance sqrt(2) * 0.75 is above 0.5."""
    coarse, fine = np.array([[1.75, 9.0], [2.0, 2.0]]), np.array([[1.0, 2.0, 5.0], [2.0, 2.0, 5.0]])
    counted = np.array([[True, False], [True, True]])
    grown = parity_tolerances.coarse_tolerance("token_logp", coarse, fine, counted)
    assert (grown.bound, grown.scale) == (pytest.approx(0.75 * np.sqrt(2.0)), "none")
    assert parity_tolerances.coarse_tolerance("token_logp", coarse, fine, None).bound == pytest.approx(7 * np.sqrt(2.0))
    for name, given in (("token_logp", None), ("token_logp", coarse), ("seq_logp_sum", fine), ("input_mask", fine)):
        kept = parity_tolerances.coarse_tolerance(name, coarse, given, counted)
        assert kept is parity_tolerances.COARSE[name]


def change_outputs(folder: Path, *, without: tuple[str, ...] = (), **changed: np.ndarray) -> Path:
    outputs = {name: array for name, array in np.load(folder / "outputs.npz").items() if name not in without}
    np.savez(folder / "outputs.npz", **{**outputs, **changed})
    return folder


@pytest.mark.parametrize("name", parity_complete.REQUIRED)
def test_a_set_without_a_needed_array_does_not_pass(
    masked_set: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = change_outputs(Path(shutil.copytree(masked_set, tmp_path / "copy")), without=(name,))
    assert __main__.main(["parity", str(copy)]) == 2
    captured = capsys.readouterr()
    assert f"got it without {name}; take a whole set, or compare what there is by --allow_missing" in captured.err
    assert "within tolerance" not in captured.out


def test_a_partial_set_is_compared_where_that_is_allowed(plain_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["parity", str(plain_set)]) == 2
    assert __main__.main(["parity", str(plain_set), "--allow_missing"]) == 0
    assert "missing, and allowed to be: prefix_emb_mean, " in capsys.readouterr().out


def test_gradients_of_some_leaves_alone_do_not_pass(
    masked_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(masked_set, tmp_path / "copy"))
    names, norms = (np.load(copy / "outputs.npz")[name] for name in ("grad_leaf_names", "grad_leaf_norms"))
    change_outputs(copy, grad_leaf_names=names[1:], grad_leaf_norms=norms[1:])
    assert __main__.main(["parity", str(copy)]) == 2
    left_out = str(names[0]).removesuffix("/value")
    assert f"got it without grad_leaf_norms of {left_out}; take a whole set" in capsys.readouterr().err
    change_outputs(copy, grad_leaf_names=names, grad_leaf_norms=norms[1:])
    assert __main__.main(["parity", str(copy)]) == 2
    assert "one of grad_leaf_norms for each of grad_leaf_names, got shapes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("logits", np.array(["text"])),
        ("greedy_tokens", np.zeros((3, 4), np.int32)),
        ("greedy_tokens", np.zeros(4, np.int32)),
        ("eos_swap_row", np.array(["text"])),
    ],
)
def test_arrays_that_fit_no_row_are_one_line(
    masked_set: Path, tmp_path: Path, name: str, array: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = change_outputs(Path(shutil.copytree(masked_set, tmp_path / "copy")), **{name: array})
    assert __main__.main(["parity", str(copy)]) in (1, 2)
    assert "all within tolerance" not in capsys.readouterr().out


def test_inputs_that_do_not_fit_each_other_are_refused(
    masked_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(masked_set, tmp_path / "copy"))
    inputs = dict(np.load(copy / "inputs.npz"))
    for name, array in (
        ("image_base_0_rgb", np.zeros((1, 28, 28, 3), np.uint8)),
        ("image_mask_base_0_rgb", np.ones(5)),
    ):
        np.savez(copy / "inputs.npz", **{**inputs, name: array})
        assert __main__.main(["parity", str(copy)]) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert "holds arrays that do not fit each other" in error
