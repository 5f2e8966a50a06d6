"""One training on two hosts by torchrun's c10d rendezvous, cut off from one another in the middle."""

import os
import subprocess

import pytest
from conftest import prepare_toy, write_corpus
from helpers.commands import PYTHON
from helpers.compositions import SMALL
from helpers.two_hosts import ADDRESSES, CABLE, ENTER, ip, two_hosts
from safetensors.numpy import load_file

AGENT = f"""{ENTER}
import sys
from torch.distributed.run import main

enter(sys.argv.pop(1))
main()
"""
WORKER = f"""{ENTER}
import subprocess, sys
enter(os.environ["HOST_OF_TEST"])
from ser import cli
from ser.training.trainer import EmotionTrainer

step = EmotionTrainer.training_step

def cut_off(self, *args, **kwargs):
    if self.state.global_step == 5 and "CUT_OFF" in os.environ:
        subprocess.run(["ip", "link", "set", "{CABLE}", "down"], check=True)
    return step(self, *args, **kwargs)

EmotionTrainer.training_step = cut_off
cli.main()
"""
TIMEOUT = 6
"""Seconds without an answer after which a host counts as lost."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    return prepare_toy(write_corpus(folder / "root", actors=range(1, 4), seconds=0.15), folder / "data")


def torchrun(hosts, worker, arguments, cut_off=None):
    """Run the same command on both hosts; return the status and the errors of each.

    torchrun on a host that was cut off waits for the rendezvous store for as long as TCP does; it is killed when the
    other host has ended.
    """
    agents = []
    for host, address in zip(hosts, ADDRESSES, strict=True):
        environment = {**os.environ, "HOST_OF_TEST": host, "GLOO_SOCKET_IFNAME": CABLE, "TORCH_CPP_LOG_LEVEL": "FATAL"}
        if host == cut_off:
            environment["CUT_OFF"] = "1"
        first = int(address == ADDRESSES[0])  # both have the name of this machine, by which they would know it
        rendezvous = ["--rdzv-backend=c10d", f"--rdzv-endpoint={ADDRESSES[0]}:29513", f"--rdzv-conf=is_host={first}"]
        processes = ["--nnodes=2", "--nproc-per-node=1", f"--local-addr={address}"]
        command = [PYTHON, "-c", AGENT, host, *processes, *rendezvous, str(worker), *arguments]
        agents.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    first = agents[0].communicate()[1]
    if cut_off:
        agents[1].kill()
    second = agents[1].communicate()[1]
    return [(agents[0].returncode, first), (agents[1].returncode, second)]


def lines(errors):
    return [line for line in errors.splitlines() if line.startswith("ser: ")]


def test_two_hosts_train_together_and_go_on_after_one_was_cut_off(data, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    quick = (*SMALL, "tracking=none", "trainer=paper", "trainer.precision=fp32", "trainer.max_steps=8",
             "trainer.eval_steps=4", "trainer.save_steps=4", "trainer.logging_steps=4", "resume=auto",
             f"+trainer.extra_training_args.ddp_timeout={TIMEOUT}")  # fmt: skip
    arguments = ["train", *quick, f"data_dir={data}"]
    with two_hosts() as hosts:
        whole = torchrun(hosts, worker, [*arguments, f"output_dir={tmp_path}/whole"])
        assert [status for status, _ in whole] == [0, 0], whole
        ends = torchrun(hosts, worker, [*arguments, f"output_dir={tmp_path}/run"], cut_off=hosts[1])
        assert ends[0][0] == 1
        [line] = lines(ends[0][1])
        assert "another process of this training has ended or cannot be reached" in line
        assert line.endswith(f"the same command goes on with {tmp_path}/run")
        ip("-n", hosts[1], "link", "set", CABLE, "up")
        again = torchrun(hosts, worker, [*arguments, f"output_dir={tmp_path}/run"])
        assert [status for status, _ in again] == [0, 0], again
        assert "resuming from" in again[0][1]
    weights, others = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("whole", "run"))
    assert all((others[name] == values).all() for name, values in weights.items())
