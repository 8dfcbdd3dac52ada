"""What the worker gives up before it imports anything of the submission's.

Rule 1: every sandbox installs the same system-call filter, so that a verdict does not depend on the sandbox.
Rule 2: what does not hold is reported, never assumed: `confine` tells what the kernel granted.
Rule 3: the order is fixed: limits, identity, capabilities, parent-death signal, files, system calls. Each
    step needs a right that a later one takes away.
Rule 4: standard library only; Linux is reached through ctypes; elsewhere every step is a plain "not held".
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

try:
    import ctypes
except ImportError:  # an interpreter that was built without libffi
    ctypes = None  # type: ignore[assignment]
try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PROTECTIONS = ("uid", "rlimits", "no_new_privs", "landlock", "seccomp")
"""What `confine` reports on."""
THREAD_STACK = 4 << 20
"""Bytes of stack of each thread, half of the usual. A recursion without end is still a RecursionError (at
1 MiB, json and repr crash Python 3.13), and all threads of a uid fit into the limit of address space."""

_LINUX = sys.platform.startswith("linux") and ctypes is not None

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_SET_PTRACER = 0x59616D61
CAP_DAC_READ_SEARCH = 2


class NotConfined(Exception):
    """A protection that the judge demands did not take hold. The worker must not go on."""


def confine(policy: Mapping[str, Any]) -> dict[str, bool]:
    """Apply what `policy` asks for and tell which of `PROTECTIONS` hold. Raises NotConfined.

    Keys, all optional:
    `uid`, `gid`: the ids to take (needs root); `keep_read_capability`: keep the right to pass closed folders,
    for Landlock to confine; `memory_bytes` (address space), `file_bytes` (of a file), `cpu_seconds` (of the
    whole life), `processes` (processes and threads of the uid), `open_files`: limits; `parent`: the judge's
    process id, to end with it; `landlock`: `{"read": paths, "write": paths}`; `seccomp`: whether to filter
    system calls; `must`: names of protections without which the worker may not run.
    """
    held = dict.fromkeys(PROTECTIONS, False)
    threading.stack_size(THREAD_STACK)
    os.umask(0o077)
    held["rlimits"] = _set_limits(policy)
    held["uid"] = _take_identity(policy)
    if _LINUX:
        _drop_capabilities(keep_read=bool(policy.get("keep_read_capability")))
        _die_with(policy.get("parent"))
        held["no_new_privs"] = _prctl(PR_SET_NO_NEW_PRIVS, 1) == 0
        if "landlock" in policy:
            held["landlock"] = _restrict_files(policy["landlock"])
        if policy.get("seccomp"):
            held["seccomp"] = _install_filter(filter_program(os.uname().machine, os.getpid()))
    missing = [name for name in policy.get("must", ()) if not held[name]]
    if missing:
        raise NotConfined(f"the kernel did not grant: {', '.join(missing)}")
    return held


# --- limits and identity


def _set_limits(policy: Mapping[str, Any]) -> bool:
    """Set every limit that the policy names, and no core files. Tells whether all of them took hold."""
    if resource is None:
        return False
    names = {
        "memory_bytes": "RLIMIT_AS",
        "file_bytes": "RLIMIT_FSIZE",
        "cpu_seconds": "RLIMIT_CPU",
        "processes": "RLIMIT_NPROC",
        "open_files": "RLIMIT_NOFILE",
    }
    wanted = {limit: policy[key] for key, limit in names.items() if key in policy}
    results = [_set_limit(limit, value) for limit, value in {**wanted, "RLIMIT_CORE": 0}.items()]
    return all(results)


def _set_limit(name: str, value: int) -> bool:
    """Lower one limit, soft and hard. False where the platform does not know it or refuses."""
    try:
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _take_identity(policy: Mapping[str, Any]) -> bool:
    """Become `uid` and `gid` for good, without other groups. Raises NotConfined where that is refused."""
    if "uid" not in policy:
        return False
    uid, gid = policy["uid"], policy["gid"]
    try:
        if policy.get("keep_read_capability"):
            _prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise NotConfined(f"the worker could not become uid {uid}: {error.strerror}") from error
    return os.getresuid() == (uid, uid, uid) and os.getresgid() == (gid, gid, gid)


def _drop_capabilities(keep_read: bool) -> bool:
    """Give up all capabilities, but for CAP_DAC_READ_SEARCH if `keep_read`. See capset(2), version 3."""
    kept = 1 << CAP_DAC_READ_SEARCH if keep_read else 0
    header = struct.pack("Ii", 0x20080522, 0)
    return int(_libc().capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0))) == 0


def _die_with(parent: int | None) -> None:
    """Have the kernel end this process with the judge, and write no image of its memory. prctl(2)."""
    _prctl(PR_SET_DUMPABLE, 0)
    if parent is None:
        return
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # the judge died before the signal was asked for


# --- system calls through ctypes


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    result: int = _libc().prctl(option, *(ctypes.c_ulong(argument) for argument in padded))
    return result


def _syscall(number: int, *arguments: Any) -> int:
    call = _libc().syscall
    call.restype = ctypes.c_long
    result: int = call(ctypes.c_long(number), *arguments)
    return result


# --- Landlock: which files, and no TCP. https://docs.kernel.org/userspace-api/landlock.html

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_FILE_READ = 1 << 0 | 1 << 2  # execute, read
_FILE_WRITE = 1 << 1 | 1 << 14 | 1 << 15  # write, truncate (ABI 3), device control (ABI 5)
_FOLDER_READ = 1 << 3
_FOLDER_WRITE = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 13  # no devices, no sockets
_ALL_NET = 1 << 0 | 1 << 1  # bind and connect by TCP (ABI 4)
_ALL_SCOPES = 1 << 0 | 1 << 1  # abstract Unix sockets and signals (ABI 6)


def landlock_abi() -> int:
    """The version of Landlock that the kernel grants; 0 for none."""
    return max(0, _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))) if _LINUX else 0


def _handled_rights(abi: int) -> int:
    bits = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    return (1 << bits) - 1


def _restrict_files(paths: Mapping[str, Sequence[str]]) -> bool:
    """Leave only `paths["read"]` to be read and `paths["write"]` to be written; absent paths are left out."""
    abi = landlock_abi()
    if abi == 0:
        return False
    rights = _handled_rights(abi)
    attributes = struct.pack("QQQ", rights, _ALL_NET, _ALL_SCOPES)[
        : 24 if abi >= 6 else 16 if abi >= 4 else 8
    ]
    ruleset = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        read = _FILE_READ | _FOLDER_READ
        added = [_allow(ruleset, path, read & rights) for path in paths.get("read", ())]
        write = read | _FILE_WRITE | _FOLDER_WRITE
        added += [_allow(ruleset, path, write & rights) for path in paths.get("write", ())]
        return all(added) and _syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> bool:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True  # what is not there needs no right
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _FILE_READ | _FILE_WRITE
        rule = struct.pack("=Qi", rights, beneath)
        return _syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0)) == 0
    finally:
        os.close(beneath)


# --- seccomp: which system calls. https://docs.kernel.org/userspace-api/seccomp_filter.html

_X86_64, _AARCH64 = "x86_64", "aarch64"
_AUDIT_ARCHITECTURES = {_X86_64: 0xC000003E, _AARCH64: 0xC00000B7}
_MACHINES = {"x86_64": _X86_64, "amd64": _X86_64, "aarch64": _AARCH64, "arm64": _AARCH64}
_X32 = 0x40000000
_LAST_KNOWN = 462
"""A system call above it is younger than this table: it is told not to exist, and libc falls back."""

REFUSED: Mapping[str, tuple[int | None, int | None]] = {
    # other processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "setsid": (112, 157), "setpgid": (109, 154),
    "setrlimit": (160, 164), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # the network
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242),
    # mounts, namespaces, files by handle, and the attributes of files that are not the worker's
    "chroot": (161, 51), "pivot_root": (155, 41), "mount": (165, 40), "umount2": (166, 39),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97),
    "setns": (308, 268), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "mknod": (133, None), "mknodat": (259, 33), "uselib": (134, None), "chmod": (90, None),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "truncate": (76, 45), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None),
    # what outlives a process: System V and POSIX interprocess communication, keys
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186),
    "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183),
    "mq_notify": (244, 184), "mq_getsetattr": (245, 185), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219),
    # wide doors into the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "memfd_secret": (447, 447), "seccomp": (317, 277),
    # identity and the machine itself
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151),
    "setfsgid": (123, 152), "capset": (126, 91), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "create_module": (174, None), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "syslog": (103, 116), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "vhangup": (153, 58), "personality": (135, 92), "_sysctl": (156, None),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
}  # fmt: skip
"""System calls that are refused whatever their arguments (EPERM): numbers on x86_64 and on aarch64."""

EXAMINED: Mapping[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "prctl": (157, 167),
    "socketpair": (53, 199),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "utimensat": (280, 88),
}
"""System calls that are refused depending on their arguments."""

Instruction = tuple[int, int, int, int]
"""One BPF instruction: code, jump if true, jump if false, constant."""

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_IF_EQUAL, _IF_GREATER, _IF_AT_LEAST = 0x15, 0x25, 0x35
_ALLOW: Instruction = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE: Instruction = (_RETURN, 0, 0, 0x00050000 | errno.EPERM)
_NOT_THERE: Instruction = (_RETURN, 0, 0, 0x00050000 | 38)  # ENOSYS
_CLONE_THREAD = 0x00010000
_SOCK_STREAM = 1
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_FIOSETOWN, _SIOCSPGRP, _TIOCSTI, _TIOCSCTTY, _TIOCLINUX = 0x8901, 0x8902, 0x5412, 0x540E, 0x541C


def filter_program(machine: str, own_pid: int) -> list[Instruction]:
    """The filter for `machine` (as uname(2) names it); empty where it has none."""
    architecture = _MACHINES.get(machine.lower())
    if architecture is None:
        return []
    column = (_X86_64, _AARCH64).index(architecture)
    program = [
        (_LOAD, 0, 0, 4),
        (_IF_EQUAL, 1, 0, _AUDIT_ARCHITECTURES[architecture]),
        _REFUSE,
        (_LOAD, 0, 0, 0),
        *_when((_IF_AT_LEAST, _X32), [_REFUSE]),
        *_when((_IF_GREATER, _LAST_KNOWN), [_NOT_THERE]),
    ]
    for name, examination in _examinations(own_pid).items():
        program += _when((_IF_EQUAL, EXAMINED[name][column]), examination)
    numbers = (entry[column] for entry in REFUSED.values())
    for first, last in _ranges(number for number in numbers if number is not None):
        program += [(_IF_AT_LEAST, 0, 2, first), (_IF_GREATER, 1, 0, last), _REFUSE]
    return [*program, _ALLOW]


def _examinations(own_pid: int) -> dict[str, list[Instruction]]:
    """What is asked about the arguments of each examined call; every answer ends in a return."""
    own = [(_IF_EQUAL, own_pid)]
    return {
        "clone": [_low(0), (_AND, 0, 0, _CLONE_THREAD), *_unless([(_IF_EQUAL, 0)], _ALLOW), _REFUSE],
        "clone3": [_NOT_THERE],
        "kill": [_low(0), *_if_any(own, _ALLOW), _REFUSE],
        "tgkill": [_low(0), *_if_any(own, _ALLOW), _REFUSE],
        "prlimit64": [*_if_null(2, _ALLOW), _REFUSE],
        "prctl": [
            _low(0),
            *_if_any(
                [
                    (_IF_EQUAL, option)
                    for option in (
                        PR_SET_PDEATHSIG,
                        PR_SET_DUMPABLE,
                        PR_SET_KEEPCAPS,
                        PR_SET_SECCOMP,
                        PR_SET_CHILD_SUBREAPER,
                        PR_CAP_AMBIENT,
                        PR_SET_PTRACER,
                    )
                ],
                _REFUSE,
            ),
            _ALLOW,
        ],
        # a datagram socket could be addressed at any server's path in the file system
        "socketpair": [_low(1), (_AND, 0, 0, 0xF), *_if_any([(_IF_EQUAL, _SOCK_STREAM)], _ALLOW), _REFUSE],
        "fcntl": [
            _low(1),
            *_if_any([(_IF_EQUAL, command) for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX)], _REFUSE),
            _ALLOW,
        ],
        "ioctl": [
            _low(1),
            *_if_any(
                [
                    (_IF_EQUAL, request)
                    for request in (_FIOSETOWN, _SIOCSPGRP, _TIOCSTI, _TIOCSCTTY, _TIOCLINUX)
                ],
                _REFUSE,
            ),
            _ALLOW,
        ],
        # the times of an open file may be set, those of a path may not: the path may be anybody's
        "utimensat": [*_if_null(1, _ALLOW), _REFUSE],
    }


def _low(argument: int) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * argument)


def _high(argument: int) -> Instruction:
    return (_LOAD, 0, 0, 20 + 8 * argument)


def _when(condition: tuple[int, int], block: list[Instruction]) -> list[Instruction]:
    """Run `block`, which ends in a return, where the loaded word meets `condition`; else step over it."""
    return [(condition[0], 0, len(block), condition[1]), *block]


def _if_any(conditions: Iterable[tuple[int, int]], then: Instruction) -> list[Instruction]:
    return [step for condition in conditions for step in _when(condition, [then])]


def _unless(conditions: Iterable[tuple[int, int]], then: Instruction) -> list[Instruction]:
    return [step for code, constant in conditions for step in ((code, 1, 0, constant), then)]


def _if_null(argument: int, then: Instruction) -> list[Instruction]:
    """`then` where both words of a pointer are zero."""
    return [_low(argument), (_IF_EQUAL, 0, 3, 0), _high(argument), (_IF_EQUAL, 0, 1, 0), then]


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The numbers as runs of neighbours, first and last."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] + 1 == number:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def seccomp_available() -> bool:
    """Whether this machine has the filter and the kernel takes one."""
    if not (_LINUX and filter_program(os.uname().machine, 1)):
        return False
    # An empty filter is refused as a bad address where filters are known, and as invalid where they are not.
    return _prctl(PR_SET_SECCOMP, 2, 0) == -1 and ctypes.get_errno() == errno.EFAULT


def _install_filter(program: list[Instruction]) -> bool:
    if not program:
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HP", len(program), ctypes.addressof(buffer))
    install: Callable[..., int] = _libc().prctl
    pointer = ctypes.create_string_buffer(header, len(header))
    return (
        install(
            PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0)
        )
        == 0
    )
