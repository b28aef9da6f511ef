"""A stand-in of a hub of data sets, as much of it as a push speaks to, on loopback."""

import base64
import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_loopbackLoopbackLoopback"  # noqa: S105 - a stand-in's
OWNER = "acme"


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    """Their messages."""


class LoopbackHub(ThreadingHTTPServer):
    """Keeps what it is sent; `base_url` is where it is."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        """Large files by sha256."""
        self.verified: set[str] = set()
        self.asked: list[str] = []
        """Method and path of each request."""
        self.agents: set[str] = set()
        self.refuse: dict[str, tuple[int, str]] = {}
        """Status and words for requests whose path has this in it."""
        self.warn: list[str] = []
        """What is said of every card."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackHub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def do_PUT(self) -> None:
        self.do_POST()

    def _answer(self, body: bytes) -> None:
        hub = self.server
        path = self.path.partition("?")[0]
        hub.asked.append(f"{self.command} {path}")
        hub.agents.add(self.headers["user-agent"])
        stored = path.startswith("/store/")  # a signed address wants no token
        if not stored and self.headers["authorization"] != f"Bearer {TOKEN}":
            return self._say(401, {"error": f"Invalid token: {self.headers['authorization']}"})
        for part, (status, words) in hub.refuse.items():
            if part in path:
                return self._say(status, {"error": words})
        if stored:
            return self._store(path.removeprefix("/store/"), body)
        return self._say(*self._found(path, body))

    def _say(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _store(self, oid: str, body: bytes) -> None:
        self.server.stored[oid] = body
        self._say(200, {})

    def _found(self, path: str, body: bytes) -> tuple[int, Any]:  # noqa: PLR0911 - one a path
        hub = self.server
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            assert json.loads(body)["repoType"] == "dataset"
            return 200, {"errors": [], "warnings": [{"message": words} for words in hub.warn]}
        if path == "/verify":
            sent = json.loads(body)
            assert len(hub.stored[sent["oid"]]) == sent["size"]
            hub.verified.add(sent["oid"])
            return 200, {}
        name = next((name for name in hub.repositories if f"/datasets/{name}" in path), None)
        if name is None:
            return 404, {"error": "Repository not found"}
        repository, rest = hub.repositories[name], path.partition(name)[2]
        if rest == "/preupload/main":
            return 200, {"files": [self._mode(repository, file) for file in json.loads(body)["files"]]}
        if rest == ".git/info/lfs/objects/batch":
            return 200, {"transfer": "basic", "objects": [self._action(each) for each in json.loads(body)["objects"]]}
        if rest == "/commit/main":
            return 200, self._commit(name, repository, body)
        assert rest in ("", "/revision/main"), path
        facts = {"id": name, "private": repository.private, "sha": f"{len(repository.commits):040x}"}
        return 200, {**facts, "siblings": [], "tags": [], "downloads": 0, "likes": 0}

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        assert wanted["type"] == "dataset"
        if (owner := wanted.get("organization") or OWNER) != OWNER:
            return 403, {"error": f"You don't have the rights to create a dataset under the namespace {owner!r}"}
        name = f"{owner}/{wanted['name']}"
        url = {"url": f"{self.server.base_url}/datasets/{name}"}
        if name in self.server.repositories:
            return 409, {**url, "error": "You already created this dataset repo"}
        self.server.repositories[name] = Repository(wanted["visibility"] == "private")
        return 200, url

    def _mode(self, repository: Repository, file: dict[str, Any]) -> dict[str, Any]:
        large, there = file["path"].endswith(".parquet"), repository.files.get(file["path"])
        oid = None
        if there is not None:
            blob = hashlib.sha1(b"blob %d\0" % len(there) + there, usedforsecurity=False)
            oid = hashlib.sha256(there).hexdigest() if large else blob.hexdigest()
        mode = "lfs" if large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _action(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["oid"] in self.server.stored:
            return wanted
        base = self.server.base_url
        actions = {"upload": {"href": f"{base}/store/{wanted['oid']}"}, "verify": {"href": f"{base}/verify"}}
        return {**wanted, "actions": actions}

    def _commit(self, name: str, repository: Repository, body: bytes) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/x-ndjson"
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                repository.commits.append(value["summary"])
            elif line["key"] == "lfsFile":
                assert value["oid"] in self.server.verified
                repository.files[value["path"]] = self.server.stored[value["oid"]]
            else:
                assert line["key"] == "file"
                repository.files[value["path"]] = base64.b64decode(value["content"])
        oid = f"{len(repository.commits):040x}"
        return {"commitUrl": f"{self.server.base_url}/datasets/{name}/commit/{oid}", "commitOid": oid}


@contextmanager
def loopback_hub() -> Generator[LoopbackHub]:
    """Serve on a thread."""
    with LoopbackHub() as hub:
        thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
