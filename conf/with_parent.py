"""Runs a module, and ends it when its parent process ends.

    python -m conf.with_parent PARENT SIGNAL MODULE [ARGUMENT...]

Otherwise a tier whose supervisord was killed would go on without a supervisor and keep its port, as would a supervisord
whose `make run` was killed.
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
    """Waits until this process is an orphan, which has another parent, and then sends it the signal."""
    while os.getppid() == parent:
        time.sleep(CHECK_INTERVAL_S)
    os.kill(os.getpid(), number)


def main(parent: int, number: signal.Signals, module: str, arguments: list[str]) -> None:
    """Runs the module as `python -m` does. `parent` is a parameter, for the parent may have ended already."""
    with suppress(RuntimeError):  # the system has no thread left: the module runs without the check
        threading.Thread(target=end_with, args=(parent, number), name="parent", daemon=True).start()
    os.environ["PARENT_PID"] = str(os.getpid())  # see conf/supervisord.conf and conf/upgrade.py
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), signal.Signals[sys.argv[2]], sys.argv[3], sys.argv[4:])
