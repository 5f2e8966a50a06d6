import json

from ser.inference import journal


def test_the_fingerprint_of_a_checkpoint_changes_with_its_weights_and_settings(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("a card")
    first = journal.fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("another card")
    assert journal.fingerprint(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"others")
    second = journal.fingerprint(tmp_path)
    (tmp_path / "config.json").write_text('{"trim": true}')
    assert len({json.dumps(one) for one in (first, second, journal.fingerprint(tmp_path))}) == 3
