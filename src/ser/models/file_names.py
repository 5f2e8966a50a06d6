"""Names of the files of checkpoints and of exported models."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"
TEXTS = (CONFIG, "preprocessor_config.json", "processor_config.json")
SAFE = (WEIGHTS, "model.safetensors.index.json", "model-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")
"""Fetched only where there are no safetensors, and read as tensors or not at all: `weights_only`."""
EXPORT = ("ser.json", "*.onnx", "*.onnx.data", "mel_filters.npy")
"""Files of an exported model that change its predictions."""
