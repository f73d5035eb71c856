"""HAProxy's configuration: one address before all front ends.

`python -m cluster.haproxy LISTEN FRONT_END...` prints it for front ends whose names change their addresses.
"""

import sys
from collections.abc import Sequence

_TEXT = """\
global
    maxconn 4096

defaults
    mode http
    timeout connect 2s
    timeout client 65s
    timeout server 65s
    timeout http-keep-alive 65s
    retries 2
    option redispatch 1
    default-server inter 1s fastinter 500ms fall 2 rise 1 maxconn 1024

# Only a request that reached no front end is sent to another one: a buy without a key of its own must not be repeated.
frontend shop
    bind {listen}
    use_backend ready_front_ends if {{ nbsrv(ready_front_ends) gt 0 }}
    default_backend living_front_ends

# Those that can do their work now.
backend ready_front_ends
    balance leastconn
    option httpchk
    http-check send meth GET uri /ready ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
{servers}

# When none is ready, as in a failover of the database, the store itself says so: with a page, and with Retry-After.
backend living_front_ends
    balance leastconn
    option httpchk
    http-check send meth GET uri /health ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
{servers}
"""


# Containers get a new address at each start. A name that is not known yet is looked up again later.
_RESOLVERS = """
resolvers system
    parse-resolv-conf
    hold valid 2s
    hold nx 2s
    hold other 2s
    hold refused 2s
    hold timeout 2s
"""
_LOOKED_UP = " resolvers system init-addr libc,none resolve-prefer ipv4"


def configuration(listen: str, front_ends: Sequence[str], *, are_looked_up: bool = False) -> str:
    """Returns the configuration. `are_looked_up`: the front ends are names, which are looked up again and again."""
    options = _LOOKED_UP if are_looked_up else ""
    servers = "\n".join(
        f"    server front_end{number} {address} check{options}" for number, address in enumerate(front_ends, start=1)
    )
    return _TEXT.format(listen=listen, servers=servers) + (_RESOLVERS if are_looked_up else "")


if __name__ == "__main__":
    print(configuration(sys.argv[1], sys.argv[2:], are_looked_up=True), end="")
