"""What the hub's client needs of the hub to send a model there, on loopback."""

import base64
import hashlib
import json
import re
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from urllib.parse import unquote, urlsplit

from huggingface_hub.utils.sha import git_hash

TOKEN = "hf_thatNobodyMaySee"
PATH = r"/(?:api/models/)?([^/]+/[^/]+?)(?:\.git)?(?:/(preupload|commit|revision|info)/.+)?"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Repository:
    def __init__(self, private):
        self.private, self.files, self.commits = private, {}, []


class StandInHub(ThreadingHTTPServer):
    """Keeps what it is sent: texts in repositories, large files in a store that survives an upload that broke off."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories, self.store = {}, {}
        self.user = {"name": "anna", "orgs": [{"name": "lab"}], "auth": {"accessToken": {"role": "write"}}}
        self.refusals = {}
        """By the end of a path: the status, and what the hub says."""
        self.breaks_at = None
        """How many bytes of a large file are taken before the line breaks; smaller files come through."""
        self.silent_at = None
        """The end of a path that is never answered."""
        self.over = Event()
        self.asked, self.stored = [], []


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        if self.server.silent_at is not None and path.endswith(self.server.silent_at):
            self.server.over.wait()
            return None
        if self.command == "PUT":  # storage, whose signed addresses need no token
            return self.put(path.split("/")[-1])
        content = json_lines(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        for end, (status, reason) in self.server.refusals.items():
            if path.endswith(end):
                return self.send({"error": reason}, status)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send({"error": "Invalid username or password."}, 401)
        if path == "/api/whoami-v2":
            return self.send(self.server.user)
        if path == "/api/validate-yaml":
            return self.send({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self.create(f"{content[0]['organization']}/{content[0]['name']}", content[0]["visibility"])
        found = re.fullmatch(PATH, path)
        if not found or found[1] not in self.server.repositories:
            return self.send({"error": "Repository not found"}, 404)
        return getattr(self, found[2] or "revision")(found[1], self.server.repositories[found[1]], content)

    do_GET = do_POST = do_PUT = answer

    def create(self, name, visibility):
        known = name in self.server.repositories
        self.server.repositories.setdefault(name, Repository(visibility == "private"))
        self.send({"url": f"{self.server.url}/{name}"}, 409 if known else 200)

    def revision(self, name, repository, _):
        self.send({"id": name, "sha": COMMIT, "private": repository.private})

    def preupload(self, _, repository, content):
        files = []
        for file in content[0]["files"]:
            large = file["path"].endswith((".safetensors", ".png"))
            held = repository.files.get(file["path"])
            oid = None if held is None else hashlib.sha256(held).hexdigest() if large else git_hash(held)
            mode = "lfs" if large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.send({"files": files})

    def info(self, _, __, content):
        """LFS: where to put which object, and then whether it arrived."""
        if "oid" in content[0]:
            arrived = len(self.server.store.get(content[0]["oid"], b"")) == content[0]["size"]
            return self.send({}, 200 if arrived else 404)
        objects = [{key: entry[key] for key in ("oid", "size")} for entry in content[0]["objects"]]
        for entry in objects:
            if entry["oid"] not in self.server.store:
                verify = f"{self.server.url}{self.path.replace('/batch', '/verify')}"
                upload = f"{self.server.url}/storage/{entry['oid']}"
                entry["actions"] = {"upload": {"href": upload}, "verify": {"href": verify}}
        return self.send({"transfer": "basic", "objects": objects})

    def put(self, oid):
        assert "Authorization" not in self.headers
        size, breaks_at = int(self.headers["Content-Length"]), self.server.breaks_at
        if breaks_at is not None and size > breaks_at:
            self.rfile.read(breaks_at)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        content = self.rfile.read(size)
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.store[oid] = content
        self.server.stored.append(oid)
        self.send({})

    def commit(self, name, repository, lines):
        header, *operations = lines
        for operation in operations:
            file = operation["value"]
            large = operation["key"] == "lfsFile"
            content = self.server.store[file["oid"]] if large else base64.b64decode(file["content"])
            repository.files[file["path"]] = content
        repository.commits.append(header["value"]["summary"])
        self.send({"commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def send(self, content, status=200):
        content = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def json_lines(content):
    return [json.loads(line) for line in content.splitlines()]
