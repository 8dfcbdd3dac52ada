"""Static files: the files of a directory, each under its own path.

Rule 1: no path leads out of the directory, whatever is in it: a path is a list of plain names or it is not found.
Rule 2: what cannot be served is not there: 404 for directories, devices, files that must not be read.
Rule 3: inside an application errors are raised, for its handlers; alone, they are answered here.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from urllib.parse import quote

from .asgi_types import Receive, Scope, Send, require_type
from .concurrency import run_in_thread
from .exceptions import HTTPException
from .file_responses import FileResponse
from .responses import Response, redirect_response, text_response
from .urls import path_under_root


class StaticFiles:
    """An ASGI application that serves the files of a directory, to be mounted or to be run by itself.

    With `html`, a path that ends in a slash stands for the `index.html` there, one that lacks that slash is
    redirected to it, and what is not found is answered with the directory's `404.html` if it has one.
    Symbolic links are followed inside the directory, and out of it only with `follow_symlinks`.
    Raises ValueError for a `directory` that is none.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, html: bool = False, follow_symlinks: bool = False
    ) -> None:
        self._directory = Path(directory).absolute()
        if not self._directory.is_dir():
            raise ValueError(f"{self._directory} is no directory: make it first, or give another one")
        self._html = html
        self._follow_symlinks = follow_symlinks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, by the part of its path below root_path (ASGI HTTP, `root_path`).

        GET and HEAD, with preconditions and ranges, as `FileResponse` does; 405 to other methods, 404 to paths of
        no file. In an application these two are raised, as HTTPException. Raises RuntimeError for connections of
        another kind.
        """
        require_type(scope, "http")
        try:
            response = await self._response(scope)
        except HTTPException as error:
            if "fastasgi.app" in scope:
                raise
            response = text_response(error.detail, error.status_code, error.headers)
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        return await run_in_thread(self._found, scope, path_under_root(scope))

    def _found(self, scope: Scope, path: str) -> Response:
        """The response to a request for `path`. It looks at the disk, which is for a thread."""
        file = self._file(path)
        if file is not None:
            return FileResponse(file)
        if not self._html:
            raise HTTPException(404)
        index = self._file(f"{path}index.html" if path.endswith("/") else f"{path}/index.html")
        if index is not None:
            return FileResponse(index) if path.endswith("/") else redirect_response(_with_slash(scope))
        page = self._file("/404.html")
        if page is None:
            raise HTTPException(404)
        return FileResponse(page, status_code=404)

    def _file(self, path: str) -> Path | None:
        """The file that `path` names, if there is one that may be served."""
        names = path.removeprefix("/").split("/")
        if any(_NO_NAME.fullmatch(name) for name in names):
            return None
        file = self._directory.joinpath(*names)
        try:
            is_file = stat.S_ISREG(file.stat().st_mode) and os.access(file, os.R_OK)
            return file if is_file and (self._follow_symlinks or self._holds(file)) else None
        except (OSError, ValueError):
            return None  # it does not exist, or cannot: too long, not encodable, below another file, a loop of links

    def _holds(self, file: Path) -> bool:
        """Whether `file` is in the directory, also when all symbolic links are followed."""
        return file.resolve().is_relative_to(self._directory.resolve())


def _with_slash(scope: Scope) -> str:
    """The path and query of the request with a slash after the path.

    There is one slash before it: a browser would take what follows two for the name of a host (RFC 3986, 4.2).
    """
    path, query = "/" + f"{scope['path']}/".lstrip("/"), scope.get("query_string") or b""
    return quote(path, safe=_PATH_CHARACTERS) + (f"?{quote(query, safe=_QUERY_CHARACTERS)}" if query else "")


_NO_NAME = re.compile(r"\.{0,2}|.*[\\\0].*|[A-Za-z]:.*", re.DOTALL)
"""What is no plain name of a file, on some system at least: `..`, a backslash, a NUL, a drive."""
_PATH_CHARACTERS = "/:@!$&'()*+,;="
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?%"
"""Of a query, what may stand in it stays, and so does what is percent-encoded (RFC 3986, section 3.4)."""
