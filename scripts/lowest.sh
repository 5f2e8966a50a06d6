#!/usr/bin/env bash
# Run the tests with the lowest versions that pyproject.toml allows, in an environment of its own (about 5 GB).
# bash scripts/lowest.sh [-k NAME]          PYTHON=python3.10 and ENVIRONMENT=FOLDER choose where
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3.10}
ENVIRONMENT=${ENVIRONMENT:-$(mktemp -d)/lowest}
command -v uv >/dev/null || { echo "scripts/lowest.sh needs uv: pip install uv" >&2; exit 1; }
[ -x "$ENVIRONMENT/bin/python" ] || uv venv --quiet --python "$PYTHON" "$ENVIRONMENT"
uv pip install --quiet --python "$ENVIRONMENT/bin/python" --resolution lowest-direct --editable ".[dev]"
uv pip freeze --python "$ENVIRONMENT/bin/python" | grep -E "^(torch|transformers|accelerate|datasets|numpy|scikit-learn|gradio|onnx)=" || true
export PATH="$ENVIRONMENT/bin:$PATH" OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal "$@"
