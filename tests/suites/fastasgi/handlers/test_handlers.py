"""What a function is called with, worked out from its signature, where it runs, and what its value becomes.

Rule 1: a signature is a list of parameters here, and text for the probe; what each of them gets follows from the list.
Rule 2: a function in the probe returns what it was called with, so that the judge sees it.
Rule 3: a test that demands a refusal first demands that the like of it works.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, raised, requirement
from grader.suite import strategies as asgi

THE_CONNECTION = "the connection"
ORDER = ("place", "any", "name")
"""How a parameter is filled: before a `/`, between, behind a `*`."""


# --- signatures ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Param:
    """A parameter of a function: its name, how it is filled, whether it has a default, its annotation."""

    name: str
    how: str = "any"
    optional: bool = False
    annotation: str = ""

    @property
    def text(self) -> str:
        """The parameter as it is written."""
        annotation = f": {self.annotation}" if self.annotation else ""
        return self.name + annotation + (f" = 'default {self.name}'" if self.optional else "")


def written(parameters: Sequence[Param]) -> str:
    """A signature as it is written."""
    groups = {how: [each.text for each in parameters if each.how == how] for how in ORDER}
    before = [*groups["place"], "/"] if groups["place"] else []
    behind = ["*", *groups["name"]] if groups["name"] else []
    return ", ".join([*before, *groups["any"], *behind])


def signatures(**choices: Any) -> st.SearchStrategy[list[Param]]:
    """Lists of parameters as Python takes them: by place first, and no default before a parameter without one."""

    def ordered(parameters: list[Param]) -> list[Param]:
        by_how = sorted(parameters, key=lambda each: ORDER.index(each.how))
        needed = [each for each in by_how if each.how != "name" and not each.optional]
        if not needed:
            return by_how
        last = by_how.index(needed[-1])
        return [
            Param(each.name, each.how, each.optional and each.how == "name", each.annotation)
            if place < last
            else each
            for place, each in enumerate(by_how)
        ]

    one = st.builds(Param, name=st.sampled_from("abcd"), optional=st.booleans(), **choices)
    return st.lists(one, unique_by=lambda each: each.name, max_size=4).map(ordered)


def expected(parameters: Sequence[Param], params: dict[str, Any], to: Sequence[str] = ()) -> dict[str, Any]:
    """What each parameter gets; the connection goes `to` some."""
    defaults = {each.name: f"default {each.name}" for each in parameters if each.optional}
    taken = {each.name: params[each.name] for each in parameters if each.name in params}
    return defaults | taken | dict.fromkeys(to, THE_CONNECTION)


def filled(parameters: Sequence[Param], given_values: dict[str, Any]) -> dict[str, Any]:
    """Values for a path that has at least the parameters without default."""
    needed = {each.name: f"value {each.name}" for each in parameters if not each.optional}
    return needed | given_values


GIVEN = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 9), max_size=4)


def called_with(
    submission: Submission, signature: str, params: dict[str, Any], kind: str = "Request", **options: bool
) -> Any:
    """What a function of that signature is called with; it is an `async def`, or a `def` with `plain=True`."""
    return submission.call("called_with", signature=signature, params=params, kind=kind, **options)


# --- CALL-01: the path's parameters -------------------------------------------------------------------------


@requirement("CALL-01")
@given(parameters=signatures(), params=GIVEN)
@example(parameters=[Param("a"), Param("b", optional=True)], params={"c": 1})
@example(parameters=[Param("a"), Param("b", optional=True)], params={"b": 2, "c": 1})
@example(parameters=[], params={"a": 1})
@example(parameters=[Param("a")], params={"a": 0})
@example(parameters=[Param("a", optional=True)], params={"a": 0})
def test_a_function_gets_what_it_names(
    submission: Submission, parameters: list[Param], params: dict[str, Any]
) -> None:
    """The function gets the parameters of the path that it names, and no others; a default stays where it gets none."""
    params = filled(parameters, params)
    assert called_with(submission, written(parameters), params) == expected(parameters, params)


@requirement("CALL-01")
def test_the_path_s_parameters_stay_as_they_are(submission: Submission) -> None:
    """A call does not change `params`, not even where the connection goes to one of that name."""
    params = {"a": 1, "request": 2, "c": 3}
    assert called_with(submission, "a, c", params) == {"a": 1, "c": 3}
    assert submission.call("params_after", signature="a, request", params=params) == params


# --- CALL-02 and CALL-03: the connection --------------------------------------------------------------------

ANNOTATIONS = {
    "Request": [
        "Request",
        "HTTPConnection",
        "'Request'",
        "'fastasgi.Request'",
        "'fastasgi.requests.Request'",
    ],
    "WebSocket": ["WebSocket", "HTTPConnection", "'WebSocket'", "'websockets.WebSocket'", "'HTTPConnection'"],
}
"""By which annotations a parameter gets the connection."""
OTHERS = [
    "object",
    "Any",
    "int",
    "'object'",
    "'MyRequest'",
    "'RequestX'",
    "'models.User'",
    "'list[Request]'",
    "None",
    "'x.y'",
]
"""By which it does not, whatever the connection is."""


@requirement("CALL-02")
@pytest.mark.parametrize("kind", ["Request", "WebSocket"])
@pytest.mark.parametrize("annotation", [None, "Any", "'Any'", "int"])
def test_the_connection_goes_to_the_parameter_that_is_called_so(
    submission: Submission, kind: str, annotation: str | None
) -> None:
    """`request`, or `websocket`, gets the connection, with any annotation, and beside other parameters."""
    name = kind.lower()
    parameter = name if annotation is None else f"{name}: {annotation}"
    assert called_with(submission, f"id, {parameter}", {"id": 7}, kind) == {"id": 7, name: THE_CONNECTION}
    assert called_with(submission, f"{parameter} = None", {}, kind) == {name: THE_CONNECTION}


@requirement("CALL-02")
@pytest.mark.parametrize(
    ("kind", "annotation"), [(kind, each) for kind, several in ANNOTATIONS.items() for each in several]
)
def test_the_connection_goes_to_the_parameter_that_is_annotated_so(
    submission: Submission, kind: str, annotation: str
) -> None:
    """A parameter annotated with the class of the connection, or HTTPConnection, gets it, also by a string."""
    signature = f"it: {annotation}, id, again: {annotation} = None"
    found = called_with(submission, signature, {"id": 7}, kind)
    assert found == {"it": THE_CONNECTION, "id": 7, "again": THE_CONNECTION}


@requirement("CALL-02")
@pytest.mark.parametrize("signature", ["request", "it: Request", "it: 'Request' = None"])
def test_the_connection_goes_before_a_parameter_of_the_path(submission: Submission, signature: str) -> None:
    """Where the path has a parameter of that name, the connection goes there all the same."""
    name = signature.split(":")[0]
    found = called_with(submission, f"id, {signature}", {"id": 7, name: 8})
    assert found == {"id": 7, name: THE_CONNECTION}


@requirement("CALL-03")
@pytest.mark.parametrize("kind", ["Request", "WebSocket"])
@pytest.mark.parametrize("annotation", OTHERS)
def test_the_connection_goes_to_no_other_parameter(
    submission: Submission, kind: str, annotation: str
) -> None:
    """A parameter with any other name and annotation is one like any other."""
    signature = f"it: {annotation}, other: {annotation} = 5, {kind.lower()} = None"
    found = called_with(submission, signature, {"it": 7}, kind)
    assert found == {"it": 7, "other": 5, kind.lower(): THE_CONNECTION}


@requirement("CALL-03")
@pytest.mark.parametrize(
    ("kind", "parameter"),
    [
        ("WebSocket", "request"),
        ("WebSocket", "it: Request"),
        ("WebSocket", "it: 'Request'"),
        ("Request", "websocket"),
        ("Request", "it: WebSocket"),
        ("Request", "it: 'WebSocket'"),
        ("Request", "Request"),
        ("Request", "httpconnection"),
    ],
)
def test_a_connection_of_the_other_kind_is_none(submission: Submission, kind: str, parameter: str) -> None:
    """What means the connection to a Request's handler means nothing to a websocket's, and the other way round."""
    name = parameter.split(":")[0]
    found = called_with(submission, f"{parameter}, mine: HTTPConnection", {name: 7}, kind)
    assert found == {name: 7, "mine": THE_CONNECTION}


# --- CALL-04: kinds of parameters ---------------------------------------------------------------------------


@requirement("CALL-04")
@given(parameters=signatures(how=st.sampled_from(ORDER)), params=GIVEN)
@example(parameters=[Param("a", "place"), Param("b", "place"), Param("c", "name")], params={"e": 1})
@example(parameters=[Param("a", "place", True), Param("b", "place", True)], params={"b": 2})
@example(parameters=[Param("a", "place", True), Param("b", "any", True), Param("c", "name", True)], params={})
def test_parameters_of_all_kinds_are_filled(
    submission: Submission, parameters: list[Param], params: dict[str, Any]
) -> None:
    """Parameters before a `/` get their values by place, those behind a `*` by name."""
    params = filled(parameters, params)
    assert called_with(submission, written(parameters), params) == expected(parameters, params)


@requirement("CALL-04")
@pytest.mark.parametrize(
    ("signature", "params", "found"),
    [
        ("a, request, b, /, c", {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}),
        ("a=1, request=None, b=2, /, *, c=3", {"b": 20}, {"a": 1, "b": 20, "c": 3}),
        ("*, b, request, a=1", {"b": 2}, {"a": 1, "b": 2}),
        ("request, *args, id, **kwargs", {"id": 7, "x": 8}, {"args": (), "id": 7, "kwargs": {}}),
        ("request, *a, **b", {"a": 1, "b": 2}, {"a": (), "b": {}}),
        ("*it: int, request, **more: 'Request'", {"it": 1}, {"it": (), "more": {}}),
    ],
)
def test_the_connection_has_its_place_and_stars_get_nothing(
    submission: Submission, signature: str, params: dict[str, Any], found: dict[str, Any]
) -> None:
    """The connection may be at any place; `*args` and `**kwargs` get nothing, whatever they are called."""
    for plain in (False, True):
        received = called_with(submission, signature, params, plain=plain)
        assert received == found | {"request": THE_CONNECTION}


# --- CALL-05: check -----------------------------------------------------------------------------------------


def check(submission: Submission, signature: str, names: Sequence[str], template: str, kind: str) -> Any:
    """Check a function of that signature."""
    return submission.call("check", signature=signature, names=list(names), template=template, kind=kind)


@requirement("CALL-05")
@given(
    parameters=signatures(how=st.sampled_from(ORDER)),
    missing=st.lists(st.sampled_from(["zone", "number", "colour"]), unique=True, min_size=1, max_size=2),
    kind=st.sampled_from(["Request", "WebSocket"]),
)
@example(parameters=[Param("a"), Param("b", optional=True)], missing=["zone"], kind="Request")
@example(parameters=[Param("a", "place")], missing=["zone", "number"], kind="WebSocket")
@example(parameters=[], missing=["zone"], kind="Request")
def test_what_nobody_can_fill_is_found_out(
    submission: Submission, parameters: list[Param], missing: list[str], kind: str
) -> None:
    """`check` raises ValueError that names what is missing, and the template, and is content where nothing is."""
    signature = written([*parameters, *(Param(name, "name") for name in missing)])
    names = ["more", *(each.name for each in parameters if not each.optional)]
    template = "/" + "/".join(f"{{{name}}}" for name in names)
    assert check(submission, signature, [*names, *missing], template, kind) == "fine"
    with raised("ValueError") as caught:
        check(submission, signature, names, template, kind)
    unnamed = [text for text in [*missing, template] if text not in caught.error.message]
    assert not unnamed, f"the message of the error does not name {unnamed}"


@requirement("CALL-05")
@pytest.mark.parametrize(
    ("kind", "fine", "bad"),
    [
        ("Request", "request", "websocket"),
        ("Request", "it: Request", "it: WebSocket"),
        ("Request", "it: 'HTTPConnection'", "it: object"),
        ("WebSocket", "websocket", "request"),
        ("WebSocket", "it: 'x.WebSocket'", "it: 'Request'"),
        ("Request", "a=1, /, *args, b=2, **kwargs", "a, /"),
        ("Request", "", "*args, a"),
    ],
)
def test_the_connection_and_defaults_are_always_there(
    submission: Submission, kind: str, fine: str, bad: str
) -> None:
    """A path without parameters suits a function that wants the connection and defaults; not one that wants more."""
    assert check(submission, fine, [], "/", kind) == "fine"
    with raised("ValueError"):
        check(submission, bad, [], "/", kind)


@requirement("CALL-05")
@pytest.mark.parametrize("endpoint", ["a method", "an object with __call__", "a partial by name", "a class"])
def test_what_is_missing_is_found_out_of_any_callable(submission: Submission, endpoint: str) -> None:
    """`check` raises ValueError for methods, objects, partials and classes, too, if they need what the path lacks."""
    assert submission.call("check_endpoint", endpoint=endpoint, names=["id"]) == "fine"
    with raised("ValueError"):
        submission.call("check_endpoint", endpoint=endpoint, names=[])


# --- CALL-06: any callable ----------------------------------------------------------------------------------


@requirement("CALL-06")
@pytest.mark.parametrize(
    "endpoint",
    [
        "a method",
        "a plain method",
        "a class method",
        "a static method",
        "an object with async __call__",
        "an object with __call__",
        "a class",
        "a partial",
        "a partial by name",
        "a partial of a partial",
        "a partial of an object",
        "an async decorator",
        "a plain decorator around a plain method",
        "a lambda",
    ],
)
def test_any_callable_is_a_handler(submission: Submission, endpoint: str) -> None:
    """Functions, methods, classes, objects that can be called, partials and decorated ones are called alike."""
    assert submission.call("call_endpoint", endpoint=endpoint) == [THE_CONNECTION, 7]


@requirement("CALL-06")
@pytest.mark.parametrize("endpoint", ["5", "a text", "None", "an object", "dict"])
def test_what_cannot_be_called_is_no_handler(submission: Submission, endpoint: str) -> None:
    """What cannot be called, or does not tell its parameters, is a ValueError when the Handler is made."""
    assert submission.call("make_handler", endpoint="a lambda") == "made"
    with raised("ValueError"):
        submission.call("make_handler", endpoint=endpoint)


# --- CALL-07: where it runs ---------------------------------------------------------------------------------


@requirement("CALL-07")
@pytest.mark.parametrize(
    ("function", "called", "runs"),
    [
        ("async def", "on the event loop", "on the event loop"),
        ("def", "in a thread", "in a thread"),
        ("a plain decorator around async def", "in a thread", "on the event loop"),
    ],
)
def test_a_plain_function_runs_in_a_thread(
    submission: Submission, function: str, called: str, runs: str
) -> None:
    """A coroutine never needs a thread, a plain function runs in one, and both see their caller's context."""
    found = submission.call("where", function=function)
    assert found == {"called": called, "runs": runs, "user": "ada"}


@requirement("CALL-07")
@pytest.mark.parametrize(
    "endpoint",
    ["a plain decorator around an async method", "two decorators", "a lambda that gives a coroutine"],
)
def test_a_coroutine_that_a_plain_function_gives_is_awaited(submission: Submission, endpoint: str) -> None:
    """Where a plain function gives a coroutine, the handler gives what comes of that."""
    assert submission.call("call_endpoint", endpoint=endpoint) == [THE_CONNECTION, 7]


# --- CALL-08: errors and calls side by side -----------------------------------------------------------------


@requirement("CALL-08")
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("error", ["Trouble", "OSError", "LookupError"])
def test_what_a_handler_raises_comes_out_as_it_is(submission: Submission, error: str, plain: bool) -> None:
    """A handler's exception is raised by the call, the very object."""
    assert submission.call("raises", error=error, plain=plain) == "the very exception"


@requirement("CALL-08")
@given(calls=st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)), min_size=2, max_size=4))
@example(calls=[{"a": 1, "b": 2, "c": 3}, {}, {"b": 4}])
def test_two_calls_have_nothing_in_common(submission: Submission, calls: list[dict[str, int]]) -> None:
    """Calls of one handler may be under way at the same time: each has its own arguments, or the defaults."""
    defaults = {name: f"default {name}" for name in "abc"}
    assert submission.call("at_the_same_time", calls=calls) == [defaults | params for params in calls]


# --- CALL-09 to CALL-11: what the value becomes -------------------------------------------------------------


def answer(submission: Submission, **config: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the response that a value becomes."""
    transcript = submission.converse(Script(scope=asgi.http_scope(), end="disconnect"), **config)
    _ = transcript.returned
    start, *bodies = transcript.sent
    return start["status"], dict(start["headers"]), b"".join(message.get("body", b"") for message in bodies)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@requirement("CALL-09")
@given(value=st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=3), JSON, max_size=3))
@example(value={"a": [1, None, "é"]})
@example(value=[1, 2])
@example(value={})
@example(value=[])
def test_a_dict_or_a_list_becomes_json(submission: Submission, value: Any) -> None:
    """A dict or a list, an empty one too, becomes JSON, with status 200."""
    status, headers, content = answer(submission, value=value)
    assert (status, headers.get(b"content-type")) == (200, b"application/json")
    assert json.loads(content) == value
    assert headers.get(b"content-length") == str(len(content)).encode()


@requirement("CALL-09")
@given(value=st.text(max_size=8) | st.binary(max_size=8))
@example(value="é")
@example(value="")
@example(value=b"\xff")
@example(value=b"")
def test_text_and_bytes_become_what_they_are(submission: Submission, value: str | bytes) -> None:
    """A str becomes plain text, bytes an octet-stream, empty ones too, with status 200."""
    status, headers, content = answer(submission, value=value)
    kinds = {str: b"text/plain; charset=utf-8", bytes: b"application/octet-stream"}
    assert (status, headers.get(b"content-type")) == (200, kinds[type(value)])
    assert content == (value.encode() if isinstance(value, str) else value)


@requirement("CALL-09")
@pytest.mark.parametrize(
    ("config", "kind", "body"),
    [
        ({"value": None}, None, b""),
        ({"maker": "app_of", "made": "OrderedDict(a=1)"}, b"application/json", b'{"a":1}'),
        ({"maker": "app_of", "made": "defaultdict(list)"}, b"application/json", b"{}"),
        ({"maker": "app_of", "made": "class Page(list)"}, b"application/json", b"[1,2]"),
    ],
    ids=["None", "OrderedDict", "defaultdict", "Page"],
)
def test_none_is_empty_and_subclasses_count(
    submission: Submission, config: dict[str, Any], kind: bytes | None, body: bytes
) -> None:
    """None becomes an empty body of status 200; a dict or list of a subclass becomes JSON like any other."""
    status, headers, content = answer(submission, **config)
    assert (status, headers.get(b"content-type"), content) == (200, kind, body)


@requirement("CALL-10")
@pytest.mark.parametrize(
    "response",
    [
        "Response('x')",
        "Response(status_code=204)",
        "text_response('x', 404)",
        "StreamingResponse([b'x'])",
        "class Own(Response)",
    ],
)
def test_a_response_stays_as_it_is(submission: Submission, response: str) -> None:
    """A str becomes a response; a Response, of any subclass and status, is returned itself."""
    assert submission.call("becomes", value="x") == "a response"
    assert submission.call("stays", response=response) is True


@requirement("CALL-11")
@given(value=st.integers(0, 999) | st.booleans() | st.floats(0, 1) | st.just((1, 2)) | st.just({1}))
@example(value=0)
@example(value=204)
@example(value=False)
@example(value=1.5)
@example(value=(b"x", 201))
@example(value={1})
def test_another_value_is_an_error(submission: Submission, value: Any) -> None:
    """A number, a bool, a tuple or a set raises TypeError; what may be returned does not."""
    assert submission.call("refuse", value=[1]) == "made"
    with raised("TypeError"):
        submission.call("refuse", value=value)


@requirement("CALL-11")
@pytest.mark.parametrize(
    "made",
    [
        "bytearray(b'x')",
        "iter('x')",
        "a generator",
        "an asynchronous generator",
        "the class Response",
        "object()",
    ],
)
def test_another_object_is_an_error(submission: Submission, made: str) -> None:
    """Generators, iterators, classes and other objects raise TypeError; a subclass of dict does not."""
    assert submission.call("refuse_made", made="OrderedDict(a=1)") == "made"
    with raised("TypeError"):
        submission.call("refuse_made", made=made)
