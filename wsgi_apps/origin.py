"""Rejects requests that pages of other sites send through their visitors' browsers (cross-site request forgery).

Loopback and a closed network keep out other machines, but not the browser of a machine inside: a page of any site can
make the browser send requests. A browser adds headers, and no page can remove all of them:

- `Host` has the name in the URL: the site's own name, when the site lets it resolve to this machine (DNS rebinding).
- `Origin` and `Referer` name the page. `Sec-Fetch-Site` says whether the page is of the same site. `Sec-Purpose` says
  that the browser fetches in advance. A request of an <img> to an address other than loopback has none of them, but it
  has a `User-Agent`.

`Sec-Fetch-Mode` and `Accept-Language` do not prove a browser: programs on Node.js send them, too.
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

# A request of a page, or one in advance, has at least one of them. A request to an address that a user types has none.
_PAGE_HEADERS = ("HTTP_ORIGIN", "HTTP_REFERER", "HTTP_SEC_PURPOSE")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::[0-9]{0,5})?")


class Host(Enum):
    """The judgement of a Host header."""

    MALFORMED = auto()
    FOREIGN = auto()
    LOCAL = auto()  # a name without a dot, which no stranger can register in the DNS
    OURS = auto()


class Hosts:
    """The host names that a tier accepts: those given, those of loopback, and IP addresses.

    IP addresses are safe, because DNS rebinding needs a name. The exceptions are 0.0.0.0 and [::], by which a page
    reaches loopback without the checks of its browser.

    `others` is the judgement of all other names. LOCAL applies to names without a dot, such as those of containers.
    """

    def __init__(self, names: Iterable[str], others: Host) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._others = others
        self.judge = lru_cache(maxsize=1024)(self._judge)

    def _judge(self, header: str) -> Host:
        """Returns the judgement of a Host header. It is cached as `judge`."""
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


class _OriginMiddleware:
    """Passes on the requests with an accepted Host that are not foreign to the subclass. Answers 403 to the others."""

    message = ""

    def __init__(self, app: "WSGIApplication", hosts: Hosts, hosts_setting: str) -> None:
        self._app = app
        self._hosts = hosts
        self._hosts_setting = hosts_setting

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refusal = self._reject_host(environ)
        if refusal is None and self.is_foreign(environ):
            refusal = error_reply(403, self.message)
        if refusal is None:
            return self._app(environ, start_response)
        return send(refusal, environ, start_response)

    def is_foreign(self, environ: "WSGIEnvironment") -> bool:
        """Whether the request comes from a page that must not make it."""
        raise NotImplementedError

    def _reject_host(self, environ: "WSGIEnvironment") -> Reply | None:
        """Returns the error for a Host that the tier does not accept, else None."""
        header = environ.get("HTTP_HOST")
        if not header:
            return None  # not a browser: every browser sends a Host
        host = self._hosts.judge(header)
        if host is Host.OURS or (host is Host.LOCAL and not _is_browser(environ)):
            return None
        if host is Host.MALFORMED:
            return error_reply(400, "the Host is no host")
        return error_reply(403, f"the Host is not a name of this tier; {self._hosts_setting} lists more names")


class TierOriginMiddleware(_OriginMiddleware):
    """Rejects every request of a page to a tier behind the front end. A user may type an address of the tier."""

    message = "this tier answers to no page in a browser"

    def is_foreign(self, environ: "WSGIEnvironment") -> bool:
        if environ.get("HTTP_SEC_FETCH_SITE") == "none":
            return any(header in environ for header in _PAGE_HEADERS)
        return _is_browser(environ)


class ShopOriginMiddleware(_OriginMiddleware):
    """Lets every page read from the front end. Only the front end's own pages, and programs, may buy.

    Another port of the same host counts as another site, because anybody may serve it.
    """

    message = "a page of another site must not buy; a proxy in front has to pass the Host on"

    def is_foreign(self, environ: "WSGIEnvironment") -> bool:
        if environ["REQUEST_METHOD"] in _SAFE_METHODS:
            return False
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site not in (None, "same-origin", "none"):
            return True
        page = environ.get("HTTP_ORIGIN")
        if page is None and site is None:
            page = environ.get("HTTP_REFERER")  # old browsers send neither Origin nor Sec-Fetch-Site
        return page is not None and not _has_host(page, environ.get("HTTP_HOST", ""))


class DeskOriginMiddleware(ShopOriginMiddleware):
    """Lets only the desk's own pages, and programs, change anything. Who may read is not judged here."""

    message = "a page of another site must not change anything; a proxy in front has to pass the Host on"


def _is_browser(environ: "WSGIEnvironment") -> bool:
    """Whether a browser sends the request."""
    if environ.get("HTTP_USER_AGENT", "").startswith("Mozilla/") or "HTTP_SEC_FETCH_SITE" in environ:
        return True
    return any(header in environ for header in _PAGE_HEADERS)


def _has_host(page: str, host: str) -> bool:
    """Whether the URL or origin of a page has this host and port. The origin "null" has none."""
    scheme, _, rest = page.lower().partition("://")
    authority = rest.partition("/")[0]
    port = _DEFAULT_PORTS.get(scheme)
    if port is None or not authority:
        return False
    return authority.removesuffix(port) == host.lower().removesuffix(port)
