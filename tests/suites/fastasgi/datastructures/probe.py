"""Runs beside the submission: makes its objects from values, and asks them.

Rule 1: `made` says how an object is made from `source`, as one would write it; `MAKERS` has all that there are.
Rule 2: one question a function, so that what is not written yet costs its own requirements only.
Rule 3: values in, values out; what the learner's code returns goes back as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastasgi import datastructures
from fastasgi.datastructures import Headers, MultiDict, MutableHeaders, QueryParams, State


def _subclass(source: Any) -> Any:
    """An instance of a class that is derived from `MultiDict[int]`, as FormData is from another."""

    class Numbers(datastructures.MultiDict[int]):
        pass

    return Numbers(source)


MAKERS: dict[str, Callable[[Any], Any]] = {
    "MultiDict()": lambda source: MultiDict(),
    "MultiDict(source)": lambda source: MultiDict(source),
    "MultiDict(MultiDict(source))": lambda source: MultiDict(MultiDict(source)),
    "MultiDict(QueryParams(source))": lambda source: MultiDict(QueryParams(source)),
    "MultiDict(Headers(raw=source))": lambda source: MultiDict(Headers(raw=source)),
    "a class Numbers(MultiDict[int])": _subclass,
    "QueryParams()": lambda source: QueryParams(),
    "QueryParams(source)": lambda source: QueryParams(source),
    "QueryParams(QueryParams(source))": lambda source: QueryParams(QueryParams(source)),
    "QueryParams(MultiDict(source))": lambda source: QueryParams(MultiDict(source)),
    "Headers()": lambda source: Headers(),
    "Headers(source)": lambda source: Headers(source),
    "Headers(Headers(raw=source))": lambda source: Headers(Headers(raw=source)),
    "Headers(MultiDict(source))": lambda source: Headers(MultiDict(source)),
    "Headers(raw=source)": lambda source: Headers(raw=source),
    "MutableHeaders()": lambda source: MutableHeaders(),
    "MutableHeaders(source)": lambda source: MutableHeaders(source),
    "MutableHeaders(Headers(raw=source))": lambda source: MutableHeaders(Headers(raw=source)),
    "MutableHeaders(raw=source)": lambda source: MutableHeaders(raw=source),
}


# --- reading ------------------------------------------------------------------------------------------------


def item(made: str, source: Any, key: str) -> Any:
    return MAKERS[made](source)[key]


def get(made: str, source: Any, key: str) -> Any:
    return MAKERS[made](source).get(key)


def get_or(made: str, source: Any, key: str, default: Any) -> Any:
    return MAKERS[made](source).get(key, default)


def contains(made: str, source: Any, key: str) -> Any:
    return key in MAKERS[made](source)


def getlist(made: str, source: Any, key: str) -> Any:
    return MAKERS[made](source).getlist(key)


def multi_items(made: str, source: Any) -> Any:
    return MAKERS[made](source).multi_items()


def keys(made: str, source: Any) -> list[Any]:
    """What iteration gives, twice if it does so the second time only."""
    data = MAKERS[made](source)
    first = list(data)
    return first if first == list(data.keys()) else [first, list(data.keys())]


def items(made: str, source: Any) -> list[Any]:
    return list(MAKERS[made](source).items())


def length(made: str, source: Any) -> int:
    return len(MAKERS[made](source))


def is_mapping(made: str, source: Any) -> bool:
    return isinstance(MAKERS[made](source), Mapping)


def raw(made: str, source: Any) -> Any:
    return MAKERS[made](source).raw


def raw_twice(made: str, source: Any) -> list[Any]:
    """What `raw` gives the first time, and the second."""
    data = MAKERS[made](source)
    return [data.raw, data.raw]


def text(made: str, source: Any) -> str:
    return str(MAKERS[made](source))


def equal(made: str, source: Any, other_made: str, other_source: Any) -> list[bool]:
    """What `==` says, and what `!=` says."""
    one, other = MAKERS[made](source), MAKERS[other_made](other_source)
    return [one == other, one != other]


# --- what must not change -----------------------------------------------------------------------------------


def after_source_changed(made: str, source: Any) -> Any:
    """All pairs, after what the object was made from was emptied."""
    data = MAKERS[made](source)
    source.clear()
    return data.multi_items()


def after_pair_changed(made: str, source: list[list[bytes]]) -> Any:
    """`raw`, after the value of the first pair that the object was made from was replaced."""
    data = MAKERS[made](source)
    source[0][1] = b"changed"
    return data.raw


def after_results_changed(made: str, source: Any, key: str) -> list[Any]:
    """`getlist(key)` and all pairs, after the lists that they gave before were spoilt."""
    data = MAKERS[made](source)
    for given in (data.getlist(key), data.multi_items()):
        given.append("spoilt")
    return [data.getlist(key), data.multi_items()]


def after_raw_changed(made: str, source: Any) -> Any:
    """`raw`, after the list that it gave before was spoilt."""
    data = MAKERS[made](source)
    data.raw.append((b"spoilt", b""))
    return data.raw


def set_item(made: str, source: Any, key: str, value: Any) -> None:
    MAKERS[made](source)[key] = value


def delete_item(made: str, source: Any, key: str) -> None:
    del MAKERS[made](source)[key]


# --- MutableHeaders -----------------------------------------------------------------------------------------


def changed(made: str, source: Any, steps: list[list[Any]]) -> Any:
    """`raw` after some steps, each a list of its name and what it takes."""
    headers = MAKERS[made](source)
    for step in steps:
        _take(headers, step)
    return headers.raw


def changed_and_read(made: str, source: Any, steps: list[list[Any]], key: str) -> list[Any]:
    """What `keys`, `in`, `getlist(key)` and `len` say after some steps, when they have been asked before, too."""
    headers = MAKERS[made](source)
    for step in steps:
        _read(headers, key)
        _take(headers, step)
    return _read(headers, key)


def returned(made: str, source: Any, step: list[Any]) -> Any:
    """What a step returns."""
    return _take(MAKERS[made](source), step)


def refused(made: str, source: Any, step: list[Any]) -> list[Any]:
    """Whether a step raised ValueError, and `raw` after it."""
    headers = MAKERS[made](source)
    try:
        _take(headers, step)
    except ValueError:
        return ["ValueError", headers.raw]
    return ["no error", headers.raw]


def origin_after(made: str, source: Any, steps: list[list[Any]]) -> Any:
    """The list `source`, after steps on what was made from it."""
    headers = MAKERS[made](source)
    for step in steps:
        _take(headers, step)
    return source


def made_from_after(made: str, source: Any, steps: list[list[Any]]) -> Any:
    """`raw` of an object, after steps on a MutableHeaders that was made from it."""
    origin = MAKERS[made](source)
    headers = MutableHeaders(origin)
    for step in steps:
        _take(headers, step)
    return origin.raw


def made_before_after(source: Any, steps: list[list[Any]]) -> Any:
    """`raw` of a Headers that was made from a MutableHeaders, after steps on the latter."""
    headers = MutableHeaders(raw=source)
    copy = Headers(headers)
    for step in steps:
        _take(headers, step)
    return copy.raw


def given_after(source: Any, steps: list[list[Any]]) -> Any:
    """The list that `raw` gave, after steps on the headers that gave it."""
    headers = MutableHeaders(raw=source)
    given = headers.raw
    for step in steps:
        _take(headers, step)
    return given


def _take(headers: Any, step: list[Any]) -> Any:
    name, *values = step
    if name == "set":
        headers[values[0]] = values[1]
    elif name == "del":
        del headers[values[0]]
    elif name == "update with Headers":
        return headers.update(Headers(values[0]))
    else:
        return getattr(headers, name)(*values)
    return None


def _read(headers: Any, key: str) -> list[Any]:
    return [list(headers), key in headers, headers.getlist(key), len(headers)]


# --- State --------------------------------------------------------------------------------------------------


def state_gives(mapping: dict[str, Any], name: str) -> Any:
    return getattr(State(mapping), name)


def state_gives_or(mapping: dict[str, Any], name: str, default: Any) -> Any:
    return getattr(State(mapping), name, default)


def state_has(mapping: dict[str, Any], name: str) -> bool:
    return hasattr(State(mapping), name)


def state_gives_the_object(name: str) -> bool:
    """Whether what was put into the mapping comes out itself."""
    thing = object()
    return getattr(State({name: thing}), name) is thing


def mapping_after_set(mapping: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The mapping that the state was made from, after `state.name = value`."""
    setattr(State(mapping), name, value)
    return mapping


def mapping_after_del(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping that the state was made from, after `del state.name`."""
    delattr(State(mapping), name)
    return mapping


def state_after_others(mapping: dict[str, Any], name: str, value: Any) -> Any:
    """What `state.name` gives after somebody else has put it into the mapping."""
    state = State(mapping)
    mapping[name] = value
    return getattr(state, name)


def state_of_its_own(given_none: bool, name: str, value: Any) -> list[Any]:
    """What a state without a mapping gives after `state.name = value`, and whether another one has it too."""
    first, second = (State(None), State(None)) if given_none else (State(), State())
    setattr(first, name, value)
    return [getattr(first, name), hasattr(second, name)]
