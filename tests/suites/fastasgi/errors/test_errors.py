"""What handlers and boundaries promise, in scripted conversations with applications that go wrong.

Rule 1: an exception, a key and a handler are names, which the probe looks up; an application is a plan.
Rule 2: `told` gives what the server sees: the messages by type, and how the call ended.
Rule 3: which handler is found is decided by `nearest`, an oracle of our own.
Rule 4: a test that demands that nothing is answered first demands an answer to the like of it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Test = TypeVar("Test", bound=Callable[..., None])
Handlers = list[list[Any]]

START: asgi.Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: asgi.Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: asgi.Message = {"type": "http.response.body", "body": b""}
HINT: asgi.Message = {"type": "http.response.early_hint", "links": []}
DEBUG: asgi.Message = {"type": "http.response.debug", "info": {}}
ANSWER = ["→ http.response.start", "→ http.response.body"]
EVERYTHING: Handlers = [
    [key, "says"] for key in ("Exception", 500, 404, "LookupError", "OSError", "ClientDisconnect")
]
"""Handlers for whatever may come."""
BUGS = ["ValueError", "Missing", "Exception"]
OS_ERRORS = ["OSError", "ConnectionResetError", "BrokenPipeError", "TimeoutError"]

# --- conversations ------------------------------------------------------------------------------------------


def go(
    submission: Submission, raises: str = "", *, script: Script | None = None, **config: Any
) -> Transcript:
    """One request to an application that raises this, inside of both boundaries unless `boundary` names one."""
    return submission.converse(script or script_of(), raises=raises, **config)


def script_of(*events: asgi.Message, path: str = "/", headers: Sequence[Any] = (), **options: Any) -> Script:
    """A request with these events. After them, every receive gives a disconnect."""
    scope = asgi.http_scope(method="POST", path=path, headers=list(headers))
    return Script(scope=scope, events=list(events), **{"end": "disconnect", **options})


def told(transcript: Transcript) -> list[str]:
    """What the server sees: the types of messages, then how the call ended."""
    end = f"raised {transcript.raised.name}" if transcript.raised else "returned"
    return [step for step in transcript.sequence[:-1] if "probe." not in step and "←" not in step] + [end]


def called(transcript: Transcript) -> list[str]:
    """For which keys handlers were called, in order."""
    return [key for message in transcript.sent if _is(message, "probe.called") for key in message["handlers"]]


def to_client(transcript: Transcript) -> list[Any]:
    """The messages to the client."""
    return [
        each for each in transcript.sent if not _is(each, "probe.called") and not _is(each, "probe.closed")
    ]


def _is(message: Any, kind: str) -> bool:
    return isinstance(message, dict) and message.get("type") == kind


def answer(transcript: Transcript) -> tuple[int, bytes]:
    """Status and body of the one response that was sent."""
    messages = to_client(transcript)
    statuses = [message["status"] for message in messages if _is(message, "http.response.start")]
    assert len(statuses) == 1, f"one response must be sent, but there were {len(statuses)}"
    return statuses[0], b"".join(message.get("body", b"") for message in messages if "body" in message)


def header(transcript: Transcript, name: bytes) -> bytes | None:
    """A header of the response."""
    starts = [message for message in to_client(transcript) if _is(message, "http.response.start")]
    return next((value for start in starts for key, value in start["headers"] if key.lower() == name), None)


def handled(transcript: Transcript, key: str) -> None:
    """The handler for this key has answered, and the exception has ended there."""
    _ = transcript.returned
    assert answer(transcript) == (299, f"handled as {key}".encode())


def only_passed(transcript: Transcript, error: str, sent: list[asgi.Message]) -> None:
    """No handler was called, nothing more was sent, and the exception was raised."""
    assert called(transcript) == [], "no handler may be called here"
    assert to_client(transcript) == sent
    with raised(error):
        _ = transcript.returned


def pinned(**values: Any) -> Callable[[Test], Test]:
    """Pins an example for each value in the first list, the others being as they are."""
    name, *others = values
    rest = {other: values[other] for other in others}

    def decorate(test: Test) -> Test:
        for value in reversed(values[name]):
            test = example(**{name: value}, **rest)(test)
        return test

    return decorate


# --- ERR-01: keys -------------------------------------------------------------------------------------------

RIGHT_KEYS = [200, 404, 500, 999, "HTTPStatus.NOT_FOUND", "Exception", "HTTPException", "Mine", "OSError"]
WRONG_KEYS = [
    *(199, 1000, 0, -404, True, False, 404.0, None, "404", b"404"),
    *("BaseException", "KeyboardInterrupt", "CancelledError", "int", "an instance"),
]
PAIRS = list(zip(RIGHT_KEYS * 2, WRONG_KEYS, strict=False))
"""A key that is right, and one that is wrong."""


@requirement("ERR-01")
@given(keys=st.sampled_from(PAIRS), made_with=st.booleans())
@pinned(keys=PAIRS, made_with=False)
@pinned(keys=PAIRS, made_with=True)
def test_a_key_is_a_status_or_a_class(submission: Submission, keys: tuple[Any, Any], made_with: bool) -> None:
    """A status from 200 to 999 and a class of exceptions is a key; anything else is a ValueError."""
    right, wrong = keys
    assert submission.call("add", key=right, made_with=made_with) == "added"
    with raised("ValueError"):
        submission.call("add", key=wrong, made_with=made_with)


@requirement("ERR-01")
@given(boundary=st.sampled_from(["inner", "outermost"]), before=st.booleans())
@example(boundary="inner", before=False)
@example(boundary="outermost", before=True)
def test_what_is_added_later_counts(submission: Submission, boundary: str, before: bool) -> None:
    """A handler may be added when the boundary stands, and takes the place of an earlier one for its key."""
    first = [["LookupError", "text"], [404, "text"]] if before else []
    later = [["LookupError", "says"], [404, "says"]]
    for error, key in (("Missing", "LookupError"), ("HTTPException(404)", "404")):
        transcript = go(submission, error, boundary=boundary, handlers=first, later=later)
        handled(transcript, key)


# --- ERR-02, ERR-03: find -----------------------------------------------------------------------------------

MRO = {
    "Exception": ["Exception"],
    "ValueError": ["ValueError", "Exception"],
    "LookupError": ["LookupError", "Exception"],
    "Missing": ["Missing", "LookupError", "Exception"],
    "Gone": ["Gone", "Missing", "LookupError", "Exception"],
    "HTTPException(404)": [404, "HTTPException", "Exception"],
    "HTTPException(500)": [500, "HTTPException", "Exception"],
    "Teapot": [418, "Teapot", "HTTPException", "Exception"],
}
"""Exceptions, and the keys under which a handler for each may stand, the nearest first."""
KEYS = [404, 418, 500, "Exception", "ValueError", "LookupError", "Missing", "Gone", "HTTPException", "Teapot"]
KEPT = {500, "Exception"}
"""The keys of handlers that are kept for the outermost boundary."""


def nearest(error: str, keys: list[Any], *, outermost: bool) -> Any:
    """The key whose handler has to be found; "another" for the answer that every HTTPException has."""
    order = MRO[error]
    if not outermost and order[0] == 500 and 500 in keys:
        return None
    known = [key for key in order if key in keys and (outermost or key not in KEPT)]
    own = [*(key for key in order if key != "Exception")]
    if "HTTPException" in order and not any(key in keys for key in own):
        return "another"
    return known[0] if known else None


def sets_of(keys: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    """Any of these keys, in any order."""
    return st.lists(st.sampled_from(keys), unique=True, max_size=4)


@requirement("ERR-02")
@given(
    error=st.sampled_from(sorted(MRO)),
    keys=sets_of([key for key in KEYS if key not in KEPT]),
    outermost=st.none() | st.booleans(),
)
@example(error="HTTPException(404)", keys=["HTTPException", 404], outermost=None)
@example(error="HTTPException(404)", keys=["HTTPException", 418], outermost=True)
@example(error="HTTPException(404)", keys=[418], outermost=False)
@example(error="HTTPException(404)", keys=[], outermost=None)
@example(error="HTTPException(404)", keys=[], outermost=True)
@example(error="Teapot", keys=["HTTPException", "Teapot", 418], outermost=False)
@example(error="Teapot", keys=["HTTPException", "Teapot"], outermost=False)
@example(error="Teapot", keys=["HTTPException"], outermost=False)
@example(error="Gone", keys=["LookupError", "Missing"], outermost=False)
@example(error="Gone", keys=["Missing", "LookupError"], outermost=False)
@example(error="Gone", keys=["LookupError", "Missing", "Gone"], outermost=True)
@example(error="Gone", keys=["LookupError"], outermost=None)
@example(error="Gone", keys=["ValueError", "HTTPException"], outermost=True)
@example(error="LookupError", keys=["Missing"], outermost=False)
def test_the_status_counts_first_then_the_nearest_class(
    submission: Submission, error: str, keys: list[Any], outermost: bool | None
) -> None:
    """`find` looks for the status of an HTTPException, then along the MRO, for the nearest class that has a handler."""
    found = submission.call("find", error=error, keys=keys, outermost=outermost)
    assert found == nearest(error, keys, outermost=outermost is True)


@requirement("ERR-03")
@given(error=st.sampled_from(sorted(MRO)), keys=sets_of(KEYS))
@example(error="ValueError", keys=["Exception"])
@example(error="Exception", keys=["Exception"])
@example(error="Gone", keys=["Exception", "LookupError"])
@example(error="Gone", keys=[500])
@example(error="HTTPException(404)", keys=["Exception"])
@example(error="HTTPException(404)", keys=["Exception", 500, "HTTPException"])
@example(error="HTTPException(500)", keys=[500])
@example(error="HTTPException(500)", keys=[500, "HTTPException"])
@example(error="HTTPException(500)", keys=["HTTPException"])
@example(error="HTTPException(500)", keys=[])
def test_two_handlers_are_kept_for_the_outermost_boundary(
    submission: Submission, error: str, keys: list[Any]
) -> None:
    """The handlers for 500 and for Exception are found with `outermost=True`, and not without."""
    for outermost in (True, False, None):
        found = submission.call("find", error=error, keys=keys, outermost=outermost)
        where = "without outermost" if outermost is None else f"with outermost={outermost}"
        assert (where, found) == (where, nearest(error, keys, outermost=outermost is True))


# --- ERR-04, ERR-05: what has a handler ---------------------------------------------------------------------


@requirement("ERR-04")
@given(
    error=st.sampled_from(["Missing", "Gone", "LookupError"]),
    boundary=st.sampled_from(["inner", "outermost"]),
)
@example(error="Gone", boundary="inner")
@example(error="Missing", boundary="outermost")
def test_a_handler_gets_the_request_and_the_exception(
    submission: Submission, error: str, boundary: str
) -> None:
    """A handler is called with the request and the exception; what it returns is sent, and the exception ends."""
    transcript = go(
        submission,
        error,
        script=script_of(path="/where"),
        boundary=boundary,
        handlers=[["LookupError", "tells"]],
    )
    assert told(transcript) == [*ANSWER, "returned"]
    status, body = answer(transcript)
    assert (status, json.loads(body)) == (
        200,
        {"method": "POST", "path": "/where", "error": error, "says": "secret"},
    )


@requirement("ERR-04")
@given(boundary=st.sampled_from(["inner", "outermost"]))
@example(boundary="inner")
def test_a_plain_handler_runs_in_a_thread(submission: Submission, boundary: str) -> None:
    """A handler may be a plain function: it runs in a thread, and is answered all the same."""
    transcript = go(
        submission,
        "Gone",
        script=script_of(path="/where"),
        boundary=boundary,
        handlers=[["LookupError", "plain"]],
    )
    assert told(transcript) == [*ANSWER, "returned"]
    assert json.loads(answer(transcript)[1]) == ["/where", "Gone", "in a thread"]


@requirement("ERR-04")
@given(kind=st.sampled_from(["text", "bytes", "nothing", "says", "streams"]))
@pinned(kind=["text", "bytes", "nothing", "says", "streams"])
def test_what_a_handler_returns_becomes_a_response(submission: Submission, kind: str) -> None:
    """What a handler returns goes through `to_response`; middleware sees the answer of the inner boundary."""
    # Under an old server a stream asks `receive` whether the client is there; here it goes after two messages.
    scope = asgi.http_scope(asgi={"version": "3.0"})
    script = Script(scope=scope, events=[{"type": "http.disconnect"}], after={0: 2})
    transcript = go(submission, "Missing", script=script, handlers=[["LookupError", kind]])
    bodies = {
        "text": b"text",
        "bytes": b"bytes",
        "nothing": b"",
        "says": b"handled as LookupError",
        "streams": b"one",
    }
    assert told(transcript)[:2] == ANSWER
    assert told(transcript)[-1] == "returned"
    assert answer(transcript) == (299 if kind == "says" else 200, bodies[kind])
    assert header(transcript, b"x-seen") == b"by middleware", (
        "the inner boundary has to answer, so that middleware sees it"
    )


@requirement("ERR-04")
@given(error=st.sampled_from(["Missing", "HTTPException(404)"]))
@example(error="Missing")
@example(error="HTTPException(404)")
def test_what_middleware_raises_meets_the_same_handlers(submission: Submission, error: str) -> None:
    """The outermost boundary gives what middleware raises to the same handlers."""
    transcript = go(submission, middleware=error, handlers=[["LookupError", "says"], [404, "says"]])
    handled(transcript, "404" if error == "HTTPException(404)" else "LookupError")
    assert header(transcript, b"x-seen") is None


@requirement("ERR-05")
@given(
    boundary=st.sampled_from(["inner", "outermost", "both"]), handlers=st.sampled_from([[], EVERYTHING[:2]])
)
@pinned(boundary=["inner", "outermost", "both"], handlers=[])
@example(boundary="outermost", handlers=EVERYTHING[:1])
def test_an_http_exception_answers_for_itself(
    submission: Submission, boundary: str, handlers: Handlers
) -> None:
    """An HTTPException without a handler is answered by its status, detail and headers, and ends there."""
    expected = {
        "HTTPException(404)": (404, b"Not Found"),
        "HTTPException(401)": (401, b"who are you?"),
        "HTTPException(304)": (304, b""),
        "Teapot": (418, b"short and stout"),
    }
    for error, response in expected.items():
        transcript = go(submission, error, boundary=boundary, handlers=handlers)
        assert told(transcript) == [*ANSWER, "returned"]
        assert answer(transcript) == response
        if error == "HTTPException(401)":
            assert header(transcript, b"www-authenticate") == b"Basic"
            assert header(transcript, b"content-type") == b"text/plain; charset=utf-8"


# --- ERR-06, ERR-07, ERR-08: what has none ------------------------------------------------------------------


@requirement("ERR-06")
@given(
    error=st.sampled_from(BUGS),
    boundary=st.sampled_from(["outermost", "both"]),
    handlers=st.sampled_from([[], [["Teapot", "says"], [404, "says"]]]),
)
@example(error="ValueError", boundary="outermost", handlers=[])
@example(error="Missing", boundary="both", handlers=[["Teapot", "says"], [404, "says"]])
def test_a_bug_is_a_bare_500_and_goes_on(
    submission: Submission, error: str, boundary: str, handlers: Handlers
) -> None:
    """What has no handler is answered outermost by a bare 500, without a word of it, and raised again as it is."""
    transcript = go(submission, error, boundary=boundary, handlers=handlers)
    assert told(transcript) == [*ANSWER, f"raised {error}"]
    assert transcript.raised is not None
    assert transcript.raised.message == "secret", "the very exception must be raised again, not another one"
    assert answer(transcript) == (500, b"Internal Server Error")
    assert header(transcript, b"content-type") == b"text/plain; charset=utf-8"
    assert header(transcript, b"x-seen") is None


@requirement("ERR-06")
@given(error=st.sampled_from(BUGS))
@pinned(error=BUGS)
def test_the_inner_boundary_lets_a_bug_pass(submission: Submission, error: str) -> None:
    """At the inner boundary an exception without a handler is nobody's: nothing is sent, and it goes on."""
    handlers = [["Teapot", "says"], ["Exception", "says"], [500, "says"], ["Mine", "says"]]
    handled(go(submission, "Mine", boundary="inner", handlers=handlers), "Mine")
    only_passed(go(submission, error, boundary="inner", handlers=handlers), error, [])


@requirement("ERR-06")
@given(boundary=st.sampled_from(["inner", "outermost"]))
@pinned(boundary=["inner", "outermost"])
def test_a_cancelled_request_stays_cancelled(submission: Submission, boundary: str) -> None:
    """CancelledError is no Exception: it goes through, and nothing is sent for it."""
    handled(go(submission, "LookupError", boundary=boundary, handlers=EVERYTHING), "LookupError")
    only_passed(
        go(submission, "CancelledError", boundary=boundary, handlers=EVERYTHING), "CancelledError", []
    )


@requirement("ERR-07")
@given(error=st.sampled_from(BUGS), debug=st.booleans())
@example(error="ValueError", debug=False)
@example(error="Missing", debug=True)
def test_the_handler_for_500_writes_the_page(submission: Submission, error: str, debug: bool) -> None:
    """The handler for 500 makes the answer to what has no handler, with debug too, and it is raised all the same."""
    transcript = go(submission, error, handlers=[[500, "says"]], debug=debug)
    assert told(transcript) == [*ANSWER, f"raised {error}"]
    assert answer(transcript) == (299, b"handled as 500")
    detailed = go(submission, error, handlers=[[500, "tells"]], debug=debug)
    assert json.loads(answer(detailed)[1])["error"] == error, (
        "the handler for 500 has to get the very exception"
    )


@requirement("ERR-07")
@given(error=st.sampled_from(BUGS))
@example(error="ValueError")
def test_the_handler_for_exception_ends_it(submission: Submission, error: str) -> None:
    """A handler for Exception answers outermost, goes before the one for 500, and the exception ends there."""
    transcript = go(submission, error, handlers=[[500, "says"], ["Exception", "says"]])
    handled(transcript, "Exception")
    assert header(transcript, b"x-seen") is None
    assert called(transcript) == ["Exception"]


@requirement("ERR-07")
def test_an_http_exception_of_500_is_an_answer(submission: Submission) -> None:
    """An HTTPException(500) that the handler for 500 answers, outermost, has been answered, and ends there."""
    transcript = go(submission, "HTTPException(500)", handlers=[[500, "says"]])
    handled(transcript, "500")
    assert header(transcript, b"x-seen") is None
    assert called(transcript) == ["500"]


@requirement("ERR-08")
@given(error=st.sampled_from(["Mine", "ValueError"]))
@example(error="Mine")
@example(error="ValueError")
def test_debug_shows_the_traceback_escaped(submission: Submission, error: str) -> None:
    """With debug, the 500 is an HTML page with the traceback, in which nothing of it is taken for HTML."""
    transcript = go(submission, error, debug=True)
    assert told(transcript) == [*ANSWER, f"raised {error}"]
    status, body = answer(transcript)
    assert (status, header(transcript, b"content-type")) == (500, b"text/html; charset=utf-8")
    page = body.decode()
    assert "<script" not in page, "the exception's message must be escaped, else a browser runs what is in it"
    says = "<script>secret('&\"')</script>" if error == "Mine" else "secret"
    for part in ("Traceback (most recent call last):\n  File ", ", in app", f"{error}: {says}"):
        assert part in html.unescape(page), f"the page must hold the traceback, but {part!r} is not in it"


@requirement("ERR-08")
def test_without_debug_nothing_is_shown(submission: Submission) -> None:
    """Without debug the page says nothing of the exception; with debug there is more in it."""
    assert b"secret" in answer(go(submission, "ValueError", debug=True))[1]
    assert answer(go(submission, "ValueError", debug=False)) == (500, b"Internal Server Error")
    assert answer(go(submission, "ValueError")) == (500, b"Internal Server Error")


# --- ERR-09, ERR-10, ERR-11: nobody to answer ---------------------------------------------------------------

BEGUN = [[START], [START, PART], [START, PART, END], [HINT, START]]


@requirement("ERR-09")
@given(
    sends=st.sampled_from(BEGUN),
    error=st.sampled_from(["ValueError", "Missing", "HTTPException(404)"]),
    boundary=st.sampled_from(["inner", "outermost", "both"]),
)
@pinned(sends=BEGUN, error="Missing", boundary="inner")
@pinned(sends=BEGUN, error="Missing", boundary="outermost")
@example(sends=[START], error="ValueError", boundary="both")
@example(sends=[START], error="HTTPException(404)", boundary="both")
def test_after_the_start_an_exception_only_passes(
    submission: Submission, sends: list[asgi.Message], error: str, boundary: str
) -> None:
    """Once the response has begun, nothing more is sent and no handler called: the exception is raised as it is."""
    handled(go(submission, "Missing", boundary=boundary, handlers=EVERYTHING), "LookupError")
    transcript = go(submission, error, boundary=boundary, handlers=EVERYTHING, sends=sends)
    seen = [(b"x-seen", b"by middleware")] if boundary == "both" else []
    only_passed(
        transcript,
        error.partition("(")[0],
        [message | {"headers": seen} if message["type"] == START["type"] else message for message in sends],
    )


@requirement("ERR-09")
@given(hint=st.sampled_from([HINT, DEBUG, {"type": "x.y"}]), boundary=st.sampled_from(["inner", "both"]))
@pinned(hint=[HINT, DEBUG], boundary="both")
def test_what_comes_before_the_start_does_not_begin_it(
    submission: Submission, hint: asgi.Message, boundary: str
) -> None:
    """Hints and debug information are sent before the response: an exception after them is answered."""
    transcript = go(submission, "Missing", boundary=boundary, handlers=EVERYTHING, sends=[hint])
    handled(transcript, "LookupError")
    assert told(transcript) == [f"→ {hint['type']}", *ANSWER, "returned"]


@requirement("ERR-09")
@given(waits=st.integers(0, 4), reads=st.integers(1, 5), boundary=st.sampled_from(["inner", "outermost"]))
@example(waits=1, reads=4, boundary="inner")
@example(waits=4, reads=1, boundary="inner")
@example(waits=2, reads=5, boundary="outermost")
@example(waits=4, reads=2, boundary="outermost")
def test_each_request_counts_for_itself(
    submission: Submission, waits: int, reads: int, boundary: str
) -> None:
    """While one response is on its way, an exception in another request is answered, and the first one's is not."""
    plans = {
        "/begun": {"sends": [START], "waits": waits, "raises": "Missing"},
        "/not": {"reads": reads, "raises": "Missing"},
    }
    event = {"type": "http.request", "body": b"x", "more_body": True}
    scripts = [script_of(*[event] * 5, path=path) for path in plans]
    transcript = submission.converse(scripts, boundary=boundary, handlers=EVERYTHING, plans=plans)
    only_passed(transcript.of(0), "Missing", [START])
    handled(transcript.of(1), "LookupError")


@requirement("ERR-10")
@given(
    error=st.sampled_from(OS_ERRORS),
    sends=st.sampled_from([[START, END], [HINT, START, END]]),
    place=st.integers(0, 2),
    boundary=st.sampled_from(["inner", "outermost", "both"]),
)
@example(error="OSError", sends=[START, END], place=0, boundary="inner")
@example(error="OSError", sends=[HINT, START, END], place=0, boundary="inner")
@example(error="ConnectionResetError", sends=[START, END], place=0, boundary="outermost")
@example(error="BrokenPipeError", sends=[HINT, START, END], place=0, boundary="outermost")
@example(error="TimeoutError", sends=[HINT, START, END], place=0, boundary="both")
@example(error="TimeoutError", sends=[START, END], place=1, boundary="both")
def test_an_oserror_out_of_send_only_passes(
    submission: Submission, error: str, sends: list[asgi.Message], place: int, boundary: str
) -> None:
    """An OSError out of `send` is raised as it is, wherever it comes: no handler is called, and nothing is sent."""
    assume(place < len(sends))
    handled(go(submission, "FileNotFoundError", boundary=boundary, handlers=EVERYTHING), "OSError")
    script = script_of(fail_sends={place: error})
    transcript = go(submission, script=script, boundary=boundary, handlers=EVERYTHING, sends=sends)
    assert called(transcript) == [], "the client is gone: no handler may be called"
    assert [message["type"] for message in to_client(transcript)] == [
        each["type"] for each in sends[: place + 1]
    ]
    with raised(error):
        _ = transcript.returned


@requirement("ERR-10")
@given(
    boundary=st.sampled_from(["inner", "outermost", "both"]), error=st.sampled_from(["Missing", "ValueError"])
)
@pinned(boundary=["inner", "outermost", "both"], error="Missing")
def test_what_is_raised_after_an_oserror_only_passes(
    submission: Submission, boundary: str, error: str
) -> None:
    """Once `send` has raised OSError, another exception is not answered either."""
    handled(go(submission, "Missing", boundary=boundary, handlers=EVERYTHING), "LookupError")
    transcript = go(
        submission,
        error,
        script=script_of(fail_from=0),
        boundary=boundary,
        handlers=EVERYTHING,
        sends=[HINT],
        swallows=True,
    )
    only_passed(transcript, error, [HINT])


@requirement("ERR-10")
@given(
    raises=st.sampled_from(["Missing", "ValueError", "HTTPException(401)"]),
    place=st.integers(0, 1),
    error=st.sampled_from(OS_ERRORS),
)
@example(raises="Missing", place=0, error="ConnectionResetError")
@example(raises="ValueError", place=0, error="ConnectionResetError")
@example(raises="HTTPException(401)", place=0, error="OSError")
@example(raises="ValueError", place=1, error="BrokenPipeError")
def test_an_answer_that_fails_is_not_repeated(
    submission: Submission, raises: str, place: int, error: str
) -> None:
    """Where the sending of an answer fails, that OSError is raised, and nothing more is sent."""
    handlers = [["LookupError", "says"], ["OSError", "text"]]
    transcript = go(submission, raises, script=script_of(fail_sends={place: error}), handlers=handlers)
    with raised(error):
        _ = transcript.returned
    assert [message["type"] for message in to_client(transcript)] == [START["type"], END["type"]][: place + 1]
    assert "OSError" not in called(transcript), "the client is gone: no handler may be called for that"


@requirement("ERR-10")
@given(boundary=st.sampled_from(["outermost", "both"]))
@pinned(boundary=["outermost", "both"])
def test_an_oserror_of_the_applications_own_is_a_bug(submission: Submission, boundary: str) -> None:
    """An OSError that does not come out of `send` is an exception as any other: handled, or a 500."""
    handled(go(submission, "FileNotFoundError", boundary=boundary, handlers=[["OSError", "says"]]), "OSError")
    transcript = go(submission, "FileNotFoundError", boundary=boundary)
    assert told(transcript) == [*ANSWER, "raised FileNotFoundError"]
    assert answer(transcript) == (500, b"Internal Server Error")


@requirement("ERR-11")
@given(boundary=st.sampled_from(["inner", "outermost", "both"]), handlers=st.sampled_from([[], EVERYTHING]))
@pinned(boundary=["inner", "outermost", "both"], handlers=EVERYTHING)
@example(boundary="outermost", handlers=[])
def test_a_client_disconnect_only_passes(submission: Submission, boundary: str, handlers: Handlers) -> None:
    """A ClientDisconnect is raised as it is: nothing is sent for it, and no handler is called."""
    assert answer(go(submission, "HTTPException(401)", boundary=boundary, handlers=handlers))[0] == 401
    only_passed(
        go(submission, "ClientDisconnect", boundary=boundary, handlers=handlers), "ClientDisconnect", []
    )


@requirement("ERR-11")
@given(
    kind=st.sampled_from(["reads", "raises ClientDisconnect"]),
    key=st.sampled_from(["LookupError", 500, "Exception"]),
)
@pinned(kind=["reads", "raises ClientDisconnect"], key="LookupError")
@pinned(kind=["reads", "raises ClientDisconnect"], key=500)
def test_a_client_disconnect_out_of_a_handler_only_passes(
    submission: Submission, kind: str, key: Any
) -> None:
    """Where a handler finds the client gone, nothing is sent: a ClientDisconnect is raised."""
    whole = {"type": "http.request", "body": b"whole"}
    assert (
        answer(go(submission, "Missing", script=script_of(whole), handlers=[[key, "reads"]]))[1] == b"whole"
    )
    transcript = go(submission, "Missing", handlers=[[key, kind]])
    assert told(transcript) == ["raised ClientDisconnect"]


# --- ERR-12: handlers that fail -----------------------------------------------------------------------------


@requirement("ERR-12")
@given(
    kind=st.sampled_from(["raises ValueError", "a number", "a set"]),
    boundary=st.sampled_from(["inner", "both"]),
)
@pinned(kind=["raises ValueError", "a number", "a set"], boundary="inner")
@pinned(kind=["raises ValueError", "a number"], boundary="both")
def test_a_handler_that_fails_raises_its_own(submission: Submission, kind: str, boundary: str) -> None:
    """A handler's own exception goes on from the inner boundary; at the outermost it is a bare 500, and raised."""
    handled(go(submission, "Missing", boundary=boundary, handlers=[["LookupError", "says"]]), "LookupError")
    transcript = go(submission, "Missing", boundary=boundary, handlers=[["LookupError", kind]])
    error = "ValueError" if kind == "raises ValueError" else "TypeError"
    assert told(transcript) == [*(ANSWER if boundary == "both" else []), f"raised {error}"]
    if boundary == "both":
        assert answer(transcript) == (500, b"Internal Server Error")


@requirement("ERR-12")
@given(kind=st.sampled_from(["raises ValueError", "raises HTTPException(404)"]))
@pinned(kind=["raises ValueError", "raises HTTPException(404)"])
def test_what_a_handler_raises_meets_the_outermost_boundary(submission: Submission, kind: str) -> None:
    """What a handler raises at the inner boundary is given to the handlers at the outermost one."""
    handlers = [["LookupError", kind], ["ValueError", "says"], [404, "says"]]
    transcript = go(submission, "Missing", handlers=handlers)
    key = "ValueError" if kind == "raises ValueError" else "404"
    handled(transcript, key)
    assert called(transcript) == ["LookupError", key]


@requirement("ERR-12")
@given(
    key=st.sampled_from(["Exception", 500]),
    kind=st.sampled_from(["raises Missing", "raises HTTPException(404)", "a number"]),
    debug=st.booleans(),
)
@example(key="Exception", kind="raises Missing", debug=False)
@example(key=500, kind="raises Missing", debug=False)
@example(key=500, kind="raises HTTPException(404)", debug=False)
@example(key="Exception", kind="a number", debug=False)
@example(key=500, kind="raises Missing", debug=True)
def test_an_outermost_handler_that_fails_is_a_500(
    submission: Submission, key: Any, kind: str, debug: bool
) -> None:
    """At the outermost boundary a handler's own exception is answered by the page, by no other handler, and raised."""
    handlers = [[key, kind], ["LookupError", "says"], [404, "says"]]
    transcript = go(submission, "ValueError", handlers=handlers, debug=debug)
    errors = {
        "raises Missing": "Missing",
        "raises HTTPException(404)": "HTTPException",
        "a number": "TypeError",
    }
    assert told(transcript) == [*ANSWER, f"raised {errors[kind]}"]
    assert called(transcript) == [str(key)]
    status, body = answer(transcript)
    if debug:
        assert (status, header(transcript, b"content-type")) == (500, b"text/html; charset=utf-8")
        assert errors[kind].encode() in body
    else:
        assert (status, body) == (500, b"Internal Server Error")


@requirement("ERR-12")
@given(key=st.sampled_from(["LookupError", "Exception", 500]))
@pinned(key=["LookupError", "Exception", 500])
def test_an_answer_that_breaks_stays_half(submission: Submission, key: Any) -> None:
    """Where an answer raises when it has begun, nothing more is sent, and that exception is raised."""
    transcript = go(submission, "Missing", handlers=[[key, "breaks half-way"]])
    assert told(transcript) == [*ANSWER, "raised ValueError"]
    assert answer(transcript) == (200, b"half")


# --- ERR-13: the request of a handler -----------------------------------------------------------------------


BODIES = [[b""], [b"whole"], [b"one", b"two"]]


@requirement("ERR-13")
@given(parts=st.sampled_from(BODIES), key=st.sampled_from(["LookupError", "Exception", 500]))
@pinned(key=["LookupError", "Exception", 500], parts=[b"one", b"two"])
def test_a_handler_reads_the_body(submission: Submission, parts: list[bytes], key: Any) -> None:
    """A handler can read the body that nobody has begun to read."""
    script = script_of(*asgi.request_events(parts))
    transcript = go(submission, "Missing", script=script, handlers=[[key, "reads"]])
    assert answer(transcript)[1] == b"".join(parts)


@requirement("ERR-13")
@given(reads=st.integers(1, 2), boundary=st.sampled_from(["inner", "outermost"]))
@pinned(reads=[1, 2], boundary="inner")
@pinned(reads=[1, 2], boundary="outermost")
def test_a_body_that_was_begun_is_not_read_on(submission: Submission, reads: int, boundary: str) -> None:
    """Where the application has begun to read, reading raises RuntimeError in the handler, and nothing is received."""
    events = asgi.request_events([b"one", b"two", b"three"])
    script = script_of(*events)
    unread = go(submission, "Missing", script=script, boundary=boundary, handlers=[["LookupError", "reads"]])
    assert answer(unread)[1] == b"onetwothree"
    transcript = go(
        submission,
        "Missing",
        script=script,
        boundary=boundary,
        handlers=[["LookupError", "reads"]],
        reads=reads,
    )
    assert told(transcript)[-1] == "raised RuntimeError"
    assert transcript.received == events[:reads], "the handler must not receive what belongs to somebody else"


UPLOAD = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'


@requirement("ERR-13")
@given(key=st.sampled_from(["LookupError", "Exception", 500]), fails=st.booleans())
@pinned(key=["LookupError", "Exception", 500], fails=False)
@example(key="LookupError", fails=True)
def test_a_form_that_was_read_is_closed(submission: Submission, key: Any, fails: bool) -> None:
    """The files of a form that a handler has read are closed in the end, also where sending fails."""
    script = script_of(
        {"type": "http.request", "body": UPLOAD},
        headers=[(b"content-type", b"multipart/form-data; boundary=b")],
        fail_sends={0: "ConnectionResetError"} if fails else {},
    )
    transcript = go(submission, "Missing", script=script, handlers=[[key, "uploads"]])
    if not fails:
        assert answer(transcript) == (299, b"content")
    closed = [message["files"] for message in transcript.sent if _is(message, "probe.closed")]
    assert closed == [[True]], "the upload is still open: await request.close() when the response was sent"


# --- ERR-14: everything else --------------------------------------------------------------------------------


@requirement("ERR-14")
@given(
    kind=st.sampled_from(["websocket", "lifespan", "x"]),
    error=st.sampled_from(["HTTPException(404)", "Missing", "ValueError"]),
    boundary=st.sampled_from(["inner", "outermost", "both"]),
)
@pinned(kind=["websocket", "lifespan", "x"], error="HTTPException(404)", boundary="inner")
@pinned(kind=["websocket", "lifespan", "x"], error="Missing", boundary="outermost")
def test_other_connections_pass_through(submission: Submission, kind: str, error: str, boundary: str) -> None:
    """What is not HTTP is called and nothing else: what it sends is sent, what it raises goes on."""
    script = Script(scope={"type": kind, "path": "/"}, events=[{"type": f"{kind}.first"}], end="disconnect")
    sends = [{"type": f"{kind}.answer", "x": 1}]
    well = go(submission, script=script, boundary=boundary, handlers=EVERYTHING, reads=1, sends=sends)
    assert well.sequence == [f"← {kind}.first", f"→ {kind}.answer", "returned"]
    only_passed(
        go(submission, error, script=script, boundary=boundary, handlers=EVERYTHING, reads=1, sends=sends),
        error.partition("(")[0],
        sends,
    )
    handled(go(submission, "Missing", boundary=boundary, handlers=EVERYTHING), "LookupError")


MESSAGES = [PART, END, HINT, DEBUG, {"type": "http.response.trailers"}, {"type": "x.y", "x": 1}]


@requirement("ERR-14")
@given(
    sends=st.lists(st.sampled_from(MESSAGES), max_size=4), boundary=st.sampled_from(["inner", "outermost"])
)
@example(sends=[HINT, START, PART, {"type": "x.y", "x": 1}, END], boundary="inner")
@example(sends=[HINT, START, PART, {"type": "x.y", "x": 1}, END], boundary="outermost")
def test_what_goes_well_passes_as_it_is(
    submission: Submission, sends: list[asgi.Message], boundary: str
) -> None:
    """Scope, events and messages pass as they are, in order; no handler is called."""
    handled(go(submission, "Missing", boundary=boundary, handlers=EVERYTHING), "LookupError")
    events = [{"type": "http.request", "body": b"one", "more_body": True, "x.id": 1}, {"type": "x.event"}]
    script = script_of(*events)
    messages = [{**message, "x.id": 2} for message in sends]
    plan = {"reads": 2, "echoes": True, "sends": messages}
    transcript = go(submission, script=script, boundary=boundary, handlers=EVERYTHING, **plan)
    _ = transcript.returned
    assert transcript.sent == [*({"type": "x.echo", "event": event} for event in events), *messages]
    assert transcript.received == events
    assert transcript.scopes[0] == script.scope, "the scope must stay as it is"
