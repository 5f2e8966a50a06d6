"""A host of one file on loopback that answers well, breaks off, stalls and lies."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


class ArchiveHost(ThreadingHTTPServer):
    """Answers each request by the next of its `plans`, and the last of them from then on."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.plans, self.asked, self.over = content, [whole], [], Event()
        self.url = f"http://127.0.0.1:{self.server_port}/files/corpus.zip"
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def ranges(self):
        return [asked for _, asked in self.asked]

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host = self.server
        host.asked.append((self.path, self.headers.get("Range")))
        plan = host.plans.pop(0) if len(host.plans) > 1 else host.plans[0]
        self.close_connection = True
        plan(self, host.content)

    def start(self, status=200, **headers):
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def first(self):
        """The first byte that the client asks for."""
        return int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])

    def log_message(self, *_):
        pass


def headers_of(answer, content, ranges):
    """Send the headers of what is asked for, and return it."""
    first = answer.first() if ranges else 0
    if not first:
        answer.start(Content_Length=len(content))
    elif first >= len(content):
        answer.start(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
    else:
        span = f"bytes {first}-{len(content) - 1}/{len(content)}"
        answer.start(206, Content_Range=span, Content_Length=len(content) - first)
    return content[first:]


def whole(answer, content):
    answer.wfile.write(headers_of(answer, content, ranges=True))


def without_ranges(answer, content):
    answer.wfile.write(headers_of(answer, content, ranges=False))


def breaks_after(number, ranges=True):
    def plan(answer, content):
        answer.wfile.write(headers_of(answer, content, ranges)[:number])

    return plan


def stalls_after(number):
    def plan(answer, content):
        answer.wfile.write(headers_of(answer, content, ranges=True)[:number])
        answer.wfile.flush()
        answer.server.over.wait()

    return plan


def states(status=200, body=b"", **headers):
    def plan(answer, _):
        answer.start(status, **headers)
        answer.wfile.write(body)

    return plan


def redirects(location):
    return states(302, Location=location, Content_Length=0)
