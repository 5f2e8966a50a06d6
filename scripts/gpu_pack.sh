#!/usr/bin/env bash
# What `scripts/gpu.sh --pack DEST` needs on a machine without a network, in one folder below 64 MiB: wheels, corpus, encoder.
# bash scripts/gpu_pack.sh DEST [CORPUS] [--encoder FOLDER] [--speakers N] [--there FILE] [--python 3.12]
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu/pack.py" "$@"
