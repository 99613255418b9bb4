"""Compares our array with the reference's: where they differ most, and whether that is within the tolerance."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The largest difference that is accepted.

    Attributes:
        bound: largest accepted |ours - reference|, before the scale.
        scale: factor on the bound where that factor is above 1. "element" is |reference|. "vector" is the root mean
            square of the reference over the last axis. It suits products with a vector, whose rounding error grows with
            the vector's length.
    """

    bound: float
    scale: Literal["none", "element", "vector"] = "none"

    def allowed(self, reference: np.ndarray) -> np.ndarray:
        """Returns the bound for each element."""
        size = np.ones_like(reference)
        if self.scale == "element":
            size = np.abs(reference)
        elif self.scale == "vector":
            size = np.broadcast_to(np.sqrt(np.mean(np.square(reference), axis=-1, keepdims=True)), reference.shape)
        return self.bound * np.maximum(1.0, size)

    def __str__(self) -> str:
        factor = {"none": "", "element": " x max(1, |ref|)", "vector": " x max(1, rms ref)"}[self.scale]
        return f"{self.bound:.0e}{factor}"


EXACT = Tolerance(0.0)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """An array of the reference together with ours.

    Attributes:
        array: name of the array in the reference's file.
        ours: array that our model computes.
        reference: array that openpi computed, of the same shape.
        tolerance: accepted difference of the two.
        counted: bool, with the leading axes of the shape; false where nothing is compared, as at pads.
        remark: way in which ours was computed, where there are several ways.
    """

    array: str
    ours: np.ndarray
    reference: np.ndarray
    tolerance: Tolerance
    counted: np.ndarray | None = None
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of a comparison, with the difference that is largest in proportion to its tolerance."""

    name: str
    difference: float
    where: str
    tolerance: str
    passed: bool
    remark: str

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "FAIL"
        return (
            f"{self.name:<34} {self.difference:>9.2e}  {self.where:<16} {self.tolerance:<25} {verdict:<5} {self.remark}"
        )


HEADING = f"{'quantity':<34} {'largest':>9}  {'where':<16} {'tolerance':<25} {'':<5} remark"


def compare(quantity: Quantity) -> Row:
    """Returns the row of one quantity.

    It never passes where the shapes differ, or where a number is not finite on one side only.
    """
    ours, reference = np.asarray(quantity.ours, np.float64), np.asarray(quantity.reference, np.float64)
    if ours.shape != reference.shape:
        remark = f"shape {list(ours.shape)}, reference {list(reference.shape)}"
        return Row(quantity.array, np.inf, "", str(quantity.tolerance), False, remark)
    difference = np.where(ours == reference, 0.0, np.abs(ours - reference))
    difference = np.where(np.isnan(difference), np.inf, difference)
    if quantity.counted is not None:
        counted = quantity.counted.reshape(*quantity.counted.shape, *[1] * (ours.ndim - quantity.counted.ndim))
        difference = np.where(counted, difference, 0.0)
    allowed = quantity.tolerance.allowed(reference)
    excess = difference / np.maximum(allowed, np.finfo(float).tiny)
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape) if excess.size else ()
    return Row(
        name=quantity.array,
        difference=float(difference[worst]) if difference.size else 0.0,
        where=str([int(index) for index in worst]) if worst else "",
        tolerance=str(quantity.tolerance),
        passed=bool(np.all(difference <= allowed)),
        remark=quantity.remark,
    )
