"""Serves the owner's pictures of products: the files NAME.webp, .png, .jpg and .svg of one folder.

Only files that a listing of the folder has named are opened, and no symbolic link is followed, so no request reaches a
file outside of it. A browser shows a picture and never runs it.
"""

import logging
import os
import stat
import threading
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from werkzeug.exceptions import NotFound

from domain.errors import Invalid, Unavailable
from domain.values import parse_name
from wsgi_apps.base import Request
from wsgi_apps.reply import Reply

# In the order in which a picture is chosen.
CONTENT_TYPES = {"webp": "image/webp", "png": "image/png", "jpg": "image/jpeg", "svg": "image/svg+xml"}
# A larger file is no picture for a page: two dozen of them would hold up each visitor, and the memory of the tier.
MAX_PICTURE_BYTES = 1024 * 1024
# The folder is listed again at most so often, and only when it has changed.
LIST_INTERVAL_S = 2.0
# An SVG may have styles of its own. Opened alone, it is a page, in which no script runs.
PICTURE_HEADERS = {
    "Cache-Control": "public, max-age=60",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SUBJECT = "the pictures (PICTURES)"

_log = logging.getLogger(__name__)


class Pictures:
    """The pictures in a folder; None means that there are none.

    `run_later` runs a call that lists the folder where it may block.
    """

    def __init__(self, folder: Path | None, run_later: Callable[[Callable[[], None]], object]) -> None:
        self._folder = folder
        self._run_later = run_later
        self._files: dict[str, str] = {}  # the name of the file in the folder, by its name in NFC
        self._urls: dict[str, str] = {}  # by the name of the product
        self._changed_ns: int | None = None
        self._list_at = 0.0  # monotonic clock
        self._listing = threading.Lock()
        self._list()

    def url(self, product: str) -> str | None:
        """Returns the path of a product's picture; None when it has none. Does not block: a new file is seen later."""
        if self._folder is not None and time.monotonic() >= self._list_at:
            self._list_at = time.monotonic() + LIST_INTERVAL_S
            with suppress(Unavailable):  # many calls wait already; the next page tries again
                self._run_later(self._list)
        return self._urls.get(product)

    def reply(self, request: Request, name: str) -> Reply:
        """Answers with the picture of this file name. Raises NotFound. It reads a file, so it runs in a pool."""
        file = self._files.get(unicodedata.normalize("NFC", name))
        if file is None or self._folder is None:
            raise NotFound
        try:
            descriptor = os.open(self._folder / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise NotFound from None
        with open(descriptor, "rb") as opened:
            found = os.fstat(descriptor)
            if not _is_picture(found):
                raise NotFound
            etag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
            headers = {**PICTURE_HEADERS, "ETag": etag}
            if request.has_etag(etag):
                return Reply(b"", 304, headers)
            content = opened.read(MAX_PICTURE_BYTES)
        return Reply(content, 200, headers, CONTENT_TYPES[file.rpartition(".")[2].lower()])

    def _list(self) -> None:
        """Lists the folder if it has changed. Keeps the old list while the folder cannot be read."""
        if self._folder is None:
            return
        with self._listing:
            try:
                changed_ns = self._folder.stat().st_mtime_ns
                if changed_ns == self._changed_ns:
                    return
                files = _list_pictures(self._folder)
            except OSError as error:
                if self._changed_ns != 0:  # once, until the folder is back
                    _log.warning(
                        "%s cannot be read, so products have emblems: %s: %s", _SUBJECT, self._folder, error.strerror
                    )
                self._changed_ns = 0
                return
            urls: dict[str, str] = {}
            for extension in CONTENT_TYPES:
                for name in files:
                    stem, _, suffix = name.rpartition(".")
                    if suffix.lower() == extension:
                        urls.setdefault(stem, f"/pictures/{quote(name, safe='')}")
            self._files, self._urls, self._changed_ns = files, urls, changed_ns


def _list_pictures(folder: Path) -> dict[str, str]:
    """Returns the names of the pictures in a folder, by their names in NFC: macOS writes names in NFD."""
    files = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            stem, _, extension = entry.name.rpartition(".")
            if extension.lower() in CONTENT_TYPES and _is_picture(entry.stat(follow_symlinks=False)):
                with suppress(Invalid):  # no product has such a name
                    files[f"{parse_name(stem)}.{extension}"] = entry.name
    return files


def _is_picture(found: os.stat_result) -> bool:
    """Whether it is a regular file, and no larger than a picture may be."""
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_PICTURE_BYTES
