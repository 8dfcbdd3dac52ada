"""Submissions: what is taken out of a folder, a clone, a zip or a file, and what is refused."""

from __future__ import annotations

import os
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader import submission
from grader.course import Course
from grader.submission import MAX_ENTRIES, MAX_FILE, MAX_ZIP, SubmissionRefused, open_submission

CODE = b"def double(n): return 2 * n\n"
PLACE = "exercises/01_first/double.py"


def taken(path: Path, course: Course) -> dict[str, bytes]:
    """The files of all exercises that are taken."""
    opened = open_submission(path, course)
    return {name: code for exercise in course.exercises for name, code in opened.files(exercise).items()}


def refused(path: Path, course: Course) -> str:
    """The one line of the refusal."""
    with pytest.raises(SubmissionRefused) as caught:
        open_submission(path, course)
    words = str(caught.value)
    assert words.isprintable()
    assert str(path) in words or len(str(path)) > 200
    return words


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip of files."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


# --- folders


@pytest.mark.parametrize(
    "name",
    [PLACE, "01_first/double.py", "double.py", "exercises/double.py", f"course-main/{PLACE}", "me/double.py"],
)
def test_a_folder_may_be_laid_out_in_several_ways(tiny: Course, tmp_path: Path, name: str) -> None:
    assert taken(write(tmp_path, {name: CODE}), tiny) == {"double.py": CODE}
    assert taken(zipped(tmp_path / "x.zip", {name: CODE}), tiny) == {"double.py": CODE}


def test_only_the_exercises_are_taken_out_of_a_clone(tiny: Course, tmp_path: Path) -> None:
    files = {
        PLACE: CODE, "exercises/fastasgi/shapes.py": b"shapes", "exercises/fastasgi/sizes.py": b"no exercise",
        ".git/config": b"x", ".git/hooks/pre-commit": b"x", "conftest.py": b"x", "exercises/conftest.py": b"x",
        "sitecustomize.py": b"x", "exercises/evil.pth": b"x", "tests/suites/01_first/double/test_double.py": b"x",
        "probe.py": b"x", ".github/workflows/x.yml": b"x", "exercises/01_first/__init__.py": b"x",
    }  # fmt: skip
    write(tmp_path, files)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert taken(tmp_path, tiny) == {"double.py": CODE, "fastasgi/shapes.py": b"shapes"}
    assert open_submission(tmp_path, tiny).name == tmp_path.name


def test_a_single_file_is_named_after_its_exercise(tiny: Course, tmp_path: Path) -> None:
    write(tmp_path, {"shapes.py": b"shapes", "other.py": b"x", "double.txt": b"x"})
    assert taken(tmp_path / "shapes.py", tiny) == {"fastasgi/shapes.py": b"shapes"}
    assert "no exercise is called other" in refused(tmp_path / "other.py", tiny)
    assert "not a .txt file" in refused(tmp_path / "double.txt", tiny)


def test_what_is_not_there_is_refused(tiny: Course, tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nothing", tiny)
    assert "no such file" in refused(tmp_path / "nothing.zip", tiny)
    assert "cannot be read" in refused(tmp_path / ("x" * 300), tiny)
    assert "no file of any exercise" in refused(write(tmp_path, {"README.md": b"x"}), tiny)


def _link_to_file(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.symlink_to("/etc/passwd")


def _link_to_folder(place: Path) -> None:
    elsewhere = place.parents[2] / "elsewhere"
    write(elsewhere, {"double.py": CODE})
    place.parents[1].mkdir()
    place.parent.symlink_to(elsewhere)


def _dangling_link(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.symlink_to("nowhere")


def _fifo(place: Path) -> None:
    place.parent.mkdir(parents=True)
    os.mkfifo(place)


def _device(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/zero")


def _socket(place: Path) -> None:
    import socket

    place.parent.mkdir(parents=True)
    here = Path.cwd()
    os.chdir(place.parent)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.chdir(here)


def _folder(place: Path) -> None:
    place.mkdir(parents=True)


def _large(place: Path) -> None:
    write(place.parent, {place.name: bytes(MAX_FILE + 1)})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_link_to_file, "is a link"),
        (_link_to_folder, "is a link"),
        (_dangling_link, "is a link"),
        (_device, "is a link"),
        (_fifo, "no regular file"),
        (_socket, "cannot be read"),
        (_folder, "no regular file"),
        (_large, "larger than 1 MiB"),
    ],
)
def test_what_stands_in_place_of_a_file_is_refused(
    tiny: Course, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(tmp_path / PLACE)
    assert words in refused(tmp_path, tiny)


def test_a_submission_that_is_a_link_is_refused(tiny: Course, tmp_path: Path) -> None:
    write(tmp_path / "real", {PLACE: CODE})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert "is a link" in refused(tmp_path / "link", tiny)


def test_a_file_of_just_the_limit_is_taken(tiny: Course, tmp_path: Path) -> None:
    assert len(taken(write(tmp_path, {PLACE: bytes(MAX_FILE)}), tiny)["double.py"]) == MAX_FILE


def test_a_name_that_is_no_text_is_shown(tiny: Course, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"na\xffme\n")
    assert open_submission(write(folder, {PLACE: CODE}), tiny).name == "na\\udcffme\\n"


# --- zips


@pytest.mark.parametrize(
    "name", ["../double.py", "/exercises/01_first/double.py", "a/../../x", "\\\\host\\x"]
)
def test_a_path_that_leads_out_of_the_zip_is_refused(tiny: Course, tmp_path: Path, name: str) -> None:
    assert "points out of the zip" in refused(zipped(tmp_path / "x.zip", {PLACE: CODE, name: b"x"}), tiny)


def test_a_link_in_a_zip_is_refused(tiny: Course, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo(PLACE)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "is a link" in refused(path, tiny)


def test_a_zip_bomb_is_refused_unread(tiny: Course, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {PLACE: bytes(200 << 20)})
    assert path.stat().st_size < MAX_FILE
    assert "larger than 1 MiB" in refused(path, tiny)


def test_a_bomb_beside_the_exercises_is_left_alone(tiny: Course, tmp_path: Path) -> None:
    assert taken(zipped(tmp_path / "x.zip", {PLACE: CODE, "bomb": bytes(50 << 20)}), tiny) == {
        "double.py": CODE
    }


def test_a_zip_that_is_too_large_is_refused(tiny: Course, tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(MAX_ZIP)
    assert "larger than 10 MiB" in refused(zipped(tmp_path / "x.zip", {PLACE: CODE, "n": noise}), tiny)


def test_a_zip_of_too_many_entries_is_refused(tiny: Course, tmp_path: Path) -> None:
    files = {PLACE: CODE, **{f"f{number}": b"" for number in range(MAX_ENTRIES)}}
    assert "1001 entries" in refused(zipped(tmp_path / "x.zip", files), tiny)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(tiny: Course, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(PLACE, CODE)
        archive.writestr(PLACE, b"another")
    assert "stands in it twice" in refused(tmp_path / "x.zip", tiny)


def _encrypted(whole: bytes) -> bytes:
    local, central = bytearray(whole), whole.rindex(b"PK\x01\x02")
    local[6] |= 1
    local[central + 8] |= 1
    return bytes(local)


def _unknown_method(whole: bytes) -> bytes:
    changed, central = bytearray(whole), whole.rindex(b"PK\x01\x02")
    struct.pack_into("<H", changed, 8, 77)
    struct.pack_into("<H", changed, central + 10, 77)
    return bytes(changed)


def _damaged_data(whole: bytes) -> bytes:
    start = whole.index(PLACE.encode()) + len(PLACE)
    return whole[:start] + bytes(255 - byte for byte in whole[start : start + 20]) + whole[start + 20 :]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED]
)
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_encrypted, "cannot be unpacked"),
        (_unknown_method, "cannot be unpacked"),
        (_damaged_data, "cannot be unpacked"),
        (lambda whole: whole[:-30], "no readable zip"),
        (lambda whole: b"", "no readable zip"),
        (lambda whole: b"PK\x05\x06" + whole, "zip"),
    ],
    ids=["encrypted", "unknown", "damaged", "cut", "empty", "shifted"],
)
def test_a_zip_that_cannot_be_read_is_refused(
    tiny: Course, tmp_path: Path, method: int, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = zipped(tmp_path / "x.zip", {PLACE: CODE * 20}, method)
    path.write_bytes(damage(path.read_bytes()))
    try:
        assert taken(path, tiny) == {"double.py": CODE * 20}
        assert words == "zip"
    except SubmissionRefused as error:
        assert words in str(error)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8), st.integers(0, 3))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_zip_is_a_refusal_or_none(
    tiny: Course, tmp_path: Path, damage: list[tuple[int, int]], method: int
) -> None:
    methods = [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED]
    path = zipped(tmp_path / "x.zip", {PLACE: CODE * 20, "README": b"x"}, methods[method])
    whole = bytearray(path.read_bytes())
    for place, byte in damage:
        whole[place % len(whole)] = byte
    path.write_bytes(whole)
    try:
        open_submission(path, tiny)
    except SubmissionRefused as error:
        assert "\n" not in str(error)


# --- digests


def test_a_digest_tells_files_apart(tiny: Course) -> None:
    exercise, other = tiny.exercise("double"), tiny.exercise("greeter")
    one = submission.of_files("a", {"double.py": CODE})
    assert one.digest(exercise) == submission.of_files("b", {"double.py": CODE, "greeter.py": b"x"}).digest(
        exercise
    )
    assert one.digest(exercise) != submission.of_files("a", {"double.py": CODE + b"#"}).digest(exercise)
    assert one.files(other) == {}
