"""Tests that Ctrl-C ends a command also where Python drops the exception that it raises."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chunk_ppo_ros.cli.leaving import leave
from chunk_ppo_ros.runtime import interrupts
from support.fresh_python import run_program

COLLECTING = """
import gc, signal, time
from chunk_ppo_ros.runtime import interrupts

interrupts.RESEND_DELAY = 2.0  # Also on a busy machine the line below is printed before.

def interrupt_once(phase, info):
    gc.callbacks.remove(interrupt_once)
    signal.raise_signal(signal.SIGINT)

def main(arguments):
    gc.callbacks.append(interrupt_once)
    gc.collect()
    print("the interrupt was dropped", flush=True)
    time.sleep(600)
"""


def test_an_interrupt_that_comes_while_garbage_is_collected_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "collecting").mkdir()
    (tmp_path / "collecting" / "__init__.py").touch()
    (tmp_path / "collecting" / "endless.py").write_text(COLLECTING)
    program = (
        f"import signal, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # A job in the background ignores SIGINT.
        "from chunk_ppo_ros.cli.commands import run_command\n"
        "from chunk_ppo_ros.cli.leaving import leave\n"
        "from chunk_ppo_ros.cli.table import Command\n"
        "commands = {'endless': Command('endless', '')}\n"
        "leave(run_command('collecting', commands, ['endless'], program='collecting'))"
    )
    done = run_program(program)
    assert done.stdout == "the interrupt was dropped\n"
    assert (done.returncode, done.stderr) == (130, "collecting endless: stopped\n")


def test_a_status_is_that_of_the_process() -> None:
    with pytest.raises(SystemExit) as ended:
        leave(3)
    assert ended.value.code == 3


def test_an_interrupt_while_the_process_ends_gives_the_same_exit_code() -> None:
    """Python would end itself by the signal, of which a shell script does not know that it was a Ctrl-C in time."""
    program = (
        "import atexit, signal\n"
        "from chunk_ppo_ros.cli.leaving import leave\n"
        "atexit.register(signal.raise_signal, signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "leave(0)"
    )
    done = run_program(program)
    assert (done.returncode, done.stderr) == (130, "")


def test_an_interrupt_while_the_program_is_imported_leaves_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'numpy':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['chunk_ppo', 'train', '--config', 'debug']\n"
        "from chunk_ppo_ros.__main__ import run\n"
        "run()"
    )
    done = run_program(program)
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_after_an_interrupt_no_thread_holds_the_process() -> None:
    """A thread in which XLA compiles cannot be stopped. What was printed before is not lost."""
    program = (
        "import threading, time\n"
        "from chunk_ppo_ros.cli.leaving import INTERRUPTED, leave\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "print('printed before', end='')\n"
        "leave(INTERRUPTED)"
    )
    done = run_program(program)
    assert (done.returncode, done.stdout) == (130, "printed before")


def test_a_ctrl_c_is_held_back_only_meanwhile() -> None:
    def is_blocked() -> bool:
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert not is_blocked()
    with interrupts.held():
        assert is_blocked()
        with interrupts.held():
            pass
        assert is_blocked()
    assert not is_blocked()


POOL = """
import multiprocessing, os, signal
from chunk_ppo_ros.runtime.process_pool import worker_pool

spawning = multiprocessing.get_context("spawn")

class Interrupting:
    def Pool(self, *arguments, **more):
        pool = spawning.Pool(*arguments, **more)
        signal.raise_signal(signal.SIGINT)
        print("the pool is made", flush=True)
        return pool

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.get_context = lambda _: Interrupting()
    try:
        with worker_pool(2):
            print("the pool is used", flush=True)
    except KeyboardInterrupt:
        pass
    os._exit(130)
"""


def test_an_interrupt_while_worker_processes_are_started_leaves_no_semaphore(tmp_path: Path) -> None:
    """Python's resource tracker would warn of those that are left, and its start admits SIGINT."""
    file = tmp_path / "interrupted.py"
    file.write_text(POOL)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("the pool is made\n", "", 130)


CYCLE = """
import signal
from chunk_ppo_ros.cli.leaving import leave
from chunk_ppo_ros.runtime.process_pool import worker_pool

def work():
    try:
        with worker_pool(1) as pool:
            raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        kept = error  # Its frame has the pool and the error, which has the frame.

if __name__ == "__main__":
    work()
    leave(130)
"""


def test_an_interrupt_that_holds_a_pool_in_a_cycle_leaves_no_semaphore(tmp_path: Path) -> None:
    file = tmp_path / "cycle.py"
    file.write_text(CYCLE)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 130)
