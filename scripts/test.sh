#!/usr/bin/env bash
# Every check of the project: format, lint, types, spelling, tests. Further arguments go to pytest.
# bash scripts/test.sh [-k NAME]
set -euo pipefail
EXTRAS="[dev]"
source "$(dirname "$0")/environment.sh"

ruff format --check .
ruff check .
mypy
codespell
# A file of tests at a time on each core: their networks are too small for several.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
