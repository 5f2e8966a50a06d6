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
python -m pytest "$@"
