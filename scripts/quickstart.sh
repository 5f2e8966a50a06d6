#!/usr/bin/env bash
# The whole chain on a fresh machine, without data, hub or GPU: install, make a corpus, fine-tune, evaluate.
# bash scripts/quickstart.sh
set -euo pipefail
EXTRAS=""
source "$(dirname "$0")/environment.sh"

ser prepare-data corpus=synthetic protocol=emobox
ser train experiment=quickstart overwrite=true
ser evaluate checkpoint=runs/synthetic-emobox-tiny-seed0/fold1

echo
echo "The report: $PWD/runs/synthetic-emobox-tiny-seed0/fold1/report.html"
