"""Matrix products in int8."""

from pathlib import Path

from ser.export.onnx import quietly

OPERATORS = ("MatMul", "Gemm")
"""Never convolutions: with them wav2vec2-base is slower than in float32 (568 against 325 ms for 3.7 s, one thread)."""


def quantize(source: Path, target: Path) -> None:
    """Store the weights of matrix products in int8, a scale for each column; activations get theirs at run time."""
    from onnxruntime.quantization import quantize_dynamic  # of the extra `export`

    with quietly():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(OPERATORS),
            per_channel=True,
            use_external_data_format=source.with_name(f"{source.name}.data").is_file(),
        )
