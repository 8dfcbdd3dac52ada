"""The sandboxes: how a worker is started, watched from outside, and ended without leftovers.

Rule 1: never a silent fallback: a sandbox that this machine cannot give raises SandboxUnavailable.
Rule 2: every sandbox gives the worker the same surroundings (environment, limits, system calls, readable
    files) as far as the platform can, so that a verdict does not depend on it.
Rule 3: what starts here ends here: the group or namespace, what is left of the slot's uid, the scratch.
Rule 4: a worker dies with the thread that started it (the parent-death signal follows threads): start it from
    a thread that lives as long as it does.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import psutil

import grader.worker
from grader.worker import confine

SANDBOXES = ("bubblewrap", "user", "process")
"""The names, the strongest first."""
OTHERS_CODE = ("bubblewrap", "user")
"""The sandboxes for code that is not one's own."""

_LINUX = sys.platform.startswith("linux")
_COURSE, _BOUNDARY, _SCRATCH = "/course", "/boundary", "/tmp"  # as the worker in bubblewrap sees them
_SCRATCH_BYTES = 16 << 20
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/mime.types", "/usr/share/zoneinfo")
_GONE_AFTER = 5.0


class SandboxUnavailable(Exception):
    """This machine cannot give the sandbox. One line: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use. `cpu_seconds`: in its whole life, a backstop; `processes`: threads too."""

    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 20
    cpu_seconds: int = 600
    processes: int = 64
    open_files: int = 64


# --- slots


class Slot:
    """A number that no other grader on this machine holds, and as root on Linux a uid that goes with it.

    A context manager. It is held by the name of an abstract Unix socket: the kernel lets go of it when the
    grader ends, however it ends, and no file is left. Neither systemd nor Debian gives such uids out.
    """

    FIRST_UID = 60_600
    COUNT = 500

    def __init__(self) -> None:
        self.number = 0
        self.uid: int | None = None
        self._lock: socket.socket | None = None

    def __enter__(self) -> Slot:
        if is_root():
            self.number, self._lock = self._first_free()
            self.uid = self.FIRST_UID + self.number
            end_processes_of(self.uid)
            self._remove_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.uid is not None:
            end_processes_of(self.uid)
            self.uid = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def new_scratch(self) -> Path:
        """A fresh folder for a worker to write in, where the next holder of the slot will look for it."""
        return Path(tempfile.mkdtemp(prefix=f"fastasgi-worker-{self.number}-"))

    def _remove_leftovers(self) -> None:
        """Remove the scratch folders of a grader that held this slot and was killed."""
        for folder in Path(tempfile.gettempdir()).glob(f"fastasgi-worker-{self.number}-*"):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid in (0, self.uid):
                remove_tree(folder)

    def _first_free(self) -> tuple[int, socket.socket]:
        # Containers may share the host's uids, and so their limits: each begins elsewhere.
        offset = int.from_bytes(hashlib.sha256(socket.gethostname().encode()).digest()[:2], "big")
        taken = _accounts()
        for step in range(self.COUNT):
            number = (offset + step) % self.COUNT
            lock = socket.socket(socket.AF_UNIX)
            try:
                lock.bind(f"\0fastasgi-course-slot-{number}")
            except OSError:
                lock.close()
                continue
            if self.FIRST_UID + number not in taken:
                return number, lock
            lock.close()
        raise SandboxUnavailable(
            f"all {self.COUNT} slots for workers are taken: end other graders and try again."
        )


def is_root() -> bool:
    """Whether the judge may give a worker another uid."""
    return _LINUX and os.geteuid() == 0


def _accounts() -> frozenset[int]:
    import pwd

    return frozenset(account.pw_uid for account in pwd.getpwall())


def end_processes_of(uid: int) -> None:
    """Kill every process of `uid` and wait until none is left."""
    while left := _processes_of(uid):
        _kill(left)


def _processes_of(uid: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if uid in process.uids() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes, children or not, and wait until they have ended (their parent may still reap them)."""
    handles = [handle for process in processes if (handle := _handle(process)) is not None]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for handle in handles:
        select.select([handle], [], [], _GONE_AFTER)
        os.close(handle)


def _handle(process: psutil.Process) -> int | None:
    """A descriptor that becomes readable when the process has ended (pidfd_open(2)); None if it is gone."""
    if not _LINUX:
        return None
    with suppress(OSError):
        return os.pidfd_open(process.pid)
    return None


# --- a started worker


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker's process id and user id, as the judge's namespace has them."""

    pid: int
    uid: int


@dataclass(slots=True)
class Started:
    """A worker that has been started and waits for its first frame.

    `channel` is the judge's end of the stream; `output` a descriptor of the unlinked file that takes the
    worker's stdout and stderr (-1 in debug); `policy` goes to the worker in its first frame; `root` is the
    tree as the worker sees it. `kill` closes `output`, and the caller `channel`.
    """

    process: subprocess.Popen[bytes]
    channel: socket.socket
    output: int
    policy: dict[str, Any]
    root: str
    sandbox: str
    scratch: Path | None = None
    debug: bool = False
    _uid: int | None = None
    _worker: psutil.Process | None = None
    _ended: bool = False
    _last_cpu: float = 0.0
    _last_peak: int = 0

    def kill(self) -> None:
        """End the worker, its group or namespace, what is left of its uid, its scratch folder. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self.cpu_seconds()
        self.peak_bytes()
        family = self._family()
        self._signal_group()
        _kill(family)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GONE_AFTER)
        if self._uid is not None and not self._confined_to_itself:
            end_processes_of(self._uid)
        if self.scratch is not None:
            remove_tree(self.scratch)
        if self.output >= 0:
            os.close(self.output)
            self.output = -1

    def exit_code(self, timeout: float) -> int | None:
        """How the worker ended: its exit code, or minus a signal's number; None if it has not ended."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        # bubblewrap tells a signal as a shell does
        return 128 - code if self.sandbox == "bubblewrap" and code > 128 else code

    def cpu_seconds(self) -> float:
        """The CPU seconds that the worker has used in its life, seen from outside."""
        with suppress(psutil.Error, OSError):
            worker = self._find_worker()
            if worker is not None:
                self._last_cpu = max(self._last_cpu, _cpu_seconds(worker))
        return self._last_cpu

    def peak_bytes(self) -> int:
        """The most memory that the worker has held at one time, seen from outside."""
        with suppress(psutil.Error, OSError):
            worker = self._find_worker()
            if worker is not None:
                self._last_peak = max(self._last_peak, _peak_bytes(worker))
        return self._last_peak

    def identity(self) -> Identity:
        """Who the worker is, seen from outside. Raises psutil.NoSuchProcess if it is gone."""
        worker = self._find_worker()
        if worker is None:
            raise psutil.NoSuchProcess(self.process.pid)
        return Identity(worker.pid, worker.uids().effective if os.name == "posix" else -1)

    @property
    def _confined_to_itself(self) -> bool:
        """Whether no process can be left: those of a namespace end with it."""
        return self.sandbox == "bubblewrap"

    def _find_worker(self) -> psutil.Process | None:
        """The worker's own process: under bubblewrap a grandchild, which comes a little after its parents."""
        if self._worker is not None:
            return self._worker if self._worker.is_running() else None
        if self.process.returncode is None:
            if self.sandbox != "bubblewrap":
                self._worker = psutil.Process(self.process.pid)
            else:
                below = psutil.Process(self.process.pid).children(recursive=True)
                self._worker = below[1] if len(below) > 1 else None
        return self._worker

    def _family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _signal_group(self) -> None:
        if self.debug or os.name != "posix":  # in debug the group is the judge's own
            self.process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()


def _cpu_seconds(process: psutil.Process) -> float:
    if _LINUX:
        return time.clock_gettime(~process.pid << 3 | 2)  # its CPU clock, exact: clock_getcpuclockid(3)
    times = process.cpu_times()
    return float(times.user + times.system)


def _peak_bytes(process: psutil.Process) -> int:
    if not _LINUX:
        return int(process.memory_info().rss)
    status = Path(f"/proc/{process.pid}/status").read_bytes()
    found = re.search(rb"^VmHWM:\s*(\d+) kB", status, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


# --- what may be had here


def default_for_grade() -> str:
    """The sandbox for other people's code where none is named. Raises SandboxUnavailable: no weaker one."""
    try:
        available("bubblewrap")
    except SandboxUnavailable as error:
        raise SandboxUnavailable(f"{error} {_instead()}") from error
    return "bubblewrap"


def _instead() -> str:
    try:
        available("user")
    except SandboxUnavailable:
        return "`grader doctor` tells more. For your own code name `--sandbox process`."
    return "Or name `--sandbox user` (see `grader doctor`)."


def available(name: str) -> None:
    """Return if this machine can give the sandbox `name`; else raise SandboxUnavailable, with the cure."""
    if name not in SANDBOXES:
        raise SandboxUnavailable(f"{name}: no such sandbox. There are: {', '.join(SANDBOXES)}.")
    problem = None
    if name == "bubblewrap":
        problem = _bubblewrap_problem()
    elif name == "user":
        problem = _user_problem()
    if problem:
        raise SandboxUnavailable(f"{name}: {problem}")


@cache
def _bubblewrap_problem() -> str | None:
    """Why bubblewrap does not work here, found by trying it."""
    if not _LINUX:
        return "it exists on Linux only. Grade in a Linux container or machine."
    if shutil.which("bwrap") is None:
        return "the program bwrap is not installed. Install it: apt install bubblewrap."
    with tempfile.TemporaryDirectory() as tree:
        command = [*_bubblewrap(Path(tree), is_root()), *_interpreter(), "-c", ""]
        tried = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if tried.returncode == 0:
        return None
    return _bubblewrap_cure(
        tried.stderr.strip().splitlines()[0] if tried.stderr.strip() else "no word of why"
    )


def _bubblewrap_cure(said: str) -> str:
    closed = _closed_folders([Path(_interpreter()[0]), _stdlib(), _worker_folder(), _msgspec_folder()])
    if closed and not is_root():
        return f"{closed[0]} is closed to you, and Python lies below it. Use a Python that everybody may run."
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists() and not is_root():
        return (
            f"the kernel refuses it ({said}). On Ubuntu 24.04 and GitHub's runners allow it: "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give bwrap an AppArmor profile."
        )
    return (
        f"the kernel refuses it ({said}). In a container, start that with --privileged or "
        "--security-opt seccomp=unconfined --cap-add SYS_ADMIN, or use --sandbox user."
    )


def _user_problem() -> str | None:
    """Why `user` does not protect enough here."""
    if not confine.seccomp_available():
        return "this platform has no system-call filter (Linux on x86_64 and aarch64 has). Use bubblewrap."
    if confine.landlock_abi() > 0:
        return None
    if not is_root():
        return "the kernel has no Landlock (Linux 5.13 or newer has), and you are not root. Use bubblewrap."
    closed = _closed_folders([Path(_interpreter()[0]), _stdlib()])
    if closed:
        return (
            f"the kernel has no Landlock, and {closed[0]}, below which Python lies, is closed to the worker. "
            "Use a Python that everybody may run, such as /usr/bin/python3."
        )
    if not _closed_folders([_checkout() / "tests"]):
        return (
            f"the kernel has no Landlock, and everybody may read {_checkout()}, where the suites lie. "
            f"Close it to others: chmod 700 {_checkout()}."
        )
    return None


# --- starting


def start(name: str, tree: Path, *, slot: Slot, limits: Limits | None = None, debug: bool = False) -> Started:
    """Start a worker on the composed `tree` in the sandbox `name`.

    `debug` (for `process` alone) leaves it the terminal, the judge's session and the whole file system.
    Raises SandboxUnavailable.
    """
    available(name)
    _compile_worker()
    if debug and name != "process":
        raise SandboxUnavailable(
            f"{name}: only the sandbox process can have the terminal. Leave --sandbox out."
        )
    open_to_all(tree)
    judges_end, workers_end = socket.socketpair()
    try:
        plan = _plan(name, tree, slot, limits or Limits(), debug)
        return _launch(plan, judges_end, workers_end)
    except BaseException:
        judges_end.close()
        raise
    finally:
        workers_end.close()


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that is to be known before a process is made."""

    name: str
    command: list[str]
    environment: dict[str, str]
    policy: dict[str, Any]
    root: str
    cwd: str | None = None
    scratch: Path | None = None
    uid: int | None = None
    debug: bool = False
    folders: list[str] = field(default_factory=list)


def _plan(name: str, tree: Path, slot: Slot, limits: Limits, debug: bool) -> _Plan:
    policy: dict[str, Any] = {
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "open_files": limits.open_files,
        "seccomp": True,
    }
    if debug:
        for limit in ("memory_bytes", "file_bytes", "cpu_seconds", "open_files"):
            del policy[limit]
    if name == "bubblewrap":
        return _plan_bubblewrap(tree, slot, limits, policy)
    return _plan_plain(name, tree, slot, limits, policy, debug)


def _plan_bubblewrap(tree: Path, slot: Slot, limits: Limits, policy: dict[str, Any]) -> _Plan:
    policy["processes"] = limits.processes
    policy["landlock"] = {"read": ["/"], "write": [_SCRATCH, *_DEVICES]}
    policy["must"] = ["no_new_privs"]
    if slot.uid is not None:
        policy |= {"uid": slot.uid, "gid": slot.uid}
        policy["must"] += ["uid"]
    command = [
        *_bubblewrap(tree, slot.uid is not None),
        *_interpreter(),
        f"{_BOUNDARY}/worker/boot.py",
        _BOUNDARY,
        _BOUNDARY,
    ]
    return _Plan("bubblewrap", command, {}, policy, _COURSE, uid=slot.uid)


def _plan_plain(
    name: str, tree: Path, slot: Slot, limits: Limits, policy: dict[str, Any], debug: bool
) -> _Plan:
    scratch = slot.new_scratch()
    policy["parent"] = os.getpid()
    if not debug:
        policy["landlock"] = {"read": _readable(tree), "write": [str(scratch), *_DEVICES]}
    uid = slot.uid if name == "user" else None
    if name == "user":
        policy["must"] = ["seccomp", "landlock"] if confine.landlock_abi() else ["seccomp"]
    if uid is not None:
        policy |= {"uid": uid, "gid": uid, "processes": limits.processes}
        policy["must"] += ["uid"]
        os.chown(scratch, uid, uid)
    if is_root():
        # Landlock confines what this capability would open; `process` makes no promise.
        policy["keep_read_capability"] = name == "process" or bool(
            confine.landlock_abi() and _closed_folders([Path(_interpreter()[0]), _stdlib(), tree, scratch])
        )
    command = [
        *_interpreter(),
        str(_worker_folder() / "boot.py"),
        str(_worker_folder().parent),
        str(_msgspec_folder().parent),
    ]
    environment = {**_environment(), "TMPDIR": str(scratch)}
    if debug:
        environment |= {key: os.environ[key] for key in ("TERM", "PATH", "HOME") if key in os.environ}
    return _Plan(name, command, environment, policy, str(tree), str(tree), scratch, uid, debug)


def _launch(plan: _Plan, judges_end: socket.socket, workers_end: socket.socket) -> Started:
    output = -1
    try:
        if plan.debug:
            process = subprocess.Popen(
                [*plan.command, str(workers_end.fileno())],
                cwd=plan.cwd,
                env=plan.environment,
                pass_fds=[workers_end.fileno()],
            )
        else:
            output = _unlinked_file()
            process = subprocess.Popen(
                [*plan.command, "0"],
                stdin=workers_end.fileno(),
                stdout=output,
                stderr=output,
                cwd=plan.cwd,
                env=plan.environment,
                start_new_session=True,
            )
    except BaseException:
        if output >= 0:
            os.close(output)
        if plan.scratch is not None:
            remove_tree(plan.scratch)
        raise
    return Started(
        process, judges_end, output, plan.policy, plan.root, plan.name, plan.scratch, plan.debug, plan.uid
    )


def _unlinked_file() -> int:
    with tempfile.TemporaryFile(buffering=0, mode="a+b") as file:
        return os.dup(file.fileno())


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1", "PYTHONHASHSEED": "0", "TZ": "UTC0"}


# --- the interpreter and what it needs


def _interpreter() -> list[str]:
    """The base interpreter: nothing of a virtual environment, of the user or of the site is to be seen."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return [os.path.realpath(base), "-I", "-S", "-B"]


def _stdlib() -> Path:
    return Path(os.path.realpath(sysconfig.get_path("stdlib")))


@cache
def _worker_folder() -> Path:
    """Where the worker's modules lie, with their bytecode: a worker writes none, and would compile them each time."""
    folder = Path(os.path.realpath(grader.worker.__path__[0]))
    compileall.compile_dir(folder, maxlevels=0, quiet=2)
    return folder


@cache
def _compile_worker() -> None:
    """Write the bytecode of the worker's modules, for a faster start: it never writes any itself."""
    compileall.compile_dir(_worker_folder(), quiet=2)


def _msgspec_folder() -> Path:
    return Path(os.path.realpath(msgspec.__path__[0]))


def _checkout() -> Path:
    return Path(__file__).resolve().parents[2]


@cache
def _libraries() -> tuple[str, ...]:
    """The folders of the system's shared libraries, and those files of Python's own prefix that are some."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    narrow = [f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib64", "/usr/lib64"] if multiarch else []
    wide = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
    folders = [folder for folder in narrow if Path(folder).is_dir()]
    if not any(multiarch in folder for folder in folders):
        folders = [folder for folder in wide if Path(folder).is_dir()]
    own = () if sys.base_prefix in ("/", "/usr") else sorted(Path(sys.base_prefix, "lib").glob("*.so*"))
    return (*folders, *(str(path) for path in own))


@cache
def _stdlib_entries() -> tuple[str, ...]:
    """What lies in the standard library's folder, but for packages that were installed there."""
    platform_stdlib = Path(
        os.path.realpath(sysconfig.get_path("platstdlib").replace(sys.prefix, sys.base_prefix))
    )
    folders = {_stdlib(), platform_stdlib}
    return tuple(
        str(entry)
        for folder in sorted(folders)
        if folder.is_dir()
        for entry in sorted(folder.iterdir())
        if entry.name not in ("site-packages", "dist-packages")
    )


def _readable(tree: Path) -> list[str]:
    """What a worker without a file system of its own may read."""
    return [str(tree), *_stdlib_entries(), *_libraries(), *_SYSTEM_FILES, *_DEVICES]


def _closed_folders(paths: Iterable[Path]) -> list[Path]:
    """The folders above `paths`, and those paths themselves, that others may not enter or read."""
    found = []
    for path in paths:
        for folder in reversed([path, *path.parents]):
            with suppress(OSError):
                if folder.is_dir() and not folder.stat().st_mode & 0o001:
                    found.append(folder)
    return found


def open_to_all(tree: Path) -> None:
    """Let the worker's uid read a composed tree, whatever the judge's umask was."""
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | (0o555 if path.is_dir() else 0o444)
        if mode != wanted:
            path.chmod(wanted & 0o7777)


def remove_tree(folder: Path) -> None:
    """Remove a stranger's folder, whatever its modes and however deep or wide; nobody may work in it."""
    if os.rmdir not in os.supports_dir_fd:  # Windows
        shutil.rmtree(folder)
        return
    here = os.open(folder, _FOLDER)
    above: list[tuple[str, list[str]]] = []  # the way down: a folder's name, and its neighbours still to come
    to_come = _empty(here)
    while to_come or above:
        if to_come:
            name = to_come.pop()
            os.chmod(name, 0o700, dir_fd=here)
            here = _go(name, here)
            above.append((name, to_come))
            to_come = _empty(here)
        else:
            here = _go("..", here)
            name, to_come = above.pop()
            os.rmdir(name, dir_fd=here)
    os.close(here)
    folder.rmdir()


_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def _empty(here: int) -> list[str]:
    """Remove all but folders from the open folder `here`; gives the names of those."""
    folders = []
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=here)
    return folders


def _go(name: str, here: int) -> int:
    """Open the folder `name` in the open folder `here`, and close that."""
    there = os.open(name, _FOLDER, dir_fd=here)
    os.close(here)
    return there


# --- bubblewrap's command line


def _bubblewrap(tree: Path, own_uid: bool) -> list[str]:
    """The command line up to the interpreter. `own_uid`: the worker takes its slot's uid; needs root."""
    stdlib = _stdlib()
    binds = [
        *_python_binds(),
        *((path, path) for path in _SYSTEM_FILES if Path(path).exists()),
        (str(_worker_folder()), f"{_BOUNDARY}/worker"),
        (str(_msgspec_folder()), f"{_BOUNDARY}/msgspec"),
        (str(tree), _COURSE),
    ]
    hidden = [str(folder) for folder in _installed_packages(stdlib)]
    links = [(str(Path(path).readlink()), path) for path in ("/lib", "/lib64") if Path(path).is_symlink()]
    targets = [target for _, target in binds]
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(() if own_uid else ("--unshare-user", "--disable-userns")),
        *("--cap-drop", "ALL"),
        *(("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID") if own_uid else ()),
        *("--hostname", "worker", "--die-with-parent", "--new-session", "--clearenv"),
        *_flat(("--setenv", *pair) for pair in _environment().items()),
        *_flat(("--perms", "0755", "--dir", folder) for folder in _ancestors(targets)),
        *_flat(("--symlink", *link) for link in links),
        *_flat(("--ro-bind", *bind) for bind in binds),
        *_flat(("--tmpfs", folder) for folder in hidden),
        *("--size", str(_SCRATCH_BYTES), "--perms", "1777", "--tmpfs", _SCRATCH),
        *("--dev", "/dev", "--size", "65536", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--remount-ro", "/", "--chdir", _COURSE, "--"),
    ]


def _python_binds() -> Iterator[tuple[str, str]]:
    """What the interpreter needs, each at its own path."""
    paths = [_interpreter()[0], *_libraries()]
    prefix_lib = Path(sys.base_prefix, "lib")
    if sys.base_prefix in ("/", "/usr"):
        paths.append(str(_stdlib()))
    else:
        paths = [path for path in paths if not path.startswith(f"{prefix_lib}/")]
        paths.append(str(prefix_lib))
    linked = tuple(f"{path}/" for path in ("/lib", "/lib64") if Path(path).is_symlink())
    for path in paths:
        if not f"{path}/".startswith(linked):
            yield path, path


def _installed_packages(stdlib: Path) -> list[Path]:
    """Folders of installed packages below what is bound."""
    beside = stdlib.parent.glob("python3*/*-packages")
    return [folder for folder in sorted(beside) if _is_bound(folder)]


def _is_bound(folder: Path) -> bool:
    return any(folder.is_relative_to(path) for path, _ in _python_binds())


def _ancestors(paths: Sequence[str]) -> list[str]:
    """Every folder above `paths`, from the root down: bubblewrap would make them closed to others."""
    linked = ("/lib", "/lib64")
    found = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "/"}
    return sorted(folder for folder in found if not (folder in linked and Path(folder).is_symlink()))


def _flat(groups: Iterable[tuple[str, ...]]) -> list[str]:
    return [word for group in groups for word in group]
