"""A script: one ASGI conversation as data, to be played to the submission.

Rule 1: a script is values only; what values cannot carry is a shape (`Once`, `Opaque`) that the worker builds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

End = Literal["block", "disconnect", "raise"]


@dataclass(frozen=True, slots=True)
class Script:
    """One scripted conversation.

    `events` are received in order; `after[i]` tells how many messages must have been sent before event i may come.
    `end` is what `receive()` does after the last event: wait for ever, give a disconnect each time, or raise
    RuntimeError. `fail_sends[k]` names the OSError that the k-th send (from 0) raises; from `fail_from` on, all raise
    ConnectionResetError. With `cancel_when_blocked` the call is cancelled once it can only wait.
    """

    scope: Mapping[str, Any] = field(default_factory=lambda: {"type": "http"})
    events: Sequence[Any] = ()
    after: Mapping[int, int] = field(default_factory=dict)
    end: End = "block"
    fail_sends: Mapping[int, str] = field(default_factory=dict)
    fail_from: int | None = None
    cancel_when_blocked: bool = False

    def as_values(self) -> dict[str, Any]:
        """The script as it crosses."""
        return {
            "scope": dict(self.scope),
            "events": list(self.events),
            "after": dict(self.after),
            "end": self.end,
            "fail_sends": dict(self.fail_sends),
            "fail_from": self.fail_from,
            "cancel_when_blocked": self.cancel_when_blocked,
        }
