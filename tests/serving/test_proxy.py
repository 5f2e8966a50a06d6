"""A proxy with TLS answers the public at a name of its own; the server behind it listens on 127.0.0.1 alone."""

import http.client
import json
import ssl

import pytest
from helpers.browsers import started
from helpers.tls_proxy import NAME, proxied
from helpers.toy_server import random_checkpoint, served, speech

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = random_checkpoint(tmp_path_factory.mktemp("run"))
    with served(folder, tmp_path_factory.mktemp("temporary"), f"allowed_hosts=[{NAME}]") as running:
        yield running


@pytest.fixture(scope="module", params=[True, False], ids=["the proxy passes the name on", "the proxy uses its own"])
def site(request, server, tmp_path_factory):
    """The port of the proxy."""
    with proxied(server.host, tmp_path_factory.mktemp("tls"), request.param) as port:
        yield port


def ask(port, origin, host=None):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=ssl._create_unverified_context())
    headers = {"Host": host or f"{NAME}:{port}", **({"Origin": origin} if origin else {})}
    connection.request("POST", "/predict", speech(), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_programs_and_the_page_of_the_site_are_answered(site):
    for origin in (None, f"https://{NAME}", f"https://{NAME}:{site}"):
        status, answer = ask(site, origin)
        assert status == 200
        assert len(answer["answers"]) == 1


def test_pages_of_other_sites_are_not(site):
    assert ask(site, "https://evil.example")[0] == 403


def test_the_page_works_through_the_proxy_and_asks_the_proxy_alone(site, server):
    address, requests, complaints = f"https://{NAME}:{site}", [], []
    with started("--ignore-certificate-errors", f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser:
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(30_000)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        context.on("request", lambda request: requests.append(request.url))
        tab.goto(address)
        tab.get_by_role("button", name="Record audio").wait_for()
        tab.set_input_files("input[type=file]", {"name": "a.wav", "mimeType": "audio/wav", "buffer": speech()})
        tab.locator(".bars").wait_for()
        rows = tab.locator(".bars tr").count()
        text = tab.locator(".evidence").inner_text()
        context.close()
    assert rows == 8
    assert complaints == []
    assert [url for url in requests if not url.startswith((address, f"blob:{address}", "data:"))] == []
    assert f"curl --data-binary @recording.wav 'https://{NAME}/predict'" in text
