"""Runs a module that ends when its parent does: python -m conf.with_parent PARENT SIGNAL MODULE [ARGUMENT...]

A tier whose supervisord was killed would serve on with nobody to look after it, and keep its port from the next one. So
would a supervisord whose `make run` was killed.
"""

import os
import runpy
import signal
import sys
import threading
import time
from contextlib import suppress

CHECK_INTERVAL_S = 0.2


def end_with(parent: int, number: signal.Signals) -> None:
    """Send this process the signal once its parent is another one: then it is an orphan."""
    while os.getppid() == parent:
        time.sleep(CHECK_INTERVAL_S)
    os.kill(os.getpid(), number)


def main(parent: int, number: signal.Signals, module: str, arguments: list[str]) -> None:
    """Run the module as `python -m` does. The parent is named, for it may have ended already."""
    with suppress(RuntimeError):  # the system gives no thread: it is better to run without
        threading.Thread(target=end_with, args=(parent, number), name="parent", daemon=True).start()
    os.environ["PARENT_PID"] = str(os.getpid())  # for supervisord, which names itself to the tiers so
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), signal.Signals[sys.argv[2]], sys.argv[3], sys.argv[4:])
