"""Monitoring: what a running application tells about itself. A module each; this one hands out their names.

Rule 1: whoever watches changes nothing: messages go through as they are but for the header of a request id,
        exceptions come out as they were, and what is not understood passes by.
Rule 2: a request ends with the last byte of its response, not with the background work after that; one that never
        gets so far ends with its call.
Rule 3: what a client has sent stands in a log line only percent-encoded, and in a metric not at all.
Rule 4: what goes wrong inside is told to the log, never to the client.
Rule 5: every clock is given from outside.
"""

from __future__ import annotations

from .access_log import AccessLog
from .health import Health
from .metrics import Metrics
from .request_ids import RequestIDFilter, RequestIDs, request_id
from .slow_requests import SlowRequests

__all__ = [
    "AccessLog",
    "Health",
    "Metrics",
    "RequestIDFilter",
    "RequestIDs",
    "SlowRequests",
    "request_id",
]
