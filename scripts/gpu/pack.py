"""Collects what scripts/gpu.sh needs on a bare machine: missing wheels, a corpus as 16 kHz FLAC, an encoder.

The machine is taken to have Python 3.12 and what there.txt beside this file lists, torch and transformers among it;
`--there FILE` gives another list, one name a line (`pip list --format=freeze | cut -d= -f1`).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packed import name_of

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 64 * 2**20
LEFT_OUT = {"wandb"}
"""20 MB that nobody needs there: `tracking=none` never imports it."""
WANTED = ("torchao",)
"""Not a dependency: the memory table's 8-bit optimizer."""
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34)] + ["manylinux2014_x86_64"]


def main() -> None:
    given = arguments()
    given.dest.mkdir(parents=True, exist_ok=True)
    there = set(given.there.read_text(encoding="utf-8").split())
    wheels(given.dest / "wheels", {canonical(name) for name in there} | LEFT_OUT, given.python)
    if given.corpus:
        corpus(given.corpus, given.dest / "corpus", given.speakers)
    if given.encoder:
        encoder(given.encoder, given.dest / "encoder")
    for path in [given.dest, *sorted(given.dest.iterdir())]:
        print(f"{size(path) / 2**20:6.1f} MiB  {path}")
    if size(given.dest) > LIMIT:
        sys.exit(
            f"{given.dest}: {size(given.dest) / 2**20:.1f} MiB are more than {LIMIT / 2**20:.0f}; lower --speakers"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/gpu_pack.sh", description=__doc__)
    parser.add_argument("dest", type=Path)
    parser.add_argument("corpus", type=Path, nargs="?", help="recordings with RAVDESS's names")
    parser.add_argument("--encoder", type=Path, help="the folder of moonshine-tiny; its decoder stays behind")
    parser.add_argument("--speakers", type=int, default=20, help="how many of the corpus, the first ones")
    there = Path(__file__).with_name("there.txt")
    parser.add_argument("--there", type=Path, default=there, help="what the machine has, one distribution a line")
    parser.add_argument("--python", default="3.12", help="the machine's")
    given = parser.parse_args()
    if given.dest.exists() and any(given.dest.iterdir()):
        parser.error(f"{given.dest}: it exists and is not empty")
    return given


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    """What pyproject.toml lists, the line of `ser` alone."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.split("\ndependencies = [", 1)[1].split("\n]", 1)[0]
    return re.findall(r'^\s*"([^"]+)"', listed, re.MULTILINE)


def needs(wheel: Path, python: str) -> list[str]:
    """The requirements of a wheel on the machine: no extras, nothing for other systems."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "extra": ""}
    machine |= {"platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
    found = [Requirement(line.split(":", 1)[1]) for line in lines if line.startswith("Requires-Dist:")]
    return [f"{one.name}{one.specifier}" for one in found if one.marker is None or one.marker.evaluate(machine)]


def wheels(folder: Path, there: set[str], python: str) -> None:
    """Fetch each missing requirement, and what it requires in turn; a source distribution is built here."""
    folder.mkdir()
    waiting = [*requirements(), *WANTED]
    while waiting:
        requirement = waiting.pop()
        name = canonical(Requirement(requirement).name)
        if name in there:
            continue
        there.add(name)
        wheel = fetched(requirement, python, folder)
        waiting += needs(wheel, python)


def fetched(requirement: str, python: str, folder: Path) -> Path:
    """The wheel of a requirement for the machine."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    target = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms]
    with tempfile.TemporaryDirectory() as place:
        download = ["download", "-q", "--no-deps", "-d", place, *target, requirement]
        if pip(download):  # pure Python, and no wheel on the index
            pip(["wheel", "-q", "--no-deps", "-w", place, requirement], must=True)
        (wheel,) = Path(place).glob("*.whl")
        if name_of(wheel) != canonical(Requirement(requirement).name):
            sys.exit(f"{requirement}: the index gave {wheel.name}")
        return Path(shutil.move(wheel, folder / wheel.name))


def pip(words: list[str], must: bool = False) -> int:
    result = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    if result.returncode and must:
        sys.exit(f"pip {' '.join(words)}\n{result.stderr}")
    return result.returncode


def corpus(root: Path, folder: Path, speakers: int) -> None:
    """The recordings of the first speakers as 16 kHz mono FLAC."""
    sys.path.insert(0, str(ROOT / "src"))
    import soundfile

    from ser.corpora import ravdess
    from ser.data import audio

    rows = ravdess.scan(root).recordings
    chosen = sorted({row.speaker for row in rows}, key=int)[:speakers]
    for row in rows:
        if row.speaker in chosen:
            path = folder / Path(row.path).with_suffix(".flac")
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = audio.load(root / row.path).samples
            soundfile.write(path, samples, audio.SAMPLE_RATE, subtype="PCM_16", compression_level=1.0)


def encoder(source: Path, folder: Path) -> None:
    """The checkpoint without what `ser` does not load of it: the decoder."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = {
        name: tensor for name, tensor in load_file(source / "model.safetensors").items() if "decoder" not in name
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


if __name__ == "__main__":
    main()
