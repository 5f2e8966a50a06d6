import json
import os

import pytest
from helpers.process_groups import finish, start

from ser import processes
from ser.errors import UserError

GATHER = """
import json, os
import numpy as np
from ser import processes

group = processes.join(60)
rank = group.rank
rows = processes.gather_rows(np.arange(2 * rank, dtype=np.float32).reshape(rank, 2))
found = rows.tolist(), processes.sum_of([rank, 0.5]), processes.any_of(rank == 1), processes.any_of(False)
if rank == 0:
    group.send("run", number=7)
    group.wait_until_ready()
else:
    found = (*found, group.receive())
    group.report_ready()
print(json.dumps([*found, group.is_first_to_fail()]))
"""


def test_processes_gather_rows_sums_and_orders():
    ends = finish(start(3, "-c", GATHER))
    assert [status for status, *_ in ends] == [0, 0, 0], ends
    found = [json.loads(output) for _, output, _ in ends]
    for rows, sums, anyone, nobody, *_ in found:
        assert rows == [[0.0, 1.0], [0.0, 1.0], [2.0, 3.0]]
        assert (sums, anyone, nobody) == ([3.0, 1.5], True, False)
    assert [one[4] for one in found[1:]] == [{"kind": "run", "number": 7}] * 2
    assert sorted(one[-1] for one in found) == [False, False, True]


LOST = """
from ser import processes

group = processes.join(60)
if group.rank == 0:
    with processes.explain_lost_process("what to do"):
        processes.wait_for_all()
"""


def test_a_process_that_has_ended_is_told_in_a_line():
    status, _, errors = finish(start(2, "-c", LOST))[0]
    assert status == 1
    assert errors.splitlines()[-1].removeprefix("[rank0]: ") == (
        "ser.errors.UserError: another process of this training has ended or cannot be reached; what to do"
    )


NOT_READY = """
from ser import processes

group = processes.join(60)
if group.rank == 0:
    group.send("run")
    group.wait_until_ready()
else:
    group.receive()
    group.report_ready("no such folder")
"""


def test_the_first_process_raises_what_keeps_another_one_from_beginning():
    status, _, errors = finish(start(2, "-c", NOT_READY))[0]
    assert status == 1
    assert errors.splitlines()[-1].endswith("ser.errors.UserError: no such folder")


def test_without_a_launcher_there_is_one_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # a scheduler may set it alone
    assert processes.count_started() == 1
    assert processes.join(60).size == 1
    assert processes.sum_of([2.0]) == [2.0]


def test_an_incomplete_environment_is_refused_with_what_is_missing(monkeypatch):
    for name in processes.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match=r"^WORLD_SIZE=2: LOCAL_RANK, MASTER_ADDR, MASTER_PORT not set"):
        processes.join(60)
    assert "MASTER_ADDR" not in os.environ
