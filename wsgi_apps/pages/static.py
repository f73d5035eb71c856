"""Serves the style sheets, scripts and images of the pages. A file's name has a digest of its content.

A browser therefore keeps a file for a year, and asks for another name once the content has changed.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from werkzeug.exceptions import NotFound
from werkzeug.utils import cached_property

from wsgi_apps.base import Request, Rule
from wsgi_apps.reply import BoundedPool, Reply, run_in_pool

FOLDER = Path(__file__).parent / "static"
DIGEST_CHARACTERS = 12
STATIC = "/static/"  # all files are below this path
FOR_A_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    content: bytes
    content_type: str

    @cached_property
    def gzipped(self) -> bytes:
        """The compressed content, made at the first request: a large file of a library takes 0.1 s."""
        return gzip.compress(self.content, mtime=0)  # mtime=0: the same bytes in every worker


class StaticFiles:
    """The files of a folder, read once. `extra` are further files by name, such as those of a library."""

    def __init__(self, folder: Path = FOLDER, extra: Mapping[str, Path] | None = None) -> None:
        self._names: dict[str, str] = {}  # with a digest, by the name without
        self._files: dict[str, _File] = {}  # by the name with a digest
        paths = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
        for name, path in (paths | dict(extra or {})).items():
            content = path.read_bytes()
            stem, _, suffix = name.rpartition(".")
            hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]}.{suffix}"
            self._names[name] = hashed
            self._files[hashed] = _File(content, _content_type(name))

    def url(self, name: str) -> str:
        """Returns the path of a file, such as /static/shop.3f2a90c1d4e5.css for shop.css."""
        return f"{STATIC}{self._names[name]}"

    def rule(self, pool: BoundedPool) -> Rule:
        """Returns the rule of the files. The first reply with a large one takes long, hence the pool."""
        return Rule(f"{STATIC}<name>", methods=["GET"], endpoint=run_in_pool(self.reply, pool))

    def reply(self, request: Request, name: str) -> Reply:
        """Answers with the file of this name, which has a digest. Raises NotFound."""
        file = self._files.get(name)
        if file is None:
            raise NotFound
        headers = {"Cache-Control": FOR_A_YEAR, "Vary": "Accept-Encoding"}
        if request.accept_encodings["gzip"] and len(file.gzipped) < len(file.content):
            return Reply(file.gzipped, 200, {**headers, "Content-Encoding": "gzip"}, file.content_type)
        return Reply(file.content, 200, headers, file.content_type)


def _content_type(name: str) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind == "application/javascript" else kind
