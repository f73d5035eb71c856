"""Makes the idempotency keys of the shop's forms, which a browser that comes back to a page finds again.

HTML is not kept, so a browser asks for a page again on Back and on a reload, and the form must still have its key. The
address of the page therefore has the number of its form. The key is computed of this number and of a secret in a cookie
of the browser. Somebody else who opens the address, from a shared link, has another key, and so neither buys for nor
sees the receipt of the one who shared it. A browser without cookies gets a new key with each page.
"""

import hashlib
import re
import secrets

from wsgi_apps.base import Request, new_key

# A session cookie: browsers keep it until they are closed, and restore it with their tabs.
COOKIE = "shop"
# No script reads it, and no page of another site has it sent, except by a link to the shop. It opens nothing without
# the number of a form, so it may travel over plain HTTP like the form itself.
_ATTRIBUTES = "Path=/; HttpOnly; SameSite=Lax"
_SECRET = _FORM = re.compile(r"[0-9a-f]{32}")


def browser_of(request: Request) -> tuple[str, dict[str, str] | None]:
    """Returns the secret of the browser. One that has none gets a new one, by the headers that stand behind it."""
    if "HTTP_COOKIE" in request.environ:
        browser = request.cookies.get(COOKIE, "")
        if _SECRET.fullmatch(browser):
            return browser, None
    browser = secrets.token_hex(16)
    return browser, {"Set-Cookie": f"{COOKIE}={browser}; {_ATTRIBUTES}"}


def new_form() -> str:
    """Returns the number of a new form. It begins with the time, as its key does then."""
    return new_key()


def is_form(text: str) -> bool:
    """Whether the text can be the number of a form."""
    return _FORM.fullmatch(text) is not None


def form_key(browser: str, form: str) -> str:
    """Returns the idempotency key of a form in a browser. It has the form of `new_key`, and begins with its time."""
    digest = hashlib.sha256(f"{browser} {form}".encode()).hexdigest()
    return f"{form[:12]}{digest[:20]}"
