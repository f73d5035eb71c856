"""Links that log the owner in once, such as the one that `make run` prints.

A link is signed with OWNER_SECRET by the program that prints it. The back office remembers which ones were used, in its
memory. It therefore refuses a link that is older than its own process: that link may have been used before a restart.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence

from itsdangerous import BadSignature, Signer

from wsgi_apps.sessions import CLOCK_STEP_S, SIGNER

LIFETIME_S = 3600
_SALT = "toystore login link"


def new_login_token(secret: str, clock: Callable[[], float] = time.time) -> str:
    """Returns the token of a new link, which is signed with this value of OWNER_SECRET.

    It has the time in milliseconds and an id. It is short, for a link should fit into a line of a terminal.
    """
    value = f"{int(clock() * 1000):x}-{secrets.token_urlsafe(9)}"
    return Signer(secret, salt=_SALT, **SIGNER).sign(value).decode()


class LoginLinks:
    """Accepts each token once. `values` are those of OWNER_SECRET."""

    def __init__(self, values: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(list(values), salt=_SALT, **SIGNER)
        self._clock = clock
        self._started_s = int(clock() * 1000) / 1000  # as precise as a token
        self._used: dict[str, float] = {}  # the used tokens that have not expired, and when they expire
        self._mutex = threading.Lock()

    def redeem(self, token: str) -> bool:
        """Whether the token logs the owner in. From then on it is used."""
        try:
            value = self._signer.unsign(token).decode()
        except BadSignature:
            return False
        issued_s = int(value.partition("-")[0], 16) / 1000
        now = self._clock()
        if issued_s < self._started_s or not -CLOCK_STEP_S <= now - issued_s < LIFETIME_S:
            return False
        with self._mutex:
            self._used = {used: expires_s for used, expires_s in self._used.items() if expires_s > now}
            if value in self._used:
                return False
            self._used[value] = issued_s + LIFETIME_S
        return True
