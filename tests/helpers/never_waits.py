"""An alarm for what a GPU would be waited for, on a CPU."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NeverWaits(TorchDispatchMode):
    """Refuses what a GPU would be waited for: its values, places that it has to look for, copies from the host."""

    READ = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in self.READ, name
        if name == "_to_copy" and args[0].is_cpu:
            to = torch.device((kwargs or {}).get("device") or "cpu")
            assert to.type == "cpu" or kwargs.get("non_blocking"), f"a copy to {to}"
        if name.rstrip("_") in ("index", "index_put"):
            # A number written through a mask is a masked fill; a number written to places is copied to them first.
            by_mask = any(place is not None and place.dtype is torch.bool for place in args[1])
            a_number = name != "index" and args[2].dim() == 0
            assert by_mask == a_number, f"{name} {[place.dtype for place in args[1] if place is not None]}"
        return function(*args, **(kwargs or {}))

    def __enter__(self):
        # These two read without asking the dispatcher.
        self.patch = pytest.MonkeyPatch()
        for name in ("tolist", "numpy"):
            self.patch.setattr(torch.Tensor, name, lambda *_: pytest.fail("a tensor is read"), raising=False)
        return super().__enter__()

    def __exit__(self, *error):
        self.patch.undo()
        return super().__exit__(*error)
