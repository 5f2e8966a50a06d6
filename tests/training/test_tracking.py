import pytest

from ser.training.tracking import logged_in


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


def test_without_a_key_nobody_is_logged_in():
    assert not logged_in()


def test_a_key_in_the_environment_is_a_login(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert logged_in()


def test_a_key_where_the_client_leaves_it_is_a_login(nobody):
    nobody.write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    nobody.chmod(0o600)
    assert logged_in()


def test_a_key_of_another_server_is_none(nobody, monkeypatch):
    nobody.write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    nobody.chmod(0o600)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not logged_in()
