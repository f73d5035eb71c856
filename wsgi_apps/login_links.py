"""Links that log the owner in once, such as the one that `make run` prints.

A link is signed with OWNER_SECRET by the program that prints it. The back office remembers which ones were used, in its
memory. It therefore refuses a link that is older than its own process: that link may have been used before a restart.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence

from itsdangerous import BadData, URLSafeSerializer

from wsgi_apps.sessions import CLOCK_STEP_S, SIGNER

LIFETIME_S = 3600
_SALT = "toystore login link"


def new_login_token(secret: str, clock: Callable[[], float] = time.time) -> str:
    """Returns the token of a new link, which is signed with this value of OWNER_SECRET."""
    serializer = URLSafeSerializer(secret, salt=_SALT, signer_kwargs=SIGNER)
    return str(serializer.dumps([secrets.token_urlsafe(16), clock()]))


class LoginLinks:
    """Accepts each token once. `values` are those of OWNER_SECRET."""

    def __init__(self, values: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._serializer = URLSafeSerializer(list(values), salt=_SALT, signer_kwargs=SIGNER)
        self._clock = clock
        self._started_s = clock()
        self._used: dict[str, float] = {}  # the ids of used tokens that have not expired, and when they expire
        self._mutex = threading.Lock()

    def redeem(self, token: str) -> bool:
        """Whether the token logs the owner in. From then on it is used."""
        try:
            token_id, issued_s = self._serializer.loads(token)
        except BadData:
            return False
        now = self._clock()
        if issued_s < self._started_s or not -CLOCK_STEP_S <= now - issued_s < LIFETIME_S:
            return False
        with self._mutex:
            self._used = {used: expires_s for used, expires_s in self._used.items() if expires_s > now}
            if token_id in self._used:
                return False
            self._used[token_id] = issued_s + LIFETIME_S
        return True
