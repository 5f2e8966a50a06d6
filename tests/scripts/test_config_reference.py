import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "config_reference.py"


def test_the_page_of_keys_is_what_the_dataclasses_and_the_yaml_files_say():
    script = runpy.run_path(str(SCRIPT))
    text = script["PAGE"].read_text(encoding="utf-8")
    assert "`trainer.learning_rate`" in text
    assert script["page"](text) == text, "run python scripts/config_reference.py"
