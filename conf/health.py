"""Whether a tier of this machine answers: `python -m conf.health catalog` exits with 0 or 1. Made for healthchecks."""

import http.client
import sys

from conf.output import open_streams
from conf.settings import TIERS, Address, SettingsError, load_only, refuse_to_start

TIMEOUT_S = 2.0


def is_healthy(address: Address) -> bool:
    """Whether the tier at this address answers GET /health with 200 in time."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException, UnicodeError):  # the last for a name that is none
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in TIERS:
        print(f"usage: python -m conf.health {'|'.join(TIERS)}", file=sys.stderr)
        return 2
    prefix = TIERS[arguments[0]].prefix
    try:
        [tier] = [tier for tier in load_only(prefix, f"{prefix}_BIND").tiers if tier.name == arguments[0]]
    except SettingsError as error:
        refuse_to_start(str(error))
    if is_healthy(tier.here):
        return 0
    print(f"{tier.name} does not answer at {tier.here.url}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    open_streams()
    sys.exit(main(sys.argv[1:]))
