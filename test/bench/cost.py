"""Runs a command to its end and writes to a file what it cost: cost.py FIGURES COMMAND [ARG...]
Wall, user and system seconds and the largest resident memory of one process in KiB, of the command and all that it left behind: a sandbox ends before it
has waited for what ran in it, so that those who only wait for the command would not see its processor time."""
import ctypes
import os
import resource
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36

figures, *argv = sys.argv[1:]
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), "prctl")
# A wrapper that became this process (pyenv) has had children of its own.
before = resource.getrusage(resource.RUSAGE_CHILDREN)
started = time.monotonic()
status = subprocess.call(argv)
wall = time.monotonic() - started
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
cost = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(figures, "w") as file:
    print(wall, cost.ru_utime - before.ru_utime, cost.ru_stime - before.ru_stime, cost.ru_maxrss, file=file)
sys.exit(status if status >= 0 else 128 - status)
