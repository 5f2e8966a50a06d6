"""The head of the document: what everything below was measured on."""

import subprocess
import time

import torch
from options import given

from ser.runs.environment import describe_environment


def main() -> None:
    options = given()
    known, packages = describe_environment("gpu"), describe_environment("gpu")["packages"]
    if options.device == "cuda" and not torch.cuda.is_available():
        card = "none: torch.cuda.is_available() is False"
    elif options.device == "cuda":
        card = ", ".join(known["gpu"])
    else:
        card = f"none (--device cpu): {known['processor']}, {known['cores']} cores"
    document = options.document
    document.write("# `ser` on a GPU" if options.device == "cuda" else "# `ser` on a CPU: a trial of scripts/gpu.sh")
    if options.small:
        document.write("Tiny shapes (`--small`): these figures show that the script works, and nothing else.")
    document.table("", "")
    document.row("card", card)
    document.row("driver", driver() if options.device == "cuda" else "-")
    document.row("CUDA", known["cuda"] or "-")
    document.row("torch, transformers", f"{packages['torch']}, {packages['transformers']}")
    document.row("Python, system", f"{known['python']}, {known['system']}")
    document.row("date", time.strftime("%Y-%m-%d"))
    document.row("commit", known["commit"] or "not known (no .git here)")
    document.row("command", f"`{options.command}`")
    document.end()


def driver() -> str:
    """The version of NVIDIA's driver, as its own tool gives it."""
    command = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi: {error}"
    return "; ".join(answer.stdout.split("\n")).strip("; ") or answer.stderr.strip()


if __name__ == "__main__":
    main()
