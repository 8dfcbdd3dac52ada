"""A submission: the files of one learner, taken out of a clone, a folder, a zip or a single file.

Rule 1: only the files that an exercise names are taken; whatever else lies there is ignored.
Rule 2: nothing is unpacked to disk, followed through a link or run.
Rule 3: what cannot be taken safely is refused with one line: what, where, what to do.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.course import Course, Exercise
from grader.transcript import plain

MAX_FILE = 1 << 20
"""Bytes of one file."""
MAX_ZIP = 10 << 20
"""Bytes of a zip, packed, and of all that is taken out of it."""
MAX_ENTRIES = 1_000
"""Entries of a zip, and files of one exercise."""
BAD_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, ValueError, LookupError,
    struct.error,)  # fmt: skip
"""What reading a zip raises that is damaged, encrypted or packed in an unknown way."""


class SubmissionRefused(Exception):
    """The submission cannot be taken: names what, where and what to do, in one line that holds no control character."""

    def __init__(self, words: str) -> None:
        super().__init__(plain(words))


@dataclass(frozen=True)
class Submission:
    """What one learner handed in. `contents` maps paths in the worker's tree to bytes."""

    name: str
    contents: Mapping[str, bytes] = field(repr=False)

    def files(self, exercise: Exercise) -> dict[str, bytes]:
        """The exercise's files, its parts' included, by path in the worker's tree; empty where there are none."""
        return {
            path: content
            for path, content in sorted(self.contents.items())
            if any(_belongs(path, source) for source in exercise.sources)
        }

    def holds(self, exercise: Exercise) -> bool:
        """Whether there are files of the exercise, and of each of its parts."""
        return all(self.files(source) for source in exercise.sources)

    def digest(self, exercise: Exercise) -> str:
        """The SHA-256 of the exercise's files, as hex."""
        whole = hashlib.sha256()
        for path, content in self.files(exercise).items():
            whole.update(f"{path}\0{len(content)}\0".encode())
            whole.update(content)
        return whole.hexdigest()


def _belongs(path: str, exercise: Exercise) -> bool:
    """Whether a path in the worker's tree is one of the files of an exercise that has its own."""
    if exercise.package:
        return path.startswith(exercise.target + "/")
    return path == exercise.target + ".py"


def of_files(name: str, files: Mapping[str, bytes]) -> Submission:
    """A submission made of files in memory, by path in the worker's tree."""
    return Submission(name, dict(files))


def open_submission(path: Path, course: Course, wanted: Sequence[Exercise] = ()) -> Submission:
    """Read the submission at `path`: the files of the exercises `wanted`, or of all. Raises SubmissionRefused.

    A single file may have any name if one exercise is wanted.
    """
    asked = tuple(wanted) or course.exercises
    exercises = tuple(dict.fromkeys(source for exercise in asked for source in exercise.sources))
    try:
        return _open(path, exercises)
    except OSError as error:
        raise SubmissionRefused(
            f"{_shown(path)}: cannot be read ({error.strerror}). Check the path."
        ) from error


def _shown(path: Path) -> str:
    """A path as text that can be written: a name need not be UTF-8."""
    return plain(str(path))


def _open(path: Path, exercises: Sequence[Exercise]) -> Submission:
    if path.is_symlink():
        raise SubmissionRefused(
            f"{path}: is a link, which is never followed. Name the file or folder itself."
        )
    if path.is_dir():
        return Submission(plain(path.resolve().name), _take(_Folder(path), exercises, str(path)))
    if not path.is_file():
        raise SubmissionRefused(f"{path}: there is no such file or folder. Check the path.")
    if path.suffix == ".zip":
        with _open_zip(path) as archive:
            return Submission(plain(path.stem), _take(_Zip(archive), exercises, str(path)))
    if path.suffix == ".py":
        return _single(path, exercises)
    raise SubmissionRefused(
        f"{path}: a submission is a folder, a clone, a .zip or one .py file, not a {path.suffix or 'plain'} file."
    )


def _single(path: Path, exercises: Sequence[Exercise]) -> Submission:
    alone = len(exercises) == 1
    owners = [each for each in exercises if not each.package and (alone or each.name == path.stem)]
    if not owners:
        raise SubmissionRefused(
            f"{path}: no exercise is called {path.stem}. "
            "Name the file after its exercise (`grader list` shows them), or name the exercise."
        )
    return Submission(_shown(path), {owners[0].target + ".py": _Folder(path.parent).read(path.name)})


class _Folder:
    """Reads regular files below a folder, never through a link."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def folders(self) -> list[str]:
        return sorted(path.name for path in self.base.iterdir() if path.is_dir() and not path.is_symlink())

    def names(self, below: str) -> Iterator[str]:
        start = self.base / below
        for folder, folders, files in os.walk(start, followlinks=False):
            folders[:] = sorted(name for name in folders if not (Path(folder) / name).is_symlink())
            for name in sorted(files):
                yield (Path(folder) / name).relative_to(self.base).as_posix()

    def exists(self, name: str) -> bool:
        return os.path.lexists(self.base / name)

    def read(self, name: str) -> bytes:
        for part in (PurePosixPath(name), *PurePosixPath(name).parents):
            if part != PurePosixPath(".") and (self.base / part).is_symlink():
                raise SubmissionRefused(
                    f"{self.base / part}: is a link, which is never followed. Replace it by the file itself."
                )
        path = self.base / name
        try:
            descriptor = os.open(
                path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            )
        except OSError as error:
            raise SubmissionRefused(f"{path}: cannot be read ({error.strerror}). Check the file.") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SubmissionRefused(f"{path}: is no regular file. Replace it by the file itself.")
        with os.fdopen(descriptor, "rb") as file:
            return _checked_size(file.read(MAX_FILE + 1), str(path))


class _Zip:
    """Reads regular members of a zip, in memory."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.members = {info.filename: info for info in self._checked()}

    def _checked(self) -> Iterator[zipfile.ZipInfo]:
        infos = self.archive.infolist()
        where, seen = self.archive.filename, set[str]()
        if len(infos) > MAX_ENTRIES:
            raise SubmissionRefused(
                f"{where}: has {len(infos)} entries, more than {MAX_ENTRIES}. Zip only the exercises."
            )
        for info in infos:
            if stat.S_ISLNK(info.external_attr >> 16):
                raise SubmissionRefused(f"{where}: {info.filename} is a link. Zip the file itself.")
            if info.filename in seen:
                raise SubmissionRefused(f"{where}: {info.filename} stands in it twice. Make the zip again.")
            seen.add(info.filename)
            if ".." in PurePosixPath(info.filename).parts or info.filename.startswith(("/", "\\")):
                raise SubmissionRefused(f"{where}: {info.filename} points out of the zip. Zip plain paths.")
            if info.filename and not info.is_dir():
                yield info

    def folders(self) -> list[str]:
        return sorted({name.split("/", 1)[0] for name in self.members if "/" in name})

    def names(self, below: str) -> Iterator[str]:
        prefix = below.rstrip("/") + "/" if below else ""
        yield from sorted(name for name in self.members if name.startswith(prefix))

    def exists(self, name: str) -> bool:
        return name in self.members

    def read(self, name: str) -> bytes:
        where = f"{self.archive.filename}: {name}"
        try:
            with self.archive.open(self.members[name]) as file:
                content = file.read(MAX_FILE + 1)
        except BAD_ZIP as error:
            raise SubmissionRefused(f"{where}: cannot be unpacked ({error}). Make the zip again.") from error
        return _checked_size(content, where)


def _open_zip(path: Path) -> zipfile.ZipFile:
    if path.stat().st_size > MAX_ZIP:
        raise SubmissionRefused(f"{path}: is larger than {MAX_ZIP >> 20} MiB. Zip only the exercises.")
    try:
        return zipfile.ZipFile(path)
    except BAD_ZIP as error:
        raise SubmissionRefused(f"{path}: is no readable zip ({error}). Make it again.") from error


def _checked_size(content: bytes, where: str) -> bytes:
    if len(content) > MAX_FILE:
        raise SubmissionRefused(f"{where}: is larger than {MAX_FILE >> 20} MiB. An exercise needs a few KiB.")
    return content


def _take(source: _Folder | _Zip, exercises: Sequence[Exercise], where: str) -> dict[str, bytes]:
    base = _base(source, exercises)
    taken: dict[str, bytes] = {}
    for exercise in exercises:
        for tree_path, name in _places(source, base, exercise):
            taken[tree_path] = source.read(name)
        if len(taken) > MAX_ENTRIES or sum(map(len, taken.values())) > MAX_ZIP:
            raise SubmissionRefused(f"{where}: holds more than a course can. Hand in only the exercises.")
    if not taken:
        raise SubmissionRefused(
            f"{where}: holds no file of any exercise. Hand in your clone, or its exercises/ folder as it is."
        )
    return taken


def _base(source: _Folder | _Zip, exercises: Sequence[Exercise]) -> str:
    """Where `exercises/` lies: at the top, below the one folder that is there, or the source is it itself.

    Below one of several folders nothing is looked for: a clone's solutions are no submission.
    """
    folders = source.folders()
    tops = ["", folders[0] + "/"] if len(folders) == 1 else [""]
    for top in tops:
        for base in (top + "exercises/", top):
            if any(_present(source, base, exercise) for exercise in exercises):
                return base
    return "exercises/"


def _present(source: _Folder | _Zip, base: str, exercise: Exercise) -> bool:
    return any(True for _ in _places(source, base, exercise))


def _places(source: _Folder | _Zip, base: str, exercise: Exercise) -> Iterator[tuple[str, str]]:
    """Pairs of a path in the worker's tree and the name in the source, for the exercise's files that are there."""
    if exercise.package:
        folder = f"{base}{exercise.id}"
        for name in source.names(folder):
            if name.endswith(".py"):
                yield f"{exercise.target}/{name.removeprefix(folder + '/')}", name
        return
    for name in (f"{base}{exercise.id}.py", f"{base}{exercise.name}.py"):
        if source.exists(name):
            yield exercise.target + ".py", name
            return
