"""Forms: fields and files as the bytes that a browser would send.

Rule 1: the same form gives the same bytes: the boundary is the first of its kind that does not occur in the content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, BinaryIO, TypeAlias, TypeVar
from urllib.parse import quote_plus, urlencode

V = TypeVar("V")
Fields: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Names and values, which `str` turns into text; a list of values is a field for each of them."""
FileContent: TypeAlias = bytes | BinaryIO
File: TypeAlias = FileContent | tuple[str, FileContent] | tuple[str, FileContent, str]
"""A file: its content, or with its name before it and its content type after it."""
Files: TypeAlias = Mapping[str, File] | Iterable[tuple[str, File]]


def pairs(fields: Fields) -> Iterator[tuple[str, str]]:
    """The fields as names and texts: True and False in lower case, None empty, a list one by one."""
    for name, value in _items(fields):
        values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
        for each in values:
            yield name, _text(each)


def urlencoded(fields: Fields) -> bytes:
    """The body of an `application/x-www-form-urlencoded` form (WHATWG URL, section 5.2)."""
    return urlencode(list(pairs(fields)), quote_via=quote_plus).encode("ascii")


def multipart(fields: Fields, files: Files) -> tuple[bytes, str]:
    """The body of a `multipart/form-data` form, and its content type (RFC 7578)."""
    parts = [_field_part(name, value) for name, value in pairs(fields)]
    parts += [_file_part(name, file) for name, file in _items(files)]
    boundary = next(
        candidate
        for candidate in (f"form-boundary-{number}".encode() for number in count())
        if not any(candidate in part for part in parts)
    )
    lines = [b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts]
    return b"".join(
        [*lines, b"--" + boundary + b"--\r\n"]
    ), f"multipart/form-data; boundary={boundary.decode()}"


def _items(source: Mapping[str, V] | Iterable[tuple[str, V]]) -> Iterable[tuple[str, V]]:
    if isinstance(source, str | bytes):
        raise TypeError(
            f"{source!r} is no mapping and no list of pairs: a body that is ready goes into `content`"
        )
    return source.items() if isinstance(source, Mapping) else source


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        raise TypeError(f"{value!r} is no text: decode it, or send it in `files`")
    return "" if value is None else str(value)


def _field_part(name: str, value: str) -> bytes:
    return f'content-disposition: form-data; name="{_escaped(name)}"\r\n\r\n{value}'.encode()


def _file_part(name: str, file: File) -> bytes:
    filename, content, content_type = _described(name, file)
    head = (
        f'content-disposition: form-data; name="{_escaped(name)}"; filename="{_escaped(filename)}"\r\n'
        f"content-type: {content_type}\r\n\r\n"
    )
    return head.encode() + content


def _described(name: str, file: File) -> tuple[str, bytes, str]:
    """The name, content and content type of a file; its field's name stands in for that of a bare content."""
    described = file if isinstance(file, tuple) else (name, file)
    filename, content, *rest = described
    data = content if isinstance(content, bytes) else content.read()
    if not isinstance(data, bytes):
        raise TypeError(f"the file {name!r} gives text: open it in binary mode, or encode what it holds")
    return filename, data, rest[0] if rest else "application/octet-stream"


def _escaped(text: str) -> str:
    """A name between the quotes of a header (WHATWG HTML, section 4.10.21.8: multipart form data)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
