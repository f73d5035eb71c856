"""HAProxy's configuration: one address before all front ends."""

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


def configuration(listen: str, front_ends: Sequence[str], resolver: str = "") -> str:
    """Returns the configuration. `resolver` is appended to each server, for names that change their address."""
    servers = "\n".join(
        f"    server front_end{number} {address} check{resolver}" for number, address in enumerate(front_ends, start=1)
    )
    return _TEXT.format(listen=listen, servers=servers)
