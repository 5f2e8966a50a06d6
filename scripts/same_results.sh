#!/usr/bin/env bash
# Show that two commits compute the same: same seeds, same weights, predictions and scores, bit for bit.
# bash scripts/same_results.sh BEFORE [AFTER]     (commits; AFTER is the working tree if it is left out)
set -euo pipefail
EXTRAS=""
source "$(dirname "$0")/environment.sh"
BEFORE=${1:?the commit to compare with}
WORK=$(mktemp -d)
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
trap 'git worktree prune; rm -rf "$WORK"' EXIT

checkout() {  # COMMIT FOLDER
    git worktree add --quiet --detach "$2" "$1"
}

run() {  # TREE OUT: the same commands with the code of that tree
    mkdir -p "$2"
    (
        cd "$2"
        export PYTHONPATH="$1/src:$WORK/site"
        short=(tracking=none trainer.max_steps=12 trainer.eval_strategy=steps trainer.eval_steps=6 trainer.save_steps=6)
        ser() { python -m ser "$@" >>log.txt 2>&1 || { tail -5 log.txt >&2; return 1; }; }
        ser prepare-data corpus=synthetic protocol=emobox
        ser train experiment=quickstart "${short[@]}" output_dir=runs/quickstart
        ser train corpus=synthetic model=tiny protocol=paper "${short[@]}" trainer.precision=fp32 output_dir=runs/paper
        ser train corpus=synthetic model=tiny protocol=paper trainer=fast "${short[@]}" audio.trim=true output_dir=runs/fast
        # fp32: in bf16 a CPU draws dropout by another generator since the key for it went (CHANGELOG.md).
        ser train corpus=synthetic model=tiny protocol=luna_jimenez "${short[@]}" trainer.precision=fp32 trainer.max_steps=6 \
            output_dir=runs/folds
        cp "$(find data -name Actor_01 | head -n 1)" recordings -r
        ser evaluate checkpoint=runs/paper split=train output_dir=runs/evaluation
        ser predict checkpoint=runs/paper audio=recordings output=runs/answers.csv
    )
}

# What a number is made of: weights, predictions and every number of the reports, whatever its key is called.
digest() {  # OUT
    (
        cd "$1/runs"
        find . -path '*/checkpoint/model.safetensors' | sort | xargs sha256sum
        python - <<'PY'
import csv, hashlib, json, re
from pathlib import Path

def numbers(value):
    if isinstance(value, dict):
        return [number for key, entry in value.items() if key != "seconds" for number in numbers(entry)]
    if isinstance(value, list):
        return [number for entry in value for number in numbers(entry)]
    return [value] if isinstance(value, float) else []

for path in sorted(Path().rglob("classification_report.json")):
    content = json.dumps(sorted(numbers(json.loads(path.read_text()))))
    print(hashlib.sha256(content.encode()).hexdigest(), path)
for path in sorted([*Path().rglob("predictions.csv"), *Path().rglob("answers.csv")]):
    rows = list(csv.DictReader(path.open(newline="")))
    shown = [[text for name, text in row.items() if re.fullmatch(r"[\d.e-]+", text) and name not in ("fold", "seed")] for row in rows]
    print(hashlib.sha256(json.dumps(shown).encode()).hexdigest(), path)
PY
    )
}

# Commits from before 2026-11-27 ask for the version of a distribution called ser.
mkdir -p "$WORK/site/ser-0.1.0.dist-info"
printf 'Metadata-Version: 2.1\nName: ser\nVersion: 0.1.0\n' >"$WORK/site/ser-0.1.0.dist-info/METADATA"

checkout "$BEFORE" "$WORK/before"
if [ $# -gt 1 ]; then checkout "$2" "$WORK/after"; else ln -s "$PWD" "$WORK/after"; fi
for side in before after; do
    echo "running the code of $side ..."
    run "$WORK/$side" "$WORK/$side-out"
    digest "$WORK/$side-out" >"$WORK/$side.txt"
done
if diff "$WORK/before.txt" "$WORK/after.txt"; then
    echo "the same, bit for bit: $(wc -l <"$WORK/after.txt") files of weights, predictions and scores"
else
    echo "the results differ" >&2
    exit 1
fi
