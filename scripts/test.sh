#!/usr/bin/env bash
# Every check of the project: format, lint, types, spelling, tests. Further arguments go to pytest.
# bash scripts/test.sh [-k NAME]
set -euo pipefail
EXTRAS="[dev]"
source "$(dirname "$0")/environment.sh"

ruff format --check .
ruff check .
codespell
types=$(mktemp)
trap 'rm -f "$types"' EXIT
mypy >"$types" 2>&1 &  # beside the tests; its result is printed after them
# The networks are too small for several cores each. One process more than cores: some tests wait.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
processes=$(python -c "import os; print(min(os.cpu_count() + 1, 4))")
tests=0
python -m pytest --numprocesses "$processes" --dist worksteal "$@" || tests=$?
wait $! || tests=1
cat "$types"
exit $tests
