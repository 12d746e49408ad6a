"""Runs a command with standard error as a service has it, in a mount namespace with a journal of its own, and prints the
entries that came as JSON: journal.py COMMAND..., inside `unshare --mount`."""

import json
import os
import socket
import struct
import subprocess
import sys

os.makedirs("/run/systemd", exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/systemd"], check=True)
os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.setblocking(False)

reading, writing = os.pipe()
status = os.fstat(writing)
env = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
done = subprocess.run(sys.argv[1:], env=env, stderr=writing, stdout=subprocess.DEVNULL)
os.close(writing)
with os.fdopen(reading) as stream:
    plain = stream.read()


def entry(data):
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[9 + length :]
        fields[name.decode()] = value.decode()
    return fields


entries = []
while True:
    try:
        entries.append(entry(journal.recv(1 << 20)))
    except BlockingIOError:
        break
print(json.dumps({"status": done.returncode, "plain": plain, "entries": entries}))
