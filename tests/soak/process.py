"""What a process holds at a moment."""

import os
import pathlib

ESTABLISHED = "01"


class Process:
    def __init__(self, pid):
        folder = pathlib.Path(f"/proc/{pid}")
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        self.memory_kb = int(fields["VmRSS"].split()[0])
        self.heap_kb = int(fields["RssAnon"].split()[0])   # for people: the rest is the program itself, as far as it was needed yet
        self.threads = int(fields["Threads"])
        self.files, sockets = 0, set()
        for descriptor in (folder / "fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except OSError:  # closed meanwhile
                continue
            self.files += 1
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
        rows = [line.split() for table in ("tcp", "tcp6") for line in (folder / "net" / table).read_text().splitlines()[1:]]
        self.connections = sum(1 for row in rows if row[9] in sockets and row[3] == ESTABLISHED)

    def __str__(self):
        return f"{self.memory_kb / 1000:.1f} MB ({self.heap_kb / 1000:.1f} heap)  {self.threads} threads  {self.files} files  {self.connections} connections"

    def against(self, later):
        """{what: (now, later)}"""
        return {what.replace("_", " "): (getattr(self, what), getattr(later, what)) for what in ("memory_kb", "threads", "files", "connections")}
