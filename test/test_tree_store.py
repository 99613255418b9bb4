"""Tests how arrays are read to where they belong: memory, shardings, dtypes. It runs in a process with two devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as orbax
import pytest

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.checkpoints import orbax_trees

LARGE = (10, 1024, 1024)  # 40 MiB in float32
NUM_LARGE = 7

LOAD = f"""
import json, sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from chunk_ppo_ros.model.checkpoints import orbax_trees

def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

expected = {{f"large_{{n}}": jax.ShapeDtypeStruct({LARGE}, jnp.float32) for n in range({NUM_LARGE})}}
expected["small"] = jax.ShapeDtypeStruct((3,), jnp.float32)
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("x",))
split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "x"))
whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
sharding = {{name: whole if name == "small" else split for name in expected}} if len(jax.devices()) > 1 else None
jnp.zeros(3).block_until_ready()
before = peak()
names = {{name: name for name in expected}}
loaded = orbax_trees.load_tree(Path(sys.argv[1]), expected, names=names, sharding=sharding, verified=sys.argv[2] == "1")
jax.block_until_ready(loaded)
said = {{"mebibytes": peak() - before}}
said["shards"] = {{name: [list(s.data.shape) for s in leaf.addressable_shards] for name, leaf in loaded.items()}}
said["ends"] = {{name: [float(leaf.ravel()[0]), float(leaf.ravel()[-1])] for name, leaf in loaded.items()}}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a tree of 280 MiB that cannot be compressed."""
    folder = tmp_path_factory.mktemp("large") / "params"
    random = np.random.default_rng(0)
    tree = {f"large_{n}": random.random(LARGE, np.float32) for n in range(NUM_LARGE)}
    for n in range(NUM_LARGE):
        tree[f"large_{n}"].ravel()[[0, -1]] = n, -n
    orbax_trees.save_tree(folder, {**tree, "small": np.ones(3, np.float32)})
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize(("devices", "verified"), [(1, True), (2, False)])
def test_a_tree_is_in_memory_once(large: Path, repository: Path, devices: int, verified: bool) -> None:
    """Reading needs about 1.2 times the tree's size: the arrays, and the compressed form of one or two.

    Two copies would be 2.
    """
    flags = f"--xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(large), str(int(verified))],
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(repository)},
        check=True,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout)
    assert 280 <= said["mebibytes"] < 1.75 * 280
    assert said["ends"] == {**{f"large_{n}": [n, -n] for n in range(NUM_LARGE)}, "small": [1, 1]}
    rows = LARGE[1] // devices
    assert said["shards"]["large_0"] == [[LARGE[0], rows, LARGE[2]]] * devices
    assert said["shards"]["small"] == [[3]] * devices


@pytest.mark.parametrize(("stored", "wanted"), [("bfloat16", "float32"), ("float32", "bfloat16"), ("int32", "int32")])
def test_arrays_come_in_the_dtype_that_is_expected(tmp_path: Path, stored: str, wanted: str) -> None:
    values = jnp.array([1.5, -2.25, 1 / 3]).astype(stored)
    orbax_trees.save_tree(tmp_path / "params", {"a": {"b": values}})
    expected = {"a": {"b": jax.ShapeDtypeStruct((3,), wanted)}}
    loaded = orbax_trees.load_tree(tmp_path / "params", expected, names={"a/b": "a/b"})["a"]["b"]
    assert loaded.dtype == wanted
    np.testing.assert_array_equal(loaded, values.astype(wanted))


def test_only_named_arrays_are_read_and_under_their_new_names(tmp_path: Path) -> None:
    orbax_trees.save_tree(tmp_path / "params", {"a": np.ones(2, np.float32), "b": np.zeros(3, np.float32)})
    expected = {"x": {"y": jax.ShapeDtypeStruct((2,), jnp.float32)}}
    loaded = orbax_trees.load_tree(tmp_path / "params", expected, names={"a": "x/y"})
    assert name_leaves(loaded).keys() == {"x/y"}
    np.testing.assert_array_equal(loaded["x"]["y"], [1, 1])


def test_a_path_may_lead_up_and_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = Path("..") / "there" / ".." / "params"
    (tmp_path / "there").mkdir()
    orbax_trees.save_tree(folder, {"a": np.ones(2, np.float32)})
    assert list(orbax_trees.stored_shapes(folder)) == ["a"]
    loaded = orbax_trees.load_tree(folder, {"a": jax.ShapeDtypeStruct((2,), jnp.float32)}, names={"a": "a"})
    np.testing.assert_array_equal(loaded["a"], [1, 1])


def test_other_things_than_named_arrays_are_refused(tmp_path: Path) -> None:
    for number, tree in enumerate(([np.ones(2)], {"a": "text"})):
        orbax.PyTreeCheckpointer().save(tmp_path / str(number), tree)
        with pytest.raises(CheckpointError, match="(must hold named|storage has no) arrays"):
            orbax_trees.stored_shapes(tmp_path / str(number))
