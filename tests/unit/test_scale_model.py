"""Laws of the model of workers: what no number of them can change."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.scale_model import Costs, Job, simulate
from scripts import scaling_page

COSTS = Costs(broker=0.0002, claiming=0.0007, ending=0.0004, overhead=0.003, joining=1e-9, server_cores=16)
FEW_JOBS = st.lists(
    st.builds(Job, st.integers(1, 30), st.floats(0.001, 0.2), st.floats(0, 1e8)), min_size=1, max_size=5
)


@settings(max_examples=50)
@given(FEW_JOBS, st.integers(1, 40))
def test_every_part_ends_once(jobs: list[Job], workers: int) -> None:
    assert simulate(jobs, workers, COSTS).parts == sum(job.parts for job in jobs)


@settings(max_examples=50)
@given(FEW_JOBS, st.integers(2, 40))
def test_no_speed_up_beyond_the_number_of_workers(jobs: list[Job], workers: int) -> None:
    one, many = (simulate(jobs, count, COSTS) for count in (1, workers))
    assert one.seconds <= many.seconds * workers * (1 + 1e-9)
    assert many.efficiency <= 1


@given(st.integers(1, 300), st.floats(0.001, 0.1))
def test_one_worker_takes_the_sum_of_all_it_does(parts: int, work: float) -> None:
    alone = simulate([Job(parts, work)], 1, COSTS)
    at_worst = 1.5 * work + COSTS.broker + COSTS.claiming + COSTS.beside + COSTS.ending + COSTS.held
    assert (0.5 * work) * parts < alone.seconds < at_worst * (parts + 1) + 2 * COSTS.broker


def test_equal_arguments_give_equal_runs() -> None:
    assert simulate([Job(200, 0.02)] * 3, 7, COSTS) == simulate([Job(200, 0.02)] * 3, 7, COSTS)


@pytest.mark.parametrize(
    ("bound", "jobs", "changes"),
    [
        ("rows of the jobs", 1, {}),
        ("rows of the jobs", 2, {}),
        ("PostgreSQL", 50, {"server_cores": 1}),
        ("broker", 50, {"broker": 0.002}),
        ("workers", 50, {"overhead": 0.1}),
    ],
)
def test_reaches_what_bounds_it_and_no_more(bound: str, jobs: int, changes: dict[str, float]) -> None:
    workers, costs = 100, replace(COSTS, **changes)
    run = simulate([Job(10_000 // jobs, 0.001)] * jobs, workers, costs)
    bounds = costs.per_second(workers, 0.001, jobs)
    assert min(bounds, key=bounds.__getitem__) == bound
    assert 0.93 * bounds[bound] < run.per_second <= bounds[bound] * 1.01


def test_a_result_is_joined_after_its_last_part_by_one_worker() -> None:
    joining = 10.0
    job = Job(50, 0.01, joining / COSTS.joining)
    without, joined = (simulate([one], 50, COSTS).seconds for one in (replace(job, result_bytes=0.0), job))
    assert joined == pytest.approx(without + joining, abs=0.001)
    assert simulate([job, job], 50, COSTS).seconds < without + 1.5 * joining  # two results, two workers


def test_far_servers_lock_rows_for_longer() -> None:
    near, far = (simulate([Job(2_000, 0.01)], 100, replace(COSTS, network=network)) for network in (0.0, 0.001))
    assert far.per_second < near.per_second / 3
    assert far.per_second == pytest.approx(1 / (COSTS.ending + 0.003), rel=0.05)


def test_the_page_says_what_the_model_says() -> None:
    """Of the million parts, which take longer to simulate, the script's --check says."""
    assert scaling_page.times() in scaling_page.PAGE.read_text()


def test_the_picture_is_the_models() -> None:
    assert scaling_page.picture() == scaling_page.PICTURE.read_text()
