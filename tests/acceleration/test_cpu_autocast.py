import torch
from torch import nn

from ser.acceleration.cpu_autocast import cpu_autocast

CPU = torch.device("cpu")


def casts_of_weights(context):
    """Count how often the weight of a layer is cast in three passes, each in an autocast of its own."""
    layer, clips = nn.Linear(8, 8), torch.randn(2, 8, dtype=torch.bfloat16)
    with torch.profiler.profile() as profiler, context, torch.no_grad():
        for _ in range(3):
            with torch.autocast("cpu", torch.bfloat16):
                layer(clips)
    return sum(event.count for event in profiler.key_averages() if event.key == "aten::_to_copy")


def test_inside_of_the_context_weights_are_cast_once_for_all_passes():
    assert casts_of_weights(cpu_autocast(True, CPU)) == 2  # weight and bias
    assert casts_of_weights(cpu_autocast(False, CPU)) == 6


def test_only_a_run_in_bf16_on_a_cpu_computes_in_bfloat16():
    for bf16, device in ((True, CPU), (False, CPU), (True, torch.device("cuda"))):
        with cpu_autocast(bf16, device):
            assert torch.is_autocast_enabled("cpu") == (bf16 and device == CPU)
