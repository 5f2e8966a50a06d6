import pytest
import torch
from conftest import composed
from helpers.compositions import SMALL

from ser.commands.predict import predict
from ser.commands.train import train
from ser.errors import UserError
from ser.models import forward
from ser.out_of_memory import explaining_out_of_memory
from ser.training.trainer import EmotionTrainer

QUICK = (*SMALL, "trainer=scratch", "tracking=none", "trainer.max_steps=1")


def too_large(*args, **kwargs):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nOf the allocated memory ...")


def test_training_that_does_not_fit_ends_with_a_line_on_what_to_lower(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(EmotionTrainer, "compute_loss", too_large)
    with pytest.raises(UserError, match=r"out of memory: lower trainer\.per_device_train_batch_size") as error:
        train(composed("train", *QUICK, f"data_dir='{data_dir}'", f"output_dir='{tmp_path / 'run'}'"))
    for key in ("gradient_checkpointing=true", "lora_rank=8", "optim=adamw_torch_8bit", "eval_batch_size"):
        assert key in str(error.value)
    assert "\n" not in str(error.value)


def test_a_test_list_that_does_not_fit_names_the_batch_size_of_evaluation(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "default_device", too_large)
    with pytest.raises(UserError, match=r"out of memory: lower trainer\.per_device_eval_batch_size"):
        train(composed("train", *QUICK, f"data_dir='{data_dir}'", f"output_dir='{tmp_path / 'run'}'"))


def test_recordings_that_do_not_fit_name_the_batch_size_of_predict(finished_run, corpus_root, tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "default_device", too_large)
    arguments = (f"checkpoint='{finished_run}'", f"audio='{corpus_root}'", f"output='{tmp_path / 'answers.csv'}'")
    with pytest.raises(UserError, match="out of memory: lower batch_size=8"):
        predict(composed("predict", *arguments))


@pytest.mark.parametrize(
    "message",
    [
        "[enforce fail at alloc_cpu.cpp:120] err == 0. DefaultCPUAllocator: can't allocate memory: you tried 8 TB",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_memory_that_is_lacking_is_known_by_its_signs_too(message):
    with pytest.raises(UserError, match="out of memory: lower it"), explaining_out_of_memory("lower it"):
        raise RuntimeError(message)


def test_a_real_allocation_that_fails_is_explained():
    with pytest.raises(UserError, match="is out of memory: lower it"), explaining_out_of_memory("lower it"):
        torch.empty(2**55, dtype=torch.uint8, device="cpu")


def test_another_error_stays_as_it_is():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), explaining_out_of_memory("lower it"):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
