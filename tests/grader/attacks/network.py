"""Reaches for the network: through Python, through libc, and through the numbers of the calls."""

import ctypes
import os
import socket


def attack(port):
    found = []
    for family in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                socket.socket(getattr(socket, family), kind).close()
            except OSError:
                continue
            found.append(f"{family} {kind}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.socket(2, 1, 0) >= 0:
        found.append("libc's socket")
    ring = ctypes.create_string_buffer(120)
    if libc.syscall(ctypes.c_long(425), 4, ring) >= 0:
        found.append("io_uring")
    near, far = socket.socketpair()
    try:
        near.connect("/run/systemd/journal/socket")
        found.append("a socket pair that was connected elsewhere")
    except OSError:
        pass
    try:
        socket.getaddrinfo("localhost", port)
        socket.create_connection(("localhost", port), 1)
        found.append("a connection")
    except OSError:
        pass
    far.close()
    os.close(near.detach())
    return found
