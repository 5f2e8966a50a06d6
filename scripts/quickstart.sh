#!/usr/bin/env bash
# The whole chain on a fresh machine, without data, hub or GPU: install, make a corpus, fine-tune, evaluate.
# bash scripts/quickstart.sh
set -euo pipefail
EXTRAS=""
source "$(dirname "$0")/environment.sh"

ser prepare-data corpus=synthetic protocol=emobox
ser train experiment=quickstart overwrite=true
ser evaluate checkpoint=runs/synthetic-emobox-fold1-tiny-seed0

echo
echo "The report: $PWD/runs/synthetic-emobox-fold1-tiny-seed0/report.html"
