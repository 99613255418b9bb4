"""Tests the worker thread: order, errors, and an end that does not wait."""

from __future__ import annotations

import threading
import time

import pytest

from chunk_ppo_ros.nodes.common.worker import Outcome, Worker
from support.patience import PATIENCE

pytestmark = pytest.mark.graph


class Spinner:
    """Stands in for the executor. It waits to be woken, then delivers."""

    def __init__(self) -> None:
        self.woken = threading.Semaphore(0)
        self.worker = Worker(name="worker", wake=self.woken.release)

    def spin(self, times: int) -> None:
        for _ in range(times):
            assert self.woken.acquire(timeout=PATIENCE)
            self.worker.deliver()


@pytest.fixture
def spinner():
    spinner = Spinner()
    yield spinner
    spinner.worker.close()


def test_jobs_run_in_order_in_one_other_thread_and_results_come_back_in_this_one(spinner):
    threads, results = [], []

    def job(number):
        threads.append(threading.current_thread())
        return number * number

    for number in range(4):
        spinner.worker.submit(
            lambda number=number: job(number),
            lambda outcome: results.append((outcome.result(), threading.current_thread())),
        )
    spinner.spin(4)
    assert results == [(number * number, threading.current_thread()) for number in range(4)]
    assert len(set(threads)) == 1 and threads[0] is not threading.current_thread()


def test_an_exception_is_handed_on_and_the_next_job_runs(spinner):
    outcomes: list[Outcome[float]] = []
    spinner.worker.submit(lambda: 1 / 0, outcomes.append)
    spinner.worker.submit(lambda: 2.0, outcomes.append)
    spinner.spin(2)
    with pytest.raises(ZeroDivisionError):
        outcomes[0].result()
    assert outcomes[1].result() == 2.0


def test_a_job_counts_as_open_until_its_result_is_delivered(spinner):
    seen = []
    spinner.worker.submit(lambda: None, lambda outcome: seen.append(spinner.worker.num_open))
    assert spinner.worker.num_open == 1
    spinner.spin(1)
    assert seen == [0]


def test_a_result_may_submit_the_next_job(spinner):
    results = []
    spinner.worker.submit(lambda: 1, lambda outcome: spinner.worker.submit(lambda: 2, results.append))
    spinner.spin(2)
    assert [outcome.result() for outcome in results] == [2]


def test_close_returns_while_a_job_runs_and_nothing_wakes_any_more(spinner):
    go, running = threading.Event(), threading.Event()

    def job():
        running.set()
        go.wait(PATIENCE)

    spinner.worker.submit(job, lambda outcome: None)
    assert running.wait(PATIENCE)
    started = time.monotonic()
    spinner.worker.close()
    assert time.monotonic() - started < 1.0
    go.set()
    assert not spinner.woken.acquire(timeout=0.2)
    with pytest.raises(RuntimeError, match="before the worker is closed"):
        spinner.worker.submit(job, lambda outcome: None)
