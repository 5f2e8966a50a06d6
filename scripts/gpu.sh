#!/usr/bin/env bash
# What a GPU makes possible, measured in 9 minutes and without a network: tests, speed, a profile, a real run.
# bash scripts/gpu.sh [--device cuda|cpu] [--small] [--out FILE] [--pack FOLDER] [--corpus FOLDER] [--encoder FOLDER] [--only a,b]
# bash scripts/gpu.sh --device cpu --small        everything with tiny shapes on a CPU, to see that the script works
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu/run.py" "$@"
