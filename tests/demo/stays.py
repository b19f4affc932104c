"""A program for `test_process.py`: says its pid, and stays; `stubborn` does not go at a SIGTERM."""

import os
import signal
import sys

if __name__ == "__main__":
    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    while True:
        signal.pause()
