import sys
import threading

import pytest
import torch

from ser.data import parallel
from ser.data.parallel import count_side_by_side, count_threads, in_threads, map_side_by_side, sharing_threads


def test_results_come_in_the_order_of_the_items_whatever_the_number_of_threads():
    for threads in (0, 1, 3):
        assert list(in_threads(str, range(10), at_once=4, threads=threads)) == [str(number) for number in range(10)]


@pytest.mark.parametrize(("given", "threads"), [("3", 3), ("", 5), ("0", 5), ("2,1", 5)])
def test_without_pytorch_the_threads_are_those_of_omp_num_threads_or_else_the_cores(given, threads, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(parallel, "cores", lambda: 5)
    assert count_threads() == threads


def test_the_threads_of_pytorch_are_shared_out_and_come_back_after_an_error():
    before = torch.get_num_threads()

    def fail():
        torch.set_num_threads(4)
        with sharing_threads(2):
            used.append(torch.get_num_threads())
            raise ZeroDivisionError

    used = []
    try:
        with pytest.raises(ZeroDivisionError):
            fail()
        assert [*used, torch.get_num_threads()] == [2, 4]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("threads", "batches"), [(1, 1), (2, 2), (64, 4)])
def test_as_many_batches_are_scored_side_by_side_as_there_are_threads_but_no_more_than_four(
    threads, batches, monkeypatch
):
    monkeypatch.setattr(parallel, "count_threads", lambda: threads)
    assert count_side_by_side() == batches


def test_a_single_worker_computes_in_its_callers_thread_and_several_keep_the_order():
    here = threading.get_ident()
    assert set(map_side_by_side(lambda _: threading.get_ident(), range(3), 1)) == {here}
    others = map_side_by_side(lambda number: (number, threading.get_ident()), range(20), 2)
    assert [number for number, _ in others] == list(range(20))
    assert here not in {thread for _, thread in others}


@pytest.mark.parametrize(("items", "threads"), [(1, [4]), (2, [2, 2]), (4, [1] * 4)])
def test_the_threads_of_pytorch_are_shared_out_among_no_more_workers_than_there_are_items(items, threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        assert map_side_by_side(lambda _: torch.get_num_threads(), iter(range(items)), 4) == threads
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
