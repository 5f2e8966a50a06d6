import pytest

from ser.serving.hosts import Hosts

PROXY = "ser.example"


@pytest.mark.parametrize("name", ["127.0.0.1:7860", "localhost:7860", "localhost", "LOCALHOST", "[::1]:7860"])
def test_a_local_server_answers_to_the_names_of_this_machine(name):
    assert Hosts.from_config("127.0.0.1", []).is_ours(name)
    assert Hosts.from_config("127.0.0.1", [PROXY]).is_ours(name)


@pytest.mark.parametrize(
    "name",
    ["evil.example", "127.0.0.1.evil.example", "", "[::1", "[evil]", "evil@127.0.0.1", "127.0.0.1/evil", "a b", "::1"],
)
@pytest.mark.parametrize("allowed", [[], [PROXY]])
def test_no_other_name_is_answered_to(name, allowed):
    assert not Hosts.from_config("127.0.0.1", allowed).is_ours(name)


def test_a_server_on_a_network_answers_to_any_name_unless_its_names_are_given():
    assert Hosts.from_config("0.0.0.0", []).is_ours("anything:1")
    named = Hosts.from_config("0.0.0.0", [PROXY])
    assert named.is_ours(PROXY)
    assert not named.is_ours("evil.example")


@pytest.mark.parametrize("host", [PROXY, "SER.example.", "ser.example:8443", "127.0.0.1:7860", "[2001:db8::7]:8443"])
def test_an_allowed_host_is_answered_at_any_port_whether_or_not_the_proxy_passes_the_name_on(host):
    found = Hosts.from_config("127.0.0.1", ["Ser.Example", "2001:db8::7"])
    assert found.is_ours(host)
    for origin in ("https://ser.example", "https://ser.example:8443", "https://[2001:db8::7]"):
        assert found.may_ask(origin, host)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "https://ser.example.evil", "https://sub.ser.example", "file://ser.example"],
)
def test_a_page_of_another_site_may_not_ask_with_allowed_hosts_either(origin):
    assert not Hosts.from_config("127.0.0.1", [PROXY]).may_ask(origin, PROXY)


def test_without_allowed_hosts_only_the_very_address_may_ask():
    found = Hosts.from_config("127.0.0.1", [])
    assert found.may_ask("http://127.0.0.1:7860", "127.0.0.1:7860")
    for origin in ("http://127.0.0.1:1", "http://localhost:7860", "https://ser.example"):
        assert not found.may_ask(origin, "127.0.0.1:7860")
