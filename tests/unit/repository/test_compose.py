"""compose.yaml leaves room for the threads of the tiers."""

import re

from conf.settings import REQUEST_THREADS, TIERS
from tests.support.tiers import ROOT

# The threads of a worker beside those for requests: the event loop, the threads of batches, one for its output.
OTHER_THREADS = 12
# With WORKER=gthread a worker has one thread for each request. There is room for more of them than the default.
MOST_THREADS = 64


def test_the_pids_limit_allows_a_reload() -> None:
    """During a reload there are two of each worker."""
    [limit] = re.findall(r"pids_limit: (\d+)", (ROOT / "compose.yaml").read_text("utf-8"))
    for tier in TIERS.values():
        assert int(limit) > 2 * tier.workers * (max(MOST_THREADS, tier.threads) + REQUEST_THREADS + OTHER_THREADS)
