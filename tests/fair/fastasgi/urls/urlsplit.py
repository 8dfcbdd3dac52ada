"""On the standard library's urlsplit; the parts in a dict, changed and written by one function."""

import ipaddress
import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

DEFAULTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
NAMES = ["scheme", "netloc", "path", "query", "fragment", "username", "password", "hostname", "port"]
DELIMS = "!$&'()*+,;="


def check_host(host):
    """A hostname as it stands in a URL; ValueError if it is none."""
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in inside or inside != host:
        return f"[{ipaddress.IPv6Address(inside)}]" if "%" in inside else f"[{check_ip(inside)}]"
    if not host or not all(char.isascii() and (char.isalnum() or char in "-._~") for char in host):
        raise ValueError(f"not a host: {host!r}")
    return host


def check_ip(text):
    ipaddress.IPv6Address(text)
    return text


def check_netloc(netloc):
    """The last part of a netloc as (host, port), checked."""
    hostport = netloc.rpartition("@")[2]
    host, port = hostport, ""
    if "]" in hostport:
        host, _, rest = hostport.partition("]")
        host += "]"
        if rest[:1] not in ("", ":"):
            raise ValueError(hostport)
        port = rest[1:]
    elif ":" in hostport:
        host, port = hostport.split(":", 1)
    if port and not (port.isascii() and port.isdigit() and int(port[:9]) < 65536):
        raise ValueError(f"not a port: {port}")
    if host:
        if "[" in host and not host.startswith("["):
            raise ValueError(host)
        if host.startswith("[") is False and ":" in host:
            raise ValueError(host)
        check_host(host)
    return host, int(port) if port else None


def enc(text, also=""):
    done = quote(text, safe="%" + DELIMS + also)
    return re.sub("%(?![0-9a-fA-F][0-9a-fA-F])", "%25", done)


class URL:
    def __init__(self, url):
        self.text = url
        before = re.split("[?#]", url)[0]
        if any(ord(char) <= 32 or char in "\\\x7f" for char in before):
            raise ValueError(
                f"{before!r}: neither spaces nor backslashes nor control characters can stand there"
            )
        split = urlsplit(url)
        check_netloc(split.netloc)
        self.parts = split

    @classmethod
    def from_scope(cls, scope):
        scheme = scope.get("scheme") or ("http" if scope["type"] == "http" else "ws")
        host = cls._host(scope, scheme)
        path = quote(scope["path"], safe="/:@" + DELIMS)
        if path and path[0] != "/":
            path = "/" + path
        query = (scope.get("query_string") or b"").decode("latin-1").replace("#", "%23")
        return cls(written(scheme if host else "", host, path, query, ""))

    @staticmethod
    def _host(scope, scheme):
        for name, value in scope.get("headers", []):
            if name.lower() == b"host":
                header = value.decode("latin-1")
                try:
                    if "@" in header:
                        raise ValueError(header)
                    host, port = check_netloc(header)
                except ValueError:
                    break
                if host:
                    return host if port in (None, DEFAULTS.get(scheme)) else f"{host}:{port}"
                break
        if scope.get("server") and scope["server"][1] is not None:
            host, port = scope["server"]
            if ":" in host:
                host = f"[{host}]"
            return host if port == DEFAULTS.get(scheme) else f"{host}:{port}"
        return ""

    scheme = property(lambda self: self.parts.scheme)
    netloc = property(lambda self: self.parts.netloc)
    path = property(lambda self: self.parts.path)
    query = property(lambda self: self.parts.query)
    fragment = property(lambda self: self.parts.fragment)
    username = property(lambda self: self.parts.username)
    password = property(lambda self: self.parts.password)
    hostname = property(lambda self: self.parts.hostname)
    port = property(lambda self: self.parts.port)
    is_secure = property(lambda self: self.parts.scheme in {"https", "wss"})

    def replace(self, /, **components):
        for name in components:
            if name not in NAMES:
                raise TypeError(f"{name} is not one of {NAMES}")
        new = {name: value if value is not None else "" for name, value in components.items()}
        scheme = new.get("scheme", self.parts.scheme)
        if scheme and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
            raise ValueError(f"not a scheme: {scheme!r}")
        netloc = new.get("netloc", self.netloc)
        if set("/?#") & set(netloc):
            raise ValueError(f"not a netloc: {netloc!r}")
        made = URL("//" + netloc) if netloc else URL("")
        if new.keys() & {"username", "password", "hostname", "port"}:
            netloc = self._netloc(made, new)
        path = (
            enc(new["path"], "/:@")
            if "path" in new
            else self.path.removeprefix("/.")
            if self._guarded()
            else self.path
        )
        query = enc(new["query"], "/:@?") if "query" in new else self.query
        fragment = enc(new["fragment"], "/:@?") if "fragment" in new else self.fragment
        return URL(written(scheme, netloc, path, query, fragment))

    def _guarded(self):
        return not self.netloc and self.path.startswith("/.//")

    @staticmethod
    def _netloc(made, new):
        name = enc(new["username"]) if "username" in new else made.username or ""
        password = enc(new["password"]) if "password" in new else made.password or ""
        old = made.netloc.rpartition("@")[2]
        host = re.sub(":[0-9]*$", "", old) if not old.endswith("]") else old
        if new.get("hostname"):
            host = check_host(new["hostname"])
        elif "hostname" in new:
            host = ""
        port = new.get("port", made.port)
        if port in ("", None):
            port = ""
        elif 0 <= port <= 65535:
            port = f":{port}"
        else:
            raise ValueError(f"not a port: {port}")
        user = name + (f":{password}" if password else "")
        return (user + "@" if user else "") + host + port

    def _with(self, fields):
        query = urlencode(fields)
        path = self.path.removeprefix("/.") if self._guarded() else self.path
        return URL(written(self.scheme, self.netloc, path, query, self.fragment))

    def _fields(self):
        return parse_qsl(self.query, keep_blank_values=True)

    def include_query_params(self, /, **params):
        return self._with(
            [field for field in self._fields() if field[0] not in params] + list(params.items())
        )

    def replace_query_params(self, /, **params):
        return self._with(list(params.items()))

    def remove_query_params(self, names):
        gone = [names] if isinstance(names, str) else list(names)
        return self._with([field for field in self._fields() if field[0] not in gone])

    def __str__(self):
        return self.text

    def __eq__(self, other):
        if isinstance(other, (URL, str)):
            return str(self) == str(other)
        return False

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        if not self.password:
            return f"<URL {self.text}>"
        user, _, host = self.netloc.rpartition("@")
        hidden = user.partition(":")[0] + ":...@" + host
        return f"<URL {self.text.replace(self.netloc, hidden, 1)}>"


def written(scheme, netloc, path, query, fragment):
    if netloc and path and not path.startswith("/"):
        path = "/" + path
    elif not netloc and path.startswith("//"):
        path = "/." + path
    text = f"{scheme}:" if scheme else ""
    text += f"//{netloc}" if netloc else ""
    return text + path + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")


def path_under_root(scope):
    path = scope["path"]
    root = scope.get("root_path") or ""
    while root.endswith("/"):
        root = root[:-1]
    if path == root or path.startswith(root + "/"):
        return path[len(root) :]
    return path
