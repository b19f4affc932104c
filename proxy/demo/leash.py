"""Runs a module as `python -m` would, and ends it when the process that started it is gone, even by SIGKILL.

`python -m proxy.demo.leash MODULE [ARGUMENTS]`. Standard input is the leash: whoever holds its other end lives. At its
end the module gets a SIGTERM, as from a service manager, and is ended outright if it has not gone GRACE_S later.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 20.0


def main() -> None:
    threading.Thread(target=_watch, name="leash", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _watch() -> None:
    while os.read(0, 4096):  # not sys.stdin: a thread that holds its lock would trouble the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
