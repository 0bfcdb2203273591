"""A Hub for tests: the routes that `huggingface_hub` and `datasets` use of a dataset repository, over real HTTP.

Blobs lie in a folder, and bodies go there as they come in, so its memory does not grow with files. Everything else is
in memory. What it checks, the Hub checks, too: the token, the parent of a commit (412), the hash and length of what was
uploaded, the metadata of a README. Faults are injected by route.

Not there: users, private repositories, branches, pull requests, Xet, git itself.
"""

import asyncio
import base64
import hashlib
import json
import re
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.hub_repositories import Entry, Fault, Repo, listed, missing

TOKEN = "hf_of-the-tests"
LFS_FROM = 10 * 2**20
"""The Hub takes files of this size as LFS; Parquet always."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Hub:
    """The server's state.

    Attributes:
        requests: Method and path of each, in order.
        uploaded: Bytes that came in as LFS.
        part: Larger files are uploaded in parts of this size.
    """

    def __init__(self, blobs: Path, part: int = 5 * 2**20) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.uploaded, self.part, self._blobs = 0, part, blobs

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=2**30, middlewares=[self._guard])
        repo = "/api/datasets/{owner}/{name}"
        lfs = "/lfs/{oid:[0-9a-f]{64}}"
        app.add_routes(
            [
                web.get("/api/whoami-v2", self._whoami),
                web.post("/api/repos/create", self._create),
                web.post("/api/validate-yaml", self._validate),
                web.get(repo, self._info),
                web.get(repo + "/revision/{revision}", self._info),
                web.get(repo + "/refs", self._refs),
                web.post(repo + "/tag/{revision}", self._tag),
                web.post(repo + "/preupload/{revision}", self._preupload),
                web.post(repo + "/commit/{revision}", self._commit),
                web.get(repo + "/tree/{revision}{under:(/.*)?}", self._tree),
                web.post(repo + "/paths-info/{revision}", self._paths),
                web.post("/datasets/{owner}/{name}.git/info/lfs/objects/batch", self._batch),
                web.put(lfs, self._put),
                web.put(lfs + "/{number}", self._put),
                web.post(lfs + "/complete", self._complete),
                web.post(lfs + "/verify", self._verify),
                web.get("/datasets/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        said = f"{request.method} {request.path}"
        self.requests.append(said)
        fault = next((one for one in self.faults if re.search(one.route, said)), None)
        if fault is not None:
            self.faults.remove(fault)
            fault.then()
            if not fault.status:
                await request.content.readany()
                assert request.transport is not None
                request.transport.abort()
            raise _status(fault.status or 500, fault.headers)
        open_to_all = request.method in ("GET", "HEAD") or request.path.startswith("/lfs/")
        if not open_to_all and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _status(401, {"X-Error-Message": "Invalid credentials"})
        return await handler(request)

    def _repo(self, request: web.Request) -> Repo:
        name = "{owner}/{name}".format(**request.match_info)
        return self.repos.get(name) or missing("RepoNotFound")

    async def _whoami(self, request: web.Request) -> web.Response:
        return web.json_response({"type": "user", "name": "ann", "orgs": []})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"{body['organization'] or 'ann'}/{body['name']}"
        url = f"{request.url.origin()}/datasets/{name}"
        if name in self.repos:
            return web.json_response({"error": "You already created this dataset repo", "url": url}, status=409)
        self.repos[name] = Repo([])
        self.repos[name].add("initial commit", {".gitattributes": self._small(b"*.parquet filter=lfs\n")})
        return web.json_response({"url": url})

    async def _validate(self, request: web.Request) -> web.Response:
        front = re.match(r"---\n(.*?)\n---\n", (await request.json())["content"], re.DOTALL)
        told = yaml.safe_load(front[1]) if front else None
        errors = (
            [] if isinstance(told, dict) and re.fullmatch(r"[a-z0-9.-]+", str(told.get("license"))) else ["license"]
        )
        body = {"errors": [{"message": f"{name} is invalid"} for name in errors], "warnings": []}
        return web.json_response(body, status=400 if errors else 200)

    async def _info(self, request: web.Request) -> web.Response:
        commit = self._repo(request).at(request.match_info.get("revision", "main"))
        name = "{owner}/{name}".format(**request.match_info)
        files = [{"rfilename": path} for path in sorted(commit.tree)]
        known = {"id": name, "sha": commit.oid, "siblings": files, "private": False, "downloads": 0, "likes": 0}
        return web.json_response({**known, "gated": False, "disabled": False, "tags": []})

    async def _refs(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        heads = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1].oid}]
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid} for tag, oid in repo.tags.items()]
        return web.json_response({"branches": heads, "converts": [], "tags": tags})

    async def _tag(self, request: web.Request) -> web.Response:
        repo, tag = self._repo(request), (await request.json())["tag"]
        if tag in repo.tags:
            return web.json_response({"error": "tag exists"}, status=409)
        repo.tags[tag] = repo.at(request.match_info["revision"]).oid
        return web.json_response({})

    async def _preupload(self, request: web.Request) -> web.Response:
        tree = self._repo(request).at(request.match_info["revision"]).tree
        files = []
        for file in (await request.json())["files"]:
            large = file["size"] >= LFS_FROM or file["path"].endswith(".parquet")
            there = tree.get(file["path"])
            mode = "lfs" if large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": there and there.oid})
        return web.json_response({"files": files})

    async def _batch(self, request: web.Request) -> web.Response:
        self._repo(request)
        body = await request.json()
        return web.json_response(
            {"transfer": "multipart", "objects": [self._object(request, o) for o in body["objects"]]}
        )

    def _object(self, request: web.Request, wanted: dict[str, Any]) -> dict[str, Any]:
        if self._blob(wanted["oid"]).exists():
            return wanted
        base = f"{request.url.origin()}/lfs/{wanted['oid']}"
        count = -(-wanted["size"] // self.part)
        upload: dict[str, Any] = {"href": base}
        if count > 1:
            parts = {f"{number:05d}": f"{base}/{number:05d}" for number in range(1, count + 1)}
            upload = {"href": f"{base}/complete", "header": {"chunk_size": str(self.part), **parts}}
        return {**wanted, "actions": {"upload": upload, "verify": {"href": f"{base}/verify"}}}

    async def _put(self, request: web.Request) -> web.Response:
        oid, number = request.match_info["oid"], request.match_info.get("number")
        path = self._blob(f"{oid}.{number}" if number else f"{oid}.whole")
        digest = hashlib.md5()
        with path.open("wb") as file:
            async for chunk in request.content.iter_chunked(2**20):
                digest.update(chunk)
                self.uploaded += file.write(chunk)
        if not number:
            self._keep(oid, [path])
        return web.Response(headers={"ETag": f'"{digest.hexdigest()}"'})

    async def _complete(self, request: web.Request) -> web.Response:
        oid, body = request.match_info["oid"], await request.json()
        self._keep(oid, [self._blob(f"{oid}.{part['partNumber']:05d}") for part in body["parts"]])
        return web.json_response({})

    def _keep(self, oid: str, parts: list[Path]) -> None:
        """Put parts together, in place of the first, and check the whole."""
        digest = hashlib.sha256()
        with self._blob(f"{oid}.joined").open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    while chunk := file.read(2**20):
                        digest.update(chunk)
                        whole.write(chunk)
                part.unlink()
        if digest.hexdigest() != oid:
            raise _status(400, {"X-Error-Message": "the hash of what was uploaded is another"})
        self._blob(f"{oid}.joined").rename(self._blob(oid))

    async def _verify(self, request: web.Request) -> web.Response:
        path, body = self._blob(request.match_info["oid"]), await request.json()
        whole = path.exists() and path.stat().st_size == body["size"]
        return web.json_response({}, status=200 if whole else 404)

    async def _commit(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        header, *operations = [json.loads(line) for line in (await request.text()).splitlines()]
        if header["value"].get("parentCommit", repo.commits[-1].oid) != repo.commits[-1].oid:
            return web.json_response({"error": "the branch has moved"}, status=412)
        tree = dict(repo.commits[-1].tree)
        for operation in operations:
            value = operation["value"]
            match operation["key"]:
                case "file":
                    tree[value["path"]] = self._small(base64.b64decode(value["content"]))
                case "lfsFile":
                    if not self._blob(value["oid"]).exists():
                        return web.json_response({"error": "LFS pointer to a file that is not there"}, status=400)
                    tree[value["path"]] = Entry(value["oid"], value["size"], value["oid"], lfs=True)
                case "deletedFile":
                    del tree[value["path"]]
        commit = repo.add(header["value"]["summary"], tree)
        url = f"{request.url.origin()}/datasets/{request.match_info['owner']}/{request.match_info['name']}"
        return web.json_response({"success": True, "commitOid": commit.oid, "commitUrl": f"{url}/commit/{commit.oid}"})

    def _small(self, content: bytes) -> Entry:
        blob = hashlib.sha256(content).hexdigest()
        self._blob(blob).write_bytes(content)
        return Entry(blob, len(content), hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(), lfs=False)

    async def _tree(self, request: web.Request) -> web.Response:
        tree = self._repo(request).at(request.match_info["revision"]).tree
        under = request.match_info["under"].lstrip("/")
        inside = {path: entry for path, entry in tree.items() if not under or path.startswith(f"{under}/")}
        if under and not inside:
            missing("EntryNotFound")
        return web.json_response(listed(inside))

    async def _paths(self, request: web.Request) -> web.Response:
        tree = self._repo(request).at(request.match_info["revision"]).tree
        posted = await request.post()
        wanted = posted.getall("paths", []) if posted else (await request.json())["paths"]
        return web.json_response([one for one in listed(tree) if one["path"] in wanted])

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        commit = self._repo(request).at(request.match_info["revision"])
        entry = commit.tree.get(request.match_info["path"]) or missing("EntryNotFound")
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{entry.oid}"', "X-Linked-Size": str(entry.size)}
        return web.FileResponse(self._blob(entry.blob), headers=headers)

    def _blob(self, name: str) -> Path:
        return self._blobs / name


def _status(status: int, headers: dict[str, str]) -> web.HTTPException:
    class Answer(web.HTTPException):
        status_code = status

    return Answer(headers=headers, text="injected")


@contextmanager
def served(hub: Hub) -> Iterator[str]:
    """Serve in a thread; gives the address."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(hub.app(), shutdown_timeout=1)

    async def start() -> str:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder, served(Hub(Path(folder), 64 * 2**20)) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        sys.stdin.read()
