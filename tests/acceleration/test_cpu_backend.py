import os

import pytest
import torch

from ser.acceleration import cpu_backend


@pytest.fixture(autouse=True)
def switch():
    """The switch as it was, before and after."""
    before = torch.backends.mkldnn.matmul.fp32_precision
    yield torch.backends.mkldnn.matmul
    torch.backends.mkldnn.matmul.fp32_precision = before


def test_float32_stays_float32_whichever_library_computes_it():
    cpu_backend.enable_onednn_fp32_matmul()
    assert cpu_backend.matmul_error() <= cpu_backend.MAX_ERROR


def test_a_library_that_computes_in_less_is_not_used(switch, monkeypatch):
    before = switch.fp32_precision
    monkeypatch.setattr(cpu_backend, "matmul_error", lambda: 3e-3)  # what bfloat16 would have
    assert not cpu_backend.enable_onednn_fp32_matmul()
    assert switch.fp32_precision == before


def test_what_is_made_for_many_lengths_is_not_kept_unless_the_user_asks_for_it(monkeypatch):
    first, second = cpu_backend.CACHE_LIMITS
    monkeypatch.delenv(first, raising=False)
    monkeypatch.setenv(second, "2000")
    cpu_backend.limit_onednn_cache()
    assert (os.environ[first], os.environ[second]) == ("64", "2000")
