"""The server: what it says of itself and of each connection, in the scope.

Rule 1: a scope is made anew for each connection, and shares nothing with another but what is in the state.
Rule 2: it says only what is so: the versions and extensions are those that the rest of this package keeps to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from .messages import EXTENSIONS
from .request import Request, merge_headers
from .target import DEFAULT_PORTS, host_header


@dataclass(frozen=True, slots=True)
class Server:
    """Where the application is mounted, who seems to call it, and which extensions it is offered.

    Raises ValueError for a root path that is none, and for an extension that the package does not know.
    """

    root_path: str
    client: tuple[str, int] | None
    extensions: frozenset[str]

    def __post_init__(self) -> None:
        root = self.root_path
        if root and (not root.startswith("/") or root.endswith("/")):
            raise ValueError(f"{root!r} is no root_path: write it as '/api', or '' for none")
        if unknown := self.extensions - EXTENSIONS:
            raise ValueError(
                f"the client does not know the extension {', '.join(sorted(unknown))}: "
                f"choose of {', '.join(sorted(EXTENSIONS))}"
            )

    def scope(self, kind: str, request: Request, state: Mapping[str, Any] | None) -> dict[str, Any]:
        """The scope of a connection of the type `kind`, without what only one type has.

        The state is copied one level deep (ASGI Lifespan, Lifespan state); None is a server that has none.
        Raises ValueError for a URL that does not lie under the root path (ASGI HTTP & WebSocket, Connection scope).
        """
        url = request.url
        scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": url.scheme,
            "path": self._checked(unquote(url.path)),
            "raw_path": url.path.encode("ascii"),
            "query_string": url.query.encode("ascii"),
            "root_path": self.root_path,
            "headers": merge_headers([("host", host_header(url))], request.headers).raw,
            "client": self.client,
            "server": (url.hostname, url.port or DEFAULT_PORTS[url.scheme]),
            "extensions": {name: {} for name in sorted(self.extensions) if name.startswith(kind)},
        }
        return scope if state is None else scope | {"state": dict(state)}

    def _checked(self, path: str) -> str:
        if not f"{path}/".startswith(f"{self.root_path}/"):
            raise ValueError(
                f"{path!r} does not lie under root_path {self.root_path!r}: the application does not serve it"
            )
        return path
