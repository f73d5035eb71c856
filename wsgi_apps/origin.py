"""Refuses pages of other sites, which must not use the store through their visitors' browsers.

Loopback and a closed network keep out other machines, not the browser of a machine within: a page of any site can make
it send a request there. The browser marks what it sends, and no page can take all marks away:

- `Host` is the name that was asked. A site whose own name leads to this machine (DNS rebinding) has its own name there.
- `Origin` and `Referer` name the page that asks, `Sec-Fetch-Site` says how near to the store it is, `Sec-Purpose` that
  nobody has asked yet. To an address that is not loopback an <img> sends none of them, but still its `User-Agent`.

`Sec-Fetch-Mode` and `Accept-Language` are no marks: programs on Node.js send them, too.
"""

import ipaddress
import re
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from wsgi_apps.base import error_reply, send
from wsgi_apps.reply import Reply

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Each stands for a page, or a browser that fetches in advance. A user who types an address sends none of them.
_PAGE_MARKS = ("HTTP_ORIGIN", "HTTP_REFERER", "HTTP_SEC_PURPOSE")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::[0-9]{0,5})?")


class Host(Enum):
    """A tier's verdict on a Host header."""

    MALFORMED = auto()
    FOREIGN = auto()
    LOCAL = auto()  # a name that the setting could list and does not, but that no stranger can have registered
    OURS = auto()


class Hosts:
    """The names by which a tier may be asked: those given, and those of loopback.

    An address is one of them: what a browser asks by an address goes to that address, so no page has it for its name.
    All but 0.0.0.0 and [::], by which pages reach loopback without that their browser knows it.

    `others` is what any other name counts as. LOCAL is for names without a dot only, such as those of containers.
    """

    def __init__(self, names: Iterable[str], others: Host) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._others = others
        self.judge = lru_cache(maxsize=1024)(self._judge)

    def _judge(self, header: str) -> Host:
        match = _HOST.fullmatch(header.lower())
        if match is None:
            return Host.MALFORMED
        name = match[1] or match[2]
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return Host.OURS
        if self._others is Host.OURS:
            return Host.OURS
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return self._others if "." not in name else Host.FOREIGN
        address = getattr(address, "ipv4_mapped", None) or address
        return Host.FOREIGN if address.is_unspecified else Host.OURS


class _Gate:
    """The same app, for those whom a subclass lets through. The others get a refusal in the store's form."""

    refuses = ""

    def __init__(self, app: "WSGIApplication", hosts: Hosts, hosts_setting: str) -> None:
        self._app = app
        self._hosts = hosts
        self._hosts_setting = hosts_setting

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refusal = self._of_host(environ)
        if refusal is None and self.is_foreign(environ):
            refusal = error_reply(403, self.refuses)
        if refusal is None:
            return self._app(environ, start_response)
        return send(refusal, environ, start_response)

    def is_foreign(self, environ: "WSGIEnvironment") -> bool:
        """Whether a page asks that has no business here."""
        raise NotImplementedError

    def _of_host(self, environ: "WSGIEnvironment") -> Reply | None:
        header = environ.get("HTTP_HOST")
        if not header:
            return None  # every browser sends one
        host = self._hosts.judge(header)
        if host is Host.OURS or (host is Host.LOCAL and not _is_browser(environ)):
            return None
        if host is Host.MALFORMED:
            return error_reply(400, "the Host is no host")
        return error_reply(403, f"the Host is not a name of this tier; {self._hosts_setting} lists more names")


class TierOriginMiddleware(_Gate):
    """For a tier behind: no page may ask it anything. A user may look, who types the address."""

    refuses = "this tier answers to no page in a browser"

    def is_foreign(self, environ: "WSGIEnvironment") -> bool:
        if environ.get("HTTP_SEC_FETCH_SITE") == "none":
            return any(mark in environ for mark in _PAGE_MARKS)
        return _is_browser(environ)


class ShopOriginMiddleware(_Gate):
    """For the front end: all may look, but only its own pages, and programs, may buy.

    Another port of the same host is another site: who serves it is not known.
    """

    refuses = "a page of another site must not buy; a proxy in front has to pass the Host on"

    def is_foreign(self, environ: "WSGIEnvironment") -> bool:
        if environ["REQUEST_METHOD"] in _SAFE_METHODS:
            return False
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site not in (None, "same-origin", "none"):
            return True
        page = environ.get("HTTP_ORIGIN")
        if page is None and site is None:
            page = environ.get("HTTP_REFERER")  # of a browser from before the two
        return page is not None and not _is_of(page, environ.get("HTTP_HOST", ""))


def _is_browser(environ: "WSGIEnvironment") -> bool:
    if environ.get("HTTP_USER_AGENT", "").startswith("Mozilla/") or "HTTP_SEC_FETCH_SITE" in environ:
        return True
    return any(mark in environ for mark in _PAGE_MARKS)


def _is_of(page: str, host: str) -> bool:
    """Whether the URL or origin of a page has the host, port included, that was asked. "null" has none."""
    scheme, _, rest = page.lower().partition("://")
    authority = rest.partition("/")[0]
    port = _DEFAULT_PORTS.get(scheme)
    if port is None or not authority:
        return False
    return authority.removesuffix(port) == host.lower().removesuffix(port)
