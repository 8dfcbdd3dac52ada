"""Three flags instead of named states, async generators written out, and plain dicts all the way."""

import json

from fastasgi.requests import HTTPConnection


class WebSocketDisconnect(Exception):
    def __init__(self, code=1000, reason=""):
        super().__init__(f"the client is gone ({code}) {reason}")
        self.code = code
        self.reason = reason


class Misuse(RuntimeError):
    pass


class WebSocket(HTTPConnection):
    def __init__(self, scope, receive, send):
        if scope["type"] != "websocket":
            raise Misuse("a WebSocket needs a scope of type websocket")
        super().__init__(scope)
        self.__receive, self.__send = receive, send
        self.connected = self.accepted = self.closed = self.gone = False
        self.subprotocol = None

    @property
    def subprotocols(self):
        return [*(self.scope.get("subprotocols") or [])]

    def knows(self, major, minor):
        spoken = (self.scope.get("asgi") or {}).get("spec_version") or "2.0"
        return [int(number) for number in spoken.split(".")] >= [major, minor]

    async def take(self):
        event = await self.__receive()
        if event["type"] == "websocket.disconnect":
            self.gone = True
            code = event.get("code")
            raise WebSocketDisconnect(1005 if code is None else code, event.get("reason") or "")
        return event

    async def give(self, message):
        try:
            await self.__send(message)
        except OSError as error:
            self.gone = True
            raise WebSocketDisconnect(1006) from error

    async def handshake(self):
        if self.gone or self.closed or self.accepted:
            raise Misuse("this connection was answered already")
        if not self.connected:
            event = await self.take()
            if event["type"] != "websocket.connect":
                raise Misuse(f"{event['type']} came before websocket.connect")
            self.connected = True

    async def accept(self, subprotocol=None, headers=None):
        if isinstance(subprotocol, str):
            if subprotocol not in self.subprotocols:
                raise ValueError(f"nobody offers {subprotocol}")
        elif subprotocol is not None:
            known = set(subprotocol)
            subprotocol = next(filter(known.__contains__, self.subprotocols), None)
        pairs = []
        for name, value in (headers or {}).items():
            if name.lower() == "sec-websocket-protocol" or any(end in name + value for end in "\r\n\0"):
                raise ValueError(f"{name!r} may not be a header here")
            pairs.append([name.lower().encode("latin-1"), value.encode("latin-1")])
        await self.handshake()
        self.accepted = True
        self.subprotocol = subprotocol
        message = {"type": "websocket.accept"}
        if subprotocol is not None:
            message["subprotocol"] = subprotocol
        if pairs and self.knows(2, 1):
            message["headers"] = pairs
        await self.give(message)

    async def deny(self, response):
        await self.handshake()
        if "websocket.http.response" not in (self.scope.get("extensions") or {}):
            return await self.close()

        async def receive():
            while True:
                try:
                    await self.take()
                except WebSocketDisconnect:
                    return {"type": "http.disconnect"}

        async def send(message):
            self.closed = True
            await self.give(dict(message, type="websocket." + message["type"]))

        scope = dict(self.scope, type="http", method="GET", extensions={})
        await response(scope, receive, send)

    async def close(self, code=1000, reason=""):
        if not (1000 <= code < 1015 or 3000 <= code < 5000) or code in (1004, 1005, 1006):
            raise ValueError(f"the code {code} cannot be sent")
        if len(reason.encode("utf-8")) > 123:
            raise ValueError("the reason is too long")
        if self.closed or self.gone:
            return
        try:
            if not self.accepted:
                await self.handshake()
            self.closed = True
            message = {"type": "websocket.close", "code": int(code)}
            await self.give(message | {"reason": reason} if self.knows(2, 3) else message)
        except WebSocketDisconnect:
            pass

    async def receive(self):
        if not self.accepted or self.closed or self.gone:
            raise Misuse("there is nothing to receive: accept first, and stop when it has ended")
        event = await self.take()
        if event["type"] != "websocket.receive":
            raise Misuse(f"{event['type']} is no message")
        found = [event[key] for key in ("text", "bytes") if event.get(key) is not None]
        if len(found) != 1:
            raise Misuse("a message is text or bytes, and one of the two")
        return found[0]

    async def receive_text(self):
        message = await self.receive()
        if isinstance(message, bytes):
            raise Misuse("I wanted text, and bytes came")
        return message

    async def receive_bytes(self):
        message = await self.receive()
        if isinstance(message, str):
            raise Misuse("I wanted bytes, and text came")
        return message

    async def receive_json(self):
        message = await self.receive()
        if isinstance(message, bytes):
            message = str(message, "utf-8")

        def refuse(name):
            raise ValueError(name)

        return json.loads(message, parse_constant=refuse)

    async def iter_text(self):
        async for message in self.each(self.receive_text):
            yield message

    async def iter_bytes(self):
        async for message in self.each(self.receive_bytes):
            yield message

    async def iter_json(self):
        async for message in self.each(self.receive_json):
            yield message

    async def each(self, method):
        while not (self.closed or self.gone):
            try:
                message = await method()
            except WebSocketDisconnect:
                break
            yield message

    def check_open(self):
        if self.gone:
            raise WebSocketDisconnect(1006)
        if self.closed or not self.accepted:
            raise Misuse("the connection is not open")

    async def send_text(self, text):
        if not isinstance(text, str):
            raise TypeError("send_text sends a str")
        self.check_open()
        await self.give({"type": "websocket.send", "text": text, "bytes": None})

    async def send_bytes(self, data):
        if not isinstance(data, bytes):
            raise TypeError("send_bytes sends bytes")
        self.check_open()
        await self.give({"type": "websocket.send", "bytes": data, "text": None})

    async def send_json(self, value, mode="text"):
        text = json.dumps(value, allow_nan=False)
        if mode == "bytes":
            await self.send_bytes(text.encode("ascii"))
        else:
            await self.send_text(text)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        if kind is None:
            await self.close()
            return False
        if issubclass(kind, WebSocketDisconnect):
            await self.close()
            return True
        if issubclass(kind, Exception):
            await self.close(1011)
        return False
