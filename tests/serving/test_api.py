import http.client
import json
import select
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.toy_server import BAD, GOOD, Server, random_checkpoint, served, speech, wav

from ser.config import Ensemble
from ser.data import audio
from ser.inference.predictor import Predictor

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")

QUEUE = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    limits = ("max_megabytes=1.5", f"queue={QUEUE}", "max_minutes=0.6")
    with served(folder, tmp_path_factory.mktemp("temporary"), *limits) as running:
        yield running


@pytest.fixture(scope="module")
def predictor(folder):
    return Predictor.from_checkpoints([str(folder)], Ensemble.mean, 8)


def probabilities(answer):
    return list(answer["answers"][0]["probabilities"].values())


def expected(predictor, content):
    return predictor.predict([audio.load_short(content, 30)])[0].as_array()


def test_an_answer_is_the_line_that_predict_writes(server, predictor):
    status, answer = server.predict(speech())
    assert status == 200
    (line,) = answer["answers"]
    assert (line["path"], line["start"], line["end"]) == ("-", 0.0, 0.5)
    assert list(line["probabilities"]) == predictor.labels
    assert line["emotion"] == max(line["probabilities"], key=line["probabilities"].get)
    assert probabilities(answer) == pytest.approx(expected(predictor, speech()), abs=1e-5)


@pytest.mark.parametrize("name", GOOD)
def test_whatever_holds_speech_is_answered(server, predictor, name):
    status, answer = server.predict(GOOD[name])
    assert status == 200
    assert probabilities(answer) == pytest.approx(expected(predictor, GOOD[name]), abs=1e-5)


def test_silence_is_answered_with_a_warning(server):
    status, answer = server.predict(wav(np.zeros(16000), subtype="PCM_16"))
    assert status == 200
    assert answer["answers"][0]["warning"] == "it is silent (nothing above -60 dB of full scale)"
    assert "warning" not in server.predict(speech())[1]["answers"][0]


def test_windows_are_answered_one_by_one(server):
    status, answer = server.predict(speech(3), "?window=1&hop=0.5")
    assert status == 200
    assert [line["start"] for line in answer["answers"]] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert {line["end"] - line["start"] for line in answer["answers"]} == {1.0}


@pytest.mark.parametrize("name", BAD)
def test_hostile_input_is_refused_in_a_line_and_the_next_request_answered_as_before(server, predictor, name):
    content, why = BAD[name]
    for query in ("", "?window=4&hop=1"):
        if name == "too long" and query:
            continue
        status, answer = server.predict(content, query)
        assert status == 422
        assert why in answer["error"]
        assert "\n" not in answer["error"]
    assert probabilities(server.predict(speech())[1]) == pytest.approx(expected(predictor, speech()), abs=1e-5)


def test_what_is_slid_over_has_a_limit_too(server):
    status, answer = server.predict(wav(np.zeros(16000 * 37), subtype="PCM_U8"), "?window=4")
    assert (status, answer["error"]) == (422, "it is longer than max_minutes=0.6")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("?window=0.01", "window=0.01"),
        ("?window=31", "window=31"),
        ("?window=nan", "window=nan"),
        ("?window=4&hop=0.001", "hop=0.001"),
        ("?window=4&hop=inf", "hop=inf"),
        ("?window=soon", "seconds"),
        ("?hop=1", "needs a window"),
        ("?wind%0Aow=4", "wind\\now: no such option"),
        ("?window=4&window=2", "window=4,2: give it once"),
        ("?window=4&hop=-inf", "hop=-inf"),
        ("?window=", "seconds"),
    ],
)
def test_options_out_of_reach_are_refused_before_anything_is_decoded(server, query, why):
    status, answer = server.predict(speech(), query)
    assert status == 400
    assert why in answer["error"]


def test_the_response_to_a_form_explains_how_to_send_a_file(server):
    status, answer = server.predict(b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert status == 415
    assert "--data-binary" in answer["error"]


def test_a_large_body_is_refused_however_it_is_sent(server):
    large = b"\0" * 1_600_000
    for body in (large, iter([large[:1000]] * 1600)):
        status, answer = server.predict(body)
        assert (status, answer["error"]) == (413, "the file is larger than max_megabytes=1.5")
    assert server.predict(speech())[0] == 200


@pytest.mark.parametrize("length", [b"10", b"999999999999", b"-1", b"many"])
def test_a_lie_about_the_length_harms_nobody_else(server, length):
    head = b"POST /predict HTTP/1.1\r\nHost: %b\r\nContent-Length: %b\r\n\r\n" % (server.host.encode(), length)
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head + speech())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 OK" not in answer
    assert b" 500 " not in answer
    assert server.predict(speech())[0] == 200


def test_of_200_requests_at_once_each_gets_the_right_prediction_or_a_time_to_wait(server, predictor):
    clips = [speech(0.4 + 0.1 * index, frequency=200 + 90 * index) for index in range(4)]
    rights = [expected(predictor, clip) for clip in clips]

    def asked(index):
        return Server.ask(server, "POST", "/predict", clips[index % 4])

    with ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(asked, range(200)))
    assert {status for status, _, _ in answers} == {200, 503}
    for index, (status, headers, content) in enumerate(answers):
        if status == 200:
            assert probabilities(json.loads(content)) == pytest.approx(rights[index % 4], abs=1e-5)
        else:
            assert int(headers["Retry-After"]) >= 1
            assert "ask again in" in json.loads(content)["error"]
    assert server.predict(clips[0])[0] == 200


def test_who_asks_again_is_answered_in_the_end(server):
    def insisted(_):
        while (status := server.predict(speech())[0]) == 503:
            pass
        return status

    with ThreadPoolExecutor(3 * QUEUE) as threads:
        assert set(threads.map(insisted, range(3 * QUEUE))) == {200}


def test_an_answer_leaves_nothing_on_the_disk_and_nobody_waiting(server, predictor):
    before = server.files()
    server.predict(speech())
    assert server.files() == before
    status, _, content = server.ask("GET", "/health")
    assert status == 200
    assert json.loads(content)["emotions"] == predictor.labels
    assert json.loads(content)["busy"] == 0


def test_gradio_is_not_led_to_other_files_or_addresses(server, tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(speech())
    before = server.files()
    for path in (str(secret), server.address + "/health"):
        entry = {"path": path, "meta": {"_type": "gradio.FileData"}}
        event = json.dumps({"data": [entry], "fn_index": 0, "session_hash": "s"})
        status, _, _ = server.ask("POST", "/gradio_api/queue/join", event, {"Content-Type": "application/json"})
        assert status == 404
        assert server.ask("GET", f"/gradio_api/file={path}")[0] == 404
    assert secret.read_bytes() == speech()
    assert server.files() == before


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", "text/plain"])
def test_a_broken_upload_harms_nobody(server, kind):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="../../a.wav"\r\n\r\n' + speech()
    status, _, content = server.ask("POST", "/gradio_api/upload", body, {"Content-Type": kind})
    assert status == 400
    assert "\n" not in json.loads(content)["error"]
    assert server.predict(speech())[0] == 200


def test_an_upload_of_the_page_can_be_played_and_is_never_on_the_disk(server):
    before = server.files()
    status, [path] = server.upload(speech())
    assert status == 200
    host, port = server.host.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", f"/gradio_api/file={path}")
    assert connection.getresponse().read() == speech()
    assert server.files() == before


@pytest.mark.parametrize("path", ["/predict", "/gradio_api/upload"])
def test_senders_that_are_slow_do_not_lock_others_out(server, path):
    head = f"POST {path} HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 100000\r\n\r\n".encode()
    crowd = [server.connect(head + b"R") for _ in range(40)]
    for _ in range(3):
        assert server.predict(speech())[0] == 200
        for connection in crowd:
            connection.sendall(b"I")
    assert server.upload(speech())[0] == 200
    for connection in crowd:
        connection.close()


def test_senders_that_stall_with_all_the_memory_there_is_give_way(server):
    large = b"\0" * 1_400_000
    head = f"POST /predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 1500000\r\n\r\n".encode()
    crowd = [server.connect(head + large) for _ in range(QUEUE + 4)]
    assert server.predict(speech())[0] == 200
    # Those without a byte for the longest time; which they are depends on the order in which the server reads.
    answered, _, _ = select.select(crowd, [], [], 30)
    with answered[0].makefile("rb") as answer:
        assert answer.readline().startswith(b"HTTP/1.1 503 ")
        assert any(b"the memory for recordings is full" in line for line in answer)
    for connection in crowd:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/gradio_api/info", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/gradio_api/file%3D/etc/passwd", 404),
        ("GET", "/assets/../../../etc/passwd", 403),
        ("GET", "/assets/nothing.js", 404),
        ("GET", "/predict", 405),
        ("OPTIONS", "/predict", 405),
        ("PUT", "/", 405),
        ("POST", "/gradio_api/reset", 422),
        ("POST", "/%70redict", 422),
    ],
)
def test_every_error_is_a_line_of_json(server, method, path, status):
    found, _, content = server.ask(method, path, b"" if method == "POST" else None)
    assert found == status
    error = json.loads(content)["error"]
    assert error
    assert "\n" not in error
    assert server.ask("HEAD", "/predict")[::2] == (405, "")


def test_old_http_is_answered_and_what_is_sent_at_once_is_answered_in_order(server):
    head = f"POST /predict HTTP/1.%d\r\nHost: {server.host}\r\nContent-Length: %d\r\n\r\n"
    content = speech()
    sent = (head % (1, len(content))).encode() + content + (head % (0, 5)).encode() + b"hello"
    with server.connect(sent) as connection:
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answers.index(b"200 OK") < answers.index(b"422 Unpro")


def test_weights_that_are_broken_are_an_error_of_the_server_and_never_a_number(tmp_path):
    broken, temporary = random_checkpoint(tmp_path / "run", broken=True), tmp_path / "temporary"
    temporary.mkdir()
    with served(broken, temporary, logged=("Traceback", "FloatingPointError: checkpoint=")) as running:
        for query in ("", "?window=1"):
            status, answer = running.predict(speech(), query)
            assert (status, answer) == (500, {"error": "the server failed on this request; its log says why"})
        assert running.ask("GET", "/health")[0] == 200
