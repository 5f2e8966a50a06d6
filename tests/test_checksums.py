import shutil

import pytest
import torch
from safetensors.torch import save_file

from ser import checksums
from ser.training import checkpoint_folders


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    save_file({"weight": torch.arange(100.0)}, folder / "model.safetensors")
    torch.save({"step": torch.zeros(50)}, folder / "optimizer.pt")
    (folder / "trainer_state.json").write_text("{}")
    return folder


FILES = ("model.safetensors", "optimizer.pt", "trainer_state.json")


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_found_and_its_file_named(name, checkpoint):
    checksums.write(checkpoint)
    assert checksums.fault(checkpoint) is None
    content = bytearray((checkpoint / name).read_bytes())
    content[len(content) // 2] ^= 1
    (checkpoint / name).write_bytes(content)
    assert checksums.fault(checkpoint) == f"{checkpoint / name} is damaged"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_named(name, checkpoint):
    checksums.write(checkpoint)
    (checkpoint / name).unlink()
    assert checksums.fault(checkpoint) == f"{checkpoint / name} is gone"


def test_a_checkpoint_that_is_gone_is_named(checkpoint):
    shutil.rmtree(checkpoint)
    assert checkpoint_folders.find_fault(checkpoint) == f"{checkpoint} is gone"


def test_only_what_is_looked_at_is_read(checkpoint):
    checksums.write(checkpoint)
    (checkpoint / "optimizer.pt").write_bytes(b"other")
    assert checksums.fault(checkpoint, "*.safetensors") is None


def test_damaged_checksums_are_named(checkpoint):
    (checkpoint / checksums.FILE).write_text("[1")
    assert checksums.fault(checkpoint) == f"{checkpoint / checksums.FILE} is damaged"


@pytest.mark.parametrize("name", FILES[:2])
@pytest.mark.parametrize("left", [0, 0.6])
def test_a_torn_file_of_an_earlier_version_is_found_without_checksums(name, left, checkpoint):
    assert checkpoint_folders.find_fault(checkpoint) is None
    content = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(content[: int(left * len(content))])
    assert checkpoint_folders.find_fault(checkpoint) == f"{checkpoint / name} is damaged"
