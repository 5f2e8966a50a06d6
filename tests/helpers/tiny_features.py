"""Files of features of the tiny encoder."""

import torch
from conftest import composed

from ser.acceleration import feature_cache
from ser.corpora.ravdess import EMOTIONS
from ser.data.dataset import WaveformDataset
from ser.models import checkpoint, freezing

QUIET = {f"{name}_dropout": 0.0 for name in ("hidden", "attention", "activation", "feat_proj")}


def frozen(seed=0, freeze="cnn", **settings):
    """The tiny encoder with a frozen CNN, and its preprocessing."""
    model = composed("train", "model=tiny", f"model.freeze={freeze}").model
    model.encoder_config.update(QUIET, **settings)
    torch.manual_seed(seed)
    classifier, extractor = checkpoint.build(model, EMOTIONS)
    freezing.freeze_and_adapt(classifier, model)
    return classifier, extractor


def some(prepared, count=6):
    """Clips of different lengths."""
    return WaveformDataset(prepared, prepared.utterances[::37][:count], trim=False)


def built(clips, folder, dtype=torch.float32, do_normalize=True, **settings):
    classifier, extractor = frozen(**settings)
    extractor.do_normalize = do_normalize
    return classifier, feature_cache.open_or_compute(classifier, extractor, clips, folder, dtype)
