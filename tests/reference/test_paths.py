"""The reference's path templates, called directly."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.paths import CompiledPath, Converter, compile_path

SEGMENTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1)
HEX = Converter("[0-9a-f]+", lambda text: int(text, 16), lambda value: f"{value:x}")


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("", "", {}),
        ("", "/", None),
        ("/about", "/about", {}),
        ("/about", "/about\n", None),
        ("/about", "/About", None),
        ("/a.b", "/axb", None),
        ("/{name}", "/a%20b", {"name": "a%20b"}),
        ("/{name}", "/", None),
        ("/{name}", "/a/b", None),
        ("/{name:str}", "/a\n", {"name": "a\n"}),
        ("/{a}-{b}", "/x-y-z", {"a": "x-y", "b": "z"}),
        ("/{n:int}", "/007", {"n": 7}),
        ("/{n:int}", "/" + "1" * 19, None),
        ("/{n:int}", "/٣", None),
        ("/{n:int}", "/-1", None),
        ("/{a:int}{b:int}", "/" + "1" * 20, {"a": int("1" * 18), "b": 11}),
        ("/{x:float}", "/3.25", {"x": 3.25}),
        ("/{x:float}", "/3", {"x": 3.0}),
        ("/{x:float}", "/1e3", None),
        ("/{x:float}", "/" + "9" * 400, None),
        ("/{key:uuid}", f"/{UUID(int=10)}".upper(), {"key": UUID(int=10)}),
        ("/{key:uuid}", f"/{UUID(int=10).hex}", None),
        ("/files/{rest:path}", "/files/", {"rest": ""}),
        ("/files/{rest:path}", "/files/a\n/b/", {"rest": "a\n/b/"}),
        ("/{a:path}/{b:path}", "/x/y/z", {"a": "x/y", "b": "z"}),
    ],
)
def test_match(template: str, path: str, expected: dict[str, Any] | None) -> None:
    assert compile_path(template).match(path) == expected


def test_a_float_is_a_float_even_without_a_fraction() -> None:
    values = compile_path("/{x:float}").match("/3")
    assert values is not None
    assert type(values["x"]) is float


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("/about", {}, "/about"),
        ("/a b/{name}", {"name": "é?#%"}, "/a%20b/%C3%A9%3F%23%25"),
        ("/{name}", {"name": "a+b:c@d!$&'()*,;=~"}, "/a+b:c@d!$&'()*,;=~"),
        ("/{rest:path}", {"rest": "a/b c"}, "/a/b%20c"),
        ("/{rest:path}", {"rest": ""}, "/"),
        ("/{n:int}", {"n": 10**18 - 1}, "/" + "9" * 18),
        ("/{x:float}", {"x": 1e22}, "/1" + "0" * 22),
        ("/{x:float}", {"x": 1e-7}, "/0.0000001"),
        ("/{x:float}", {"x": 2}, "/2"),
        ("/{key:uuid}", {"key": UUID(int=1)}, f"/{UUID(int=1)}"),
        ("/{self}", {"self": "me"}, "/me"),
    ],
)
def test_format(template: str, values: dict[str, Any], expected: str) -> None:
    assert compile_path(template).format(**values) == expected


@pytest.mark.parametrize(
    ("template", "values", "words"),
    [
        ("/{a}/{b}", {"a": "x"}, "given values for a. .*: a, b."),
        ("/{a}", {"a": "x", "b": 1, "c": 2}, "given values for a, b, c. .*: a."),
        ("/about", {"a": "x"}, "it has none"),
        ("/{a}", {}, "given values for nothing"),
        ("/{a}", {"a": ""}, "cannot be written"),
        ("/{a}", {"a": "x/y"}, "cannot be written"),
        ("/{a}", {"a": 5}, "cannot be written"),
        ("/{a}-{b}", {"a": "x", "b": "y-z"}, "cannot be written"),
        ("/{n:int}", {"n": -1}, "cannot be written"),
        ("/{n:int}", {"n": 10**18}, "cannot be written"),
        ("/{n:int}", {"n": True}, "cannot be written"),
        ("/{n:int}", {"n": "5"}, "cannot be written"),
        ("/{x:float}", {"x": float("nan")}, "cannot be written"),
        ("/{x:float}", {"x": float("inf")}, "cannot be written"),
        ("/{x:float}", {"x": 10**400}, "cannot be written"),
        ("/{x:float}", {"x": -1.5}, "cannot be written"),
        ("/{x:float}", {"x": True}, "is no float"),
        ("/{x:float}", {"x": "1.5"}, "is no float"),
        ("/{key:uuid}", {"key": str(UUID(int=1))}, "cannot be written"),
        ("/{rest:path}", {"rest": None}, "cannot be written"),
        ("/{rest:path}", {"rest": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_format_refuses(template: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_path(template).format(**values)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("/{n:integer}", "no converter 'integer'.*float, int, path, str, uuid"),
        ("/{n:}", "no converter ''"),
        ("/{n: int}", "no converter ' int'"),
        ("/{a}/{b}/{a:int}", "two parameters are called 'a'"),
        ("/{}", "'' is no name"),
        ("/{1a}", "'1a' is no name"),
        ("/{a-b}", "'a-b' is no name"),
        ("/{é}", "'é' is no name"),
        ("/{a", "a brace stands alone"),
        ("/a}", "a brace stands alone"),
        ("/{{a}}", "a brace stands alone"),
    ],
)
def test_a_wrong_template_is_refused_when_it_is_made(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_path(template)


def test_a_converter_of_ones_own_is_known_to_its_template_alone() -> None:
    own = {"hex": HEX}
    template = compile_path("/{a:hex}/{b:int}", own)
    assert template.match("/ff/1") == {"a": 255, "b": 1}
    assert template.format(a=255, b=1) == "/ff/1"
    assert own == {"hex": HEX}
    with pytest.raises(ValueError, match="no converter 'hex'"):
        compile_path("/{a:hex}")


def test_groups_and_alternatives_of_a_converter_stay_its_own() -> None:
    size = Converter("([0-9]+)x([0-9]+)|none", str, str)
    template = compile_path("/{a:size}/{b}", {"size": size})
    assert template.match("/3x4/c") == {"a": "3x4", "b": "c"}
    assert template.match("/none/c") == {"a": "none", "b": "c"}
    assert template.match("/none") is None


def test_what_a_converter_of_ones_own_refuses_does_not_match() -> None:
    def month(text: str) -> int:
        if not 1 <= int(text) <= 12:
            raise ValueError("no such month")
        return int(text)

    template = compile_path("/{m:month}", {"month": Converter("[0-9]{2}", month, "{:02}".format)})
    assert template.match("/12") == {"m": 12}
    assert template.match("/13") is None
    with pytest.raises(ValueError, match="cannot be written"):
        template.format(m=13)


def test_a_bug_of_a_converter_is_not_taken_for_no_match() -> None:
    share = Converter("[0-9]", lambda text: 100 // int(text), str)
    with pytest.raises(ZeroDivisionError):
        compile_path("/{a:share}", {"share": share}).match("/0")


def test_each_match_gives_a_new_dict() -> None:
    template = compile_path("/{a}")
    first = template.match("/x")
    assert first is not None
    first.clear()
    assert template.match("/x") == {"a": "x"}


@given(
    text=SEGMENTS,
    number=st.integers(0, 10**18 - 1),
    price=st.floats(min_value=0, allow_infinity=False),
    key=st.uuids(),
    rest=st.text(st.characters(exclude_categories=["Cs"])),
)
@example(text="a%2Fb", number=0, price=5e-324, key=UUID(int=0), rest="\n")
def test_what_is_written_can_be_read(text: str, number: int, price: float, key: UUID, rest: str) -> None:
    template = compile_path("/(%)/{text}/{number:int}/{price:float}/{key:uuid}/{rest:path}")
    values = {"text": text, "number": number, "price": price, "key": key, "rest": rest}
    written = template.format(**values)
    assert written.isascii()
    assert template.match(unquote(written)) == values


@given(a=st.text("xy-/", min_size=1, max_size=6), b=st.text("xy-/", min_size=1, max_size=6))
def test_whatever_is_written_gives_its_values_back(a: str, b: str) -> None:
    template = compile_path("/{a}-{b:path}")
    path = f"/{a}-{b}"
    if template.match(path) == {"a": a, "b": b}:
        assert template.format(a=a, b=b) == path
    else:
        with pytest.raises(ValueError, match="cannot be written"):
            template.format(a=a, b=b)


@given(literal=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}")), other=st.text())
@example(literal="/a|b", other="/a")
def test_a_literal_matches_itself_alone(literal: str, other: str) -> None:
    template = compile_path(literal)
    assert template.match(literal) == {}
    assert (template.match(other) == {}) is (literal == other)


def test_a_template_is_what_compile_path_makes() -> None:
    assert isinstance(compile_path("/"), CompiledPath)
