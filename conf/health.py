"""Checks a tier of this machine, for container health checks: `python -m conf.health catalog` exits with 0 or 1.

With `--ready` it asks for /ready. A live tier is not ready while its disk or a tier behind it is away, which a restart
would not mend.
"""

import http.client
import json
import sys

from conf.addresses import Address
from conf.output import open_streams, visible
from conf.settings import TIERS, load_only, refuse_to_start
from conf.variables import SettingsError

# Longer than a tier takes to answer that it is not ready.
TIMEOUT_S = 2.5


def is_healthy(address: Address) -> bool:
    """Whether the tier at this address answers GET /health with 200 in time."""
    return probe(address, "/health") is None


def probe(address: Address, path: str) -> str | None:
    """Returns why the tier at this address does not answer GET `path` with 200 in time; None if it does."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status == 200:
            return None
        return str(json.loads(response.read())["error"]["message"])
    except (OSError, http.client.HTTPException, UnicodeError):  # UnicodeError: the host name is invalid
        return "does not answer"
    except (ValueError, LookupError, TypeError):
        return "answers, but not as a tier of this store"
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Runs the check and returns the exit code."""
    asks_for_ready = "--ready" in arguments
    names = [argument for argument in arguments if argument != "--ready"]
    usage = f"usage: python -m conf.health [--ready] {'|'.join(TIERS)}"
    if "--help" in names or "-h" in names:
        print(usage, "Exit code: 0 it answers, 1 it does not, 2 wrong usage or a wrong setting.", sep="\n")
        return 0
    if len(names) != 1 or names[0] not in TIERS or len(arguments) > 2:
        print(usage, file=sys.stderr)
        return 2
    prefix = TIERS[names[0]].prefix
    try:
        [tier] = [tier for tier in load_only(prefix, f"{prefix}_BIND").tiers if tier.name == names[0]]
    except SettingsError as error:
        refuse_to_start(str(error))
    why = probe(tier.local_address, "/ready" if asks_for_ready else "/health")
    if why is None:
        return 0
    print(f"{tier.name} at {tier.local_address.url}: {visible(why)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    open_streams()
    sys.exit(main(sys.argv[1:]))
