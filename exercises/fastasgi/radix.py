"""The radix router: a router that finds its routes by walking along the path instead of trying each of them.

Rule 1: the tree only ever leaves out routes that cannot fit; whether one does is for its own `match` to say. So the
        answers, and their order, are those of the plain router.
Rule 2: a step goes by a whole segment, or by how a segment with a parameter begins: the cost of a lookup grows with
        the path and with the routes that may fit it, not with the table.
Rule 3: the tree belongs to one state of the table, and is made anew when the table has changed.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from typing import Any

from .routing import APIRouter, Route


class RadixRouter(APIRouter):
    """An APIRouter for many routes. Use it as `FastASGI(router=RadixRouter())`."""

    _routes: tuple[Route, ...] | None = None
    _tree: _Node

    def lookup(self, path: str) -> Iterator[tuple[Route, dict[str, Any]]]:
        """All routes that fit `path`, in the table's order, with their parameters; see `APIRouter.lookup`."""
        routes = self.routes
        if routes is not self._routes:
            self._tree, self._routes = _grown(routes), routes
        for place in sorted(self._tree.reached(path.split("/"))):
            route = routes[place]
            params = route.match(path)
            if params is not None:
                yield route, params


class _Node:
    """Where the paths of some routes have the same beginning, up to a slash.

    `ends` are the places in the table of routes whose path ends here, `rests` of those that may take any rest.
    """

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.rests: list[int] = []
        self.literals: dict[str, _Node] = {}
        self.beginnings: dict[str, _Node] = {}
        self.lengths: list[int] = []

    def reached(self, segments: Sequence[str], at: int = 0) -> set[int]:
        """The places of the routes that may fit the segments of a path, from the one at `at` on."""
        if at == len(segments):
            return {*self.ends, *self.rests}
        segment = segments[at]
        found = set(self.rests)
        if segment in self.literals:
            found |= self.literals[segment].reached(segments, at + 1)
        for length in self.lengths:
            child = self.beginnings.get(segment[:length])
            if child is not None:
                found |= child.reached(segments, at + 1)
        return found

    def literal(self, segment: str) -> _Node:
        """The node behind a segment that is literal, made if it is not there."""
        return self.literals.setdefault(segment, _Node())

    def beginning(self, text: str) -> _Node:
        """The node behind a segment that holds a parameter and begins with `text`, made if it is not there."""
        if len(text) not in self.lengths:
            self.lengths.append(len(text))
        return self.beginnings.setdefault(text, _Node())


def _grown(routes: Sequence[Route]) -> _Node:
    """The tree of a table."""
    root = _Node()
    for place, route in enumerate(routes):
        for template in route.templates:
            _plant(root, place, template, route.converters)
    return root


def _plant(root: _Node, place: int, template: str, converters: Container[str]) -> None:
    node = root
    for segment in re.findall(r"(?:\A|/)((?:[^/{]|\{[^}]*\})*)", template):
        text, brace, _ = segment.partition("{")
        node = node.beginning(text) if brace else node.literal(segment)
        if any(kind not in _WITHIN_A_SEGMENT or kind in converters for kind in _kinds(segment)):
            node.rests.append(place)
            return
    node.ends.append(place)


def _kinds(segment: str) -> list[str]:
    """The names of the converters of a segment's parameters."""
    return [kind or "str" for kind in re.findall(r"\{\w+:?([^}]*)\}", segment)]


_WITHIN_A_SEGMENT = frozenset({"str", "int", "float", "uuid"})
"""The converters whose texts never hold a slash."""
