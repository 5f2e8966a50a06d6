"""Write the keys of every command into configs/README.md, from the dataclasses and the YAML files.

python scripts/config_reference.py
"""

from pathlib import Path

from hydra import compose, initialize_config_dir

from ser import apps
from ser.cli import COMMANDS
from ser.config.reference import keys
from ser.help import shown

PAGE = Path(__file__).parents[1] / "configs" / "README.md"
BEGIN, END = "<!-- keys: written by scripts/config_reference.py -->", "<!-- end of the keys -->"


def reference() -> str:
    """Return a table for each command: key, default, type and meaning. Keys of a group stand once, under `train`."""
    parts, described = [], set[tuple[str, str]]()
    with initialize_config_dir(str(Path(apps.CONFIGS).resolve()), version_base="1.3"):
        for command in ("train", *(name for name in COMMANDS if name != "train")):
            stage = command.replace("-", "_")
            cfg = compose(stage)
            rows = []
            for key in keys(apps.SCHEMAS[stage]):
                if "." in key.name and (key.name, key.meaning) in described:
                    continue
                described.add((key.name, key.meaning))
                cells = [f"`{key.name}`", f"`{shown(cfg, key.name)}`", key.type, key.meaning]
                rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            head = (
                f"### ser {command}\n\n{COMMANDS[command]}\n\n| key | default | type | meaning |\n|---|---|---|---|\n"
            )
            parts.append(head + "\n".join(rows))
    return "\n\n".join(parts)


def page(text: str) -> str:
    """Return the page with its reference written anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
