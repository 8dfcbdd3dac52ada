"""The sandboxes and what the worker gives up, seen through real workers and from outside."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from grader.judge import ending, sandboxes
from grader.judge.client import Worker
from grader.worker import confine

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's own interfaces")
ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import os, sys, threading

def listing(path): return sorted(os.listdir(path))
def readable(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
    except OSError:
        return False
def environment(): return sorted(os.environ)
def importable(names):
    found = []
    for name in names:
        try:
            __import__(name)
        except ImportError:
            continue
        found.append(name)
    return found
def busy(rounds):
    while rounds:
        rounds -= 1
def hold(size): return len(bytes(size) + b"x")
def leave(code): os._exit(code)
def end(number): os.kill(os.getpid(), number)
def printed(text):
    os.write(1, text.encode())
    os.write(2, text.encode())
def litter():
    import tempfile
    top = tempfile.mkdtemp()
    os.symlink("/", top + "/link")
    os.mkdir(top + "/closed", 0)
    os.chdir(top)
    for _ in range(400):
        os.mkdir("d")
        os.chdir("d")
    return tempfile.gettempdir()
def recurse_in_thread():
    import json
    ended = []
    def run():
        nested = []
        for _ in range(100_000): nested = [nested]
        for attempt in (json.dumps, repr):
            try:
                attempt(nested)
            except RecursionError:
                ended.append(attempt.__name__)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return ended
def threads(count):
    from concurrent.futures import ThreadPoolExecutor
    together = threading.Barrier(count, timeout=20)
    with ThreadPoolExecutor(count) as pool:
        return len(list(pool.map(lambda _: together.wait(), range(count))))
def stdlib():
    import ctypes, decimal, hashlib, json, sqlite3, ssl, tempfile, zlib
    with tempfile.TemporaryFile() as file:
        file.write(b"kept")
        file.seek(0)
        return [file.read(), sqlite3.connect(":memory:").execute("select 1").fetchone()[0]]
"""


@pytest.fixture(params=sandboxes.SANDBOXES)
def sandbox(request: pytest.FixtureRequest) -> str:
    """The name of each sandbox that this machine can give."""
    try:
        sandboxes.available(request.param)
    except sandboxes.SandboxUnavailable as unavailable:
        pytest.skip(str(unavailable))
    return str(request.param)


@pytest.fixture
def slot() -> Iterator[sandboxes.Slot]:
    """A slot for this test."""
    with sandboxes.Slot() as held:
        yield held


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the probe above; the folders over it are open, as the grader's own are."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe.py").write_text(PROBE, encoding="utf-8")
        yield Path(folder)


Start = Callable[[], Worker]


@pytest.fixture
def start(sandbox: str, slot: sandboxes.Slot, tree: Path) -> Iterator[Start]:
    """Starts workers of this test's sandbox, and ends them."""
    started: list[Worker] = []

    def start_one() -> Worker:
        started.append(Worker.start(sandbox, tree, slot=slot))
        return started[-1]

    yield start_one
    for worker in started:
        worker.close()


# --- what the worker sees


@linux
def test_every_protection_takes_hold(start: Start, sandbox: str) -> None:
    own_uid = sandbox != "process" and sandboxes.is_root()
    assert start().held == {
        "uid": own_uid,
        "rlimits": True,
        "no_new_privs": True,
        "landlock": confine.landlock_abi() > 0,
        "seccomp": confine.seccomp_available(),
    }


def test_the_tree_is_all_that_is_there_of_the_course(start: Start, sandbox: str, tree: Path) -> None:
    worker = start()
    assert worker.call("listing", {"path": "."}) == ["probe.py"]
    if sandbox in sandboxes.OTHERS_CODE:
        for path in (ROOT, ROOT / "tests", Path(__file__), Path("/etc/passwd"), Path("/proc")):
            assert not worker.call("readable", {"path": str(path)}), path


def test_the_environment_tells_nothing(start: Start, sandbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SECRET", "hunter2")
    known = {"LC_ALL", "MALLOC_ARENA_MAX", "PYTHONHASHSEED", "TZ", "PWD", "TMPDIR"}
    assert set(start().call("environment", {})) <= known


def test_only_the_standard_library_is_importable(start: Start) -> None:
    names = ["msgspec", "worker", "pytest", "hypothesis", "grader", "pip", "json"]
    assert start().call("importable", {"names": names}) == ["json"]


def test_the_standard_library_works(start: Start) -> None:
    assert start().call("stdlib", {}) == [b"kept", 1]


def test_a_recursion_without_end_in_a_thread_is_an_exception(start: Start) -> None:
    assert start().call("recurse_in_thread", {}) == ["dumps", "repr"]


def test_a_pool_of_32_threads_has_room(start: Start) -> None:
    assert start().call("threads", {"count": 32}) == 32


# --- seen from outside


def test_cpu_time_and_memory_are_seen_from_outside(start: Start) -> None:
    worker = start()
    before = worker.started.cpu_seconds(), worker.started.peak_bytes()
    worker.call("busy", {"rounds": 3_000_000})
    worker.call("hold", {"size": 64 << 20})
    assert worker.started.cpu_seconds() > before[0] > 0
    assert worker.started.peak_bytes() >= before[1] + (60 << 20)
    worker.close()
    assert worker.started.cpu_seconds() > before[0], "the last figure stays when the worker is gone"


@pytest.mark.parametrize(
    ("function", "value", "code"),
    [("leave", 0, 0), ("leave", 3, 3), ("end", int(signal.SIGKILL), -9), ("end", int(signal.SIGABRT), -6)],
)
def test_the_exit_code_is_the_same_in_every_sandbox(
    start: Start, function: str, value: int, code: int
) -> None:
    worker = start()
    with pytest.raises(ending.Crashed):
        worker.call(function, {"code" if function == "leave" else "number": value})
    assert worker.started.exit_code(5) == code


def test_output_is_kept_in_a_file_without_a_name(start: Start) -> None:
    worker = start()
    worker.call("printed", {"text": "seen\n"})
    assert os.pread(worker.started.output, 100, 0) == b"seen\nseen\n"
    worker.close()
    assert worker.started.output == -1


@linux
def test_nothing_is_left_after_the_end(start: Start, slot: sandboxes.Slot, tree: Path) -> None:
    worker = start()
    descriptors = _descriptors()
    process = psutil.Process(worker.started.identity().pid)
    scratch = worker.call("litter", {})
    worker.close()
    worker.started.kill()
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert worker.started.scratch is None or not Path(scratch).exists()
    assert _descriptors() == descriptors - 2, "the channel and the output are closed"


def _descriptors() -> int:
    return psutil.Process().num_fds()


@linux
def test_the_worker_ends_with_its_judge(sandbox: str, tree: Path) -> None:
    judge = subprocess.Popen(
        [sys.executable, "-c", JUDGE, sandbox, str(tree)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert judge.stdout is not None
    pid, scratch = judge.stdout.readline().split(maxsplit=1)
    handle = os.pidfd_open(int(pid))
    judge.kill()
    judge.wait()
    judge.stdout.close()
    try:
        assert select.select([handle], [], [], 20)[0], "the worker outlives a judge that was killed"
    finally:
        os.close(handle)
    if scratch.strip() != b"None":
        sandboxes.remove_tree(Path(os.fsdecode(scratch.strip())))


JUDGE = """
import sys
from pathlib import Path
from grader.judge import sandboxes
from grader.judge.client import Guards, Worker
with sandboxes.Slot() as slot:
    worker = Worker.start(sys.argv[1], Path(sys.argv[2]), slot=slot)
    worker.guards = Guards(cpu_seconds=60, wall_seconds=60)
    print(worker.started.identity().pid, worker.started.scratch, flush=True)
    worker.call("busy", {"rounds": 10**12})
"""


# --- what may be had


def test_an_unknown_sandbox_names_those_that_there_are() -> None:
    with pytest.raises(sandboxes.SandboxUnavailable, match="bubblewrap, user, process"):
        sandboxes.available("docker")


def test_without_bubblewrap_grading_stops_and_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    sandboxes._bubblewrap_problem.cache_clear()
    try:
        with pytest.raises(sandboxes.SandboxUnavailable, match="apt install bubblewrap") as refused:
            sandboxes.default_for_grade()
        assert "\n" not in str(refused.value)
    finally:
        monkeypatch.undo()
        sandboxes._bubblewrap_problem.cache_clear()


@linux
def test_without_landlock_user_needs_a_closed_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "landlock_abi", lambda: 0)
    with pytest.raises(sandboxes.SandboxUnavailable, match="Landlock"):
        sandboxes.available("user")


@linux
def test_without_a_filter_of_system_calls_there_is_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "seccomp_available", lambda: False)
    with pytest.raises(sandboxes.SandboxUnavailable, match="system-call filter"):
        sandboxes.available("user")


def test_the_terminal_is_for_process_alone(slot: sandboxes.Slot, tree: Path) -> None:
    for name in sandboxes.OTHERS_CODE:
        with pytest.raises(sandboxes.SandboxUnavailable):
            sandboxes.start(name, tree, slot=slot, debug=True)


# --- slots and folders


def test_two_slots_are_never_the_same() -> None:
    with sandboxes.Slot() as one, sandboxes.Slot() as other:
        if sandboxes.is_root():
            assert one.uid != other.uid
        else:
            assert one.uid is None


@pytest.mark.skipif(not sandboxes.is_root(), reason="only root has slots with a uid")
def test_a_slot_is_given_back_and_its_leftovers_removed() -> None:
    with sandboxes.Slot() as first:
        number, left = first.number, first.new_scratch()
        os.chown(left, first.uid or 0, first.uid or 0)
    with sandboxes.Slot() as second:
        assert second.number == number
        assert not left.exists()


def test_a_strangers_folder_is_removed_whatever_is_in_it(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept", encoding="utf-8")
    folder = tmp_path / "folder"
    deep = folder
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    (folder / "d" / "link").symlink_to(kept)
    (folder / "closed").mkdir(mode=0)
    sandboxes.remove_tree(folder)
    assert sorted(tmp_path.iterdir()) == [kept]


def test_a_tree_is_opened_whatever_the_umask_was(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir(mode=0o700)
    (tmp_path / "package" / "module.py").touch(mode=0o600)
    sandboxes.open_to_all(tmp_path)
    assert (tmp_path / "package").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "package" / "module.py").stat().st_mode & 0o777 == 0o644


# --- the filter, on a machine of our own


ALLOW, REFUSE, NOT_THERE = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | 38
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = pytest.mark.parametrize("machine", list(ARCHITECTURES))
SELF = 4711


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter of `machine` answers to a system call: classic BPF, as the kernel runs it."""
    words = [number, architecture or ARCHITECTURES[machine], 0, 0]
    for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]:
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    program, place, loaded = confine.filter_program(machine, SELF), 0, 0
    while True:
        code, true, false, constant = program[place]
        place += 1
        if code == 0x20:
            loaded = words[constant // 4]
        elif code == 0x54:
            loaded &= constant
        elif code == 0x06:
            return constant
        else:
            met = {0x15: loaded == constant, 0x25: loaded > constant, 0x35: loaded >= constant}[code]
            place += true if met else false


def number_of(machine: str, name: str) -> int:
    """The number of a system call that the filter knows."""
    number = {**confine.REFUSED, **confine.EXAMINED}[name][list(ARCHITECTURES).index(machine)]
    assert number is not None
    return number


@MACHINES
def test_the_filter_refuses_all_that_it_names(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    for name, numbers in confine.REFUSED.items():
        number = numbers[column]
        if number is not None:
            assert verdict(machine, number) == REFUSE, name


@MACHINES
def test_the_filter_allows_what_it_does_not_name(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    named = {numbers[column] for numbers in (*confine.REFUSED.values(), *confine.EXAMINED.values())}
    for number in range(463):
        if number not in named:
            assert verdict(machine, number) == ALLOW, number


@MACHINES
@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("clone", (0x003D0F00,), ALLOW),  # a thread, as glibc makes it
        ("clone", (0x01200011,), REFUSE),  # a fork
        ("clone3", (0,), NOT_THERE),
        ("kill", (SELF, 9), ALLOW),
        ("kill", (1, 9), REFUSE),
        ("kill", (0, 9), REFUSE),
        ("kill", (0xFFFFFFFF, 9), REFUSE),
        ("tgkill", (SELF, SELF, 6), ALLOW),
        ("tgkill", (1, 1, 6), REFUSE),
        ("prlimit64", (0, 7, 0, 0x7FFF00000000), ALLOW),  # a look
        ("prlimit64", (0, 7, 0x7FFF00000000, 0), REFUSE),
        ("prlimit64", (0, 7, 0x7FFF, 0), REFUSE),
        ("prctl", (15,), ALLOW),  # a thread's name
        ("prctl", (1,), REFUSE),  # the parent-death signal
        ("socketpair", (1, 1 | 0o2000000, 0), ALLOW),  # asyncio's own
        ("socketpair", (1, 2, 0), REFUSE),
        ("fcntl", (3, 3), ALLOW),
        ("fcntl", (3, 8), REFUSE),  # F_SETOWN: signals to another process
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), REFUSE),  # TIOCSTI: keys typed into a terminal
        ("utimensat", (3, 0), ALLOW),
        ("utimensat", (3, 0x7FFF00000000), REFUSE),
    ],
)
def test_the_filter_looks_at_arguments(
    machine: str, name: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert verdict(machine, number_of(machine, name), *arguments) == answer


@MACHINES
def test_the_filter_refuses_other_numberings_and_what_is_younger(machine: str) -> None:
    assert verdict(machine, 0, architecture=0x40000003) == REFUSE  # 32-bit calls
    assert verdict(machine, 0x40000000) == REFUSE  # x32
    assert verdict(machine, 463) == NOT_THERE


def test_an_unknown_machine_has_no_filter() -> None:
    assert confine.filter_program("riscv64", 1) == []


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@MACHINES
def test_the_numbers_are_the_kernels(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text(encoding="utf-8")
    defined = {
        name: int(number)
        for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, flags=re.MULTILINE)
    }
    for name, numbers in {**confine.REFUSED, **confine.EXAMINED}.items():
        number = numbers[list(ARCHITECTURES).index(machine)]
        assert number == defined.get(name, number), name


def test_what_must_hold_and_does_not_stops_the_worker() -> None:
    tried = subprocess.run(
        [sys.executable, "-c", "from grader.worker.confine import confine; confine({'must': ['seccomp']})"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert "NotConfined: the kernel did not grant: seccomp" in tried.stderr
