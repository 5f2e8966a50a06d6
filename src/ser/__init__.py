"""Fine-tune self-supervised speech encoders for emotion recognition, and report honestly how well they do.

`ser.load` opens a checkpoint in Python. What is imported here is imported when it is used, so that `import ser` is
light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser.api import EmotionClassifier as EmotionClassifier
    from ser.api import Prediction as Prediction
    from ser.api import load as load

    __version__: str

__all__ = ["EmotionClassifier", "Prediction", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ser-finetune")
    if name in __all__:
        from ser import api

        return getattr(api, name)
    raise AttributeError(f"module 'ser' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
