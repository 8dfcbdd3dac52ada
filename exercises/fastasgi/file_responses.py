"""File responses: a file goes to the client, whole or in part, or not at all because it has that already.

Rule 1: what is said of the file and what is sent of it come from one and the same open file.
Rule 2: a file is only touched in threads, read a little at a time, and closed on every way out.
Rule 3: the preconditions come first, in the order of RFC 9110, section 13.2.2, and then the range; a range is for
        GET alone, either is for a response that would be a success, and what is malformed counts for nothing.
Rule 4: no more is sent than the file has, however many ranges are asked for: overlapping ones are sent once.
Rule 5: a response that is short of bytes must not look complete: a file that shrinks meanwhile is an error.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping

from .asgi_types import Receive, Scope, Send
from .responses import Response


class FileResponse(Response):
    """A response whose body is a file.

    `path` is a regular file that can be read when the response is sent. `media_type` is the Content-Type; by
    default it follows from the suffix of `filename`, or else of `path`, and text is said to be UTF-8.
    With a `filename` there is a Content-Disposition (RFC 6266): a browser saves an "attachment" under that name,
    and shows what is "inline". `headers` that describe the file win over what is found out about it, but for
    Content-Length. The other parameters are those of `Response`.
    Raises ValueError for any other `disposition`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        media_type: str | None = None,
        filename: str | None = None,
        disposition: str = "attachment",
        background: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        raise NotImplementedError("file_responses: FileResponse.__init__")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request with the file (RFC 9110, sections 13 and 14).

        200 with all of it, 206 with the ranges that were asked for, 304 where the client has it, 412 where a
        precondition fails, 416 where no range is in the file. HEAD gets the headers that GET without a range
        gets. Where the server offers to send files, it does (ASGI, Extensions: Path Send, Zero Copy Send).

        Before anything is sent, it raises OSError (such as FileNotFoundError) for what is no file that can be
        read: nobody but the caller knows whether that is a 404. Raises RuntimeError for a connection that is not
        HTTP, and for a file that shrinks while it is sent; and what `send` raises: OSError, when the client is
        gone. A server older than 2.4 tells that by `http.disconnect` alone: what is left is then not sent, quietly.
        `background` is called where all was sent.
        """
        raise NotImplementedError("file_responses: FileResponse.__call__")
