#!/usr/bin/env bash
# The paper: its four models under its protocol and settings, then its Table III with the published numbers beside ours.
# bash scripts/reproduce_paper.sh RAVDESS [key=value ...]        run again, it goes on where it was
# Needs ser on the PATH, the hub for the four checkpoints, and a GPU; MODELS="hubert_large" takes some of them.
set -euo pipefail
root=${1:?"usage: bash scripts/reproduce_paper.sh RAVDESS [key=value ...]"}
shift
read -r -a models <<<"${MODELS:-wav2vec2_base xlsr_300m xlsr_1b hubert_large}"

ser prepare-data --root "$root"
folders=()
for model in "${models[@]}"; do
    folder="runs/ravdess-paper-$model-seed0"
    ser train model="$model" output_dir="$folder" resume=true "$@"
    folders+=("$folder")
done
ser compare "runs=[$(IFS=,; echo "${folders[*]}")]" published=true
