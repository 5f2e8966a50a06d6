"""A guard for trackers: a failing tracker does not end the run."""

import logging
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from transformers import Trainer, TrainerCallback

log = logging.getLogger("ser")

INTEGRATIONS = "transformers.integrations"


class GuardedCallback:
    """Passes each event to the callback of a tracker, until that callback fails."""

    def __init__(self, callback: TrainerCallback) -> None:
        self._callback, self._failed = callback, False

    def __getattr__(self, event: str) -> Callable[..., None]:
        """Return a guarded handler for any event of the tracker."""
        handle = getattr(self._callback, event)

        def guarded(*args: Any, **kwargs: Any) -> None:
            if self._failed:
                return
            try:
                with redirect_stdout(StringIO()):  # standard output carries only results
                    handle(*args, **kwargs)
            except Exception as error:  # any: errors of the tracker, the network and the disk
                self._failed = True
                text = " ".join(str(error).split())
                log.warning("tracking ends here and training goes on: %s: %s", type(error).__name__, text)

        return guarded


def guard_trackers(trainer: Trainer) -> None:
    """Wrap each tracker callback of a Trainer in a guard."""
    callbacks = trainer.callback_handler.callbacks
    callbacks[:] = [GuardedCallback(one) if type(one).__module__.startswith(INTEGRATIONS) else one for one in callbacks]
