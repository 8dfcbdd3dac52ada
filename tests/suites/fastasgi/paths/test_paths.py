"""Judges path templates by a slow matcher of our own, which knows no regular expressions.

Rule 1: what a path means is decided by `read`, which tries every split, the longest first.
Rule 2: a test of one converter uses no other, and literals that mean nothing in a regex, so that a mistake
costs the requirement that it is about. Literals have their own requirement.
Rule 3: a test that demands a refusal first demands that the like of it is accepted.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, TypeVar
from urllib.parse import unquote
from uuid import UUID

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Submission, raised, requirement

Test = TypeVar("Test", bound=Callable[..., None])

DIGITS = "0123456789"
HEXADECIMAL = DIGITS + "abcdefABCDEF"

# --- the oracle ---------------------------------------------------------------------------------------------


def pieces(template: str) -> list[tuple[str, str]]:
    """The literals `("", text)` and parameters `(name, converter)` of a well-formed template, in order."""
    found = []
    rest = template
    while rest:
        literal, brace, rest = rest.partition("{")
        found.append(("", literal))
        if brace:
            declared, _, rest = rest.partition("}")
            name, _, kind = declared.partition(":")
            found.append((name, kind or "str"))
    return found


def fits(kind: str, text: str) -> bool:
    """Whether the converter takes this text."""
    if kind == "str":
        return text != "" and "/" not in text
    if kind == "int":
        return 1 <= len(text) <= 18 and only(DIGITS, text)
    if kind == "float":
        whole, point, fraction = text.partition(".")
        return only(DIGITS, whole) and (only(DIGITS, fraction) if point else True)
    if kind == "uuid":
        groups = text.split("-")
        return [len(group) for group in groups] == [8, 4, 4, 4, 12] and only(HEXADECIMAL, "".join(groups))
    return True


def only(characters: str, text: str) -> bool:
    """Whether there is a text, made of these characters alone."""
    return text != "" and text.strip(characters) == ""


def value(kind: str, text: str) -> Any:
    """What the converter makes of a text that fits."""
    return {"int": int, "float": float, "uuid": UUID}.get(kind, str)(text)


def read(template: str, path: str) -> dict[str, Any] | None:
    """What matching has to give: every split is tried, the one with the longest first piece first."""
    return _read(pieces(template), path)


def _read(rest: list[tuple[str, str]], path: str) -> dict[str, Any] | None:
    if not rest:
        return {} if path == "" else None
    name, kind = rest[0]
    if name == "":
        return _read(rest[1:], path[len(kind) :]) if path.startswith(kind) else None
    for end in range(len(path), -1, -1):
        if fits(kind, path[:end]):
            found = _read(rest[1:], path[end:])
            if found is not None:
                return {name: value(kind, path[:end]), **found}
    return None


def write(template: str, values: dict[str, Any]) -> str:
    """The path that the values give, not percent-encoded."""
    return "".join(text_of(values[name]) if name else kind for name, kind in pieces(template))


def text_of(item: Any) -> str:
    """The text of a value of one of the five types, a float without an exponent."""
    return format(Decimal(repr(item)), "f") if isinstance(item, float) else str(item)


def check(received: Any, expected: dict[str, Any] | None) -> None:
    """The same values, of the same types."""
    assert received == expected
    if expected is not None:
        assert types(received) == types(expected)


def types(values: dict[str, Any]) -> dict[str, str]:
    """The types of values, by name."""
    return {name: type(item).__name__ for name, item in values.items()}


# --- what is drawn ------------------------------------------------------------------------------------------

CHARACTERS = st.sampled_from("a.Z/1^$*+?|()[]\\-_~%# &;:=@\n\té٣") | st.characters(
    exclude_categories=["Cs"], exclude_characters="{}"
)
LITERALS = st.text(CHARACTERS, max_size=8)
ANYTHING = st.text(CHARACTERS | st.sampled_from("{}"), max_size=12)
SEGMENTS = ANYTHING.map(lambda text: text.replace("/", "")).filter(bool)
SURROGATES = st.characters(categories=["Cs"])
NUMBERS = st.integers(0, 10**18 - 1)
FLOATS = st.floats(min_value=0, allow_infinity=False)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


def templates(kind: str) -> st.SearchStrategy[str]:
    """Templates with one to four parameters of one converter, and plain literals between them."""
    parameters = [f"{{{name}:{kind}}}" for name in "abcd"]
    separators = st.lists(st.sampled_from(["", "-", "/", "--"]), min_size=1, max_size=4)
    return separators.map(lambda between: "/" + "".join(map("".join, zip(parameters, between, strict=False))))


def paths(characters: str, longest: int) -> st.SearchStrategy[str]:
    """Paths made of a few characters, so that many of them match."""
    return st.text(st.sampled_from(characters), max_size=longest).map("/".__add__)


def each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values."""

    def pin(test: Test) -> Test:
        for combination in product(*values.values()):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


# --- literals -----------------------------------------------------------------------------------------------


@requirement("PATH-01")
@given(before=LITERALS, old=LITERALS, new=LITERALS, after=LITERALS)
@example(before="/a", old="", new="\n", after="")
@example(before="/a", old="", new="/", after="")
@example(before="/a", old="/", new="", after="")
@example(before="/a", old="", new="b", after="")
@example(before="", old="", new="x", after="/a")
@example(before="", old="", new="/", after="")
@example(before="/", old=".", new="x", after="")
@example(before="/a", old="+", new="a", after="")
@example(before="/a", old="|/b", new="", after="")
@example(before="/a", old="|/", new="", after="b")
@example(before="/", old="(a)", new="a", after="")
@example(before="/", old="[a]", new="a", after="")
@example(before="/a", old="$", new="", after="")
@example(before="/", old="\\d", new="1", after="")
@example(before="/", old="A", new="a", after="")
@example(before="/a", old="%20", new=" ", after="b")
@example(before="/a", old=" ", new="%20", after="b")
@example(before="/a", old="+", new=" ", after="b")
@example(before="/", old="é", new="e\u0301", after="")
def test_a_template_of_literal_text_matches_that_text_alone(
    submission: Submission, before: str, old: str, new: str, after: str
) -> None:
    """A template without parameters matches its own text (`{}`), and no other (`None`)."""
    assume(old != new)
    template = before + old + after
    assert submission.call("match", template=template, path=template) == {}
    check(submission.call("match", template=template, path=before + new + after), None)


@requirement("PATH-01")
@given(before=LITERALS, name=st.text(string.ascii_letters, min_size=1), after=LITERALS)
@example(before="/a.b/", name="x", after="")
@example(before="/(", name="x", after=")?")
@example(before="/%7B", name="x", after="%7D")
def test_literal_text_around_a_parameter_is_literal_too(
    submission: Submission, before: str, name: str, after: str
) -> None:
    """Literal text before and after a parameter matches itself."""
    template = before + "{name}" + after
    check(submission.call("match", template=template, path=before + name + after), {"name": name})


# --- str and path -------------------------------------------------------------------------------------------


@requirement("PATH-02")
@given(segment=SEGMENTS)
@example(segment="ada")
@example(segment="a\n")
@example(segment="\n")
@example(segment="a%20b")
@example(segment="a%2Fb")
@example(segment="a+b")
@example(segment=" ")
@example(segment="٣")
@example(segment="..")
@example(segment="{name}")
@example(segment="x" * 2000)
def test_a_parameter_takes_one_segment_unchanged(submission: Submission, segment: str) -> None:
    """`{name}` and `{name:str}` take any one segment, and change nothing in it."""
    check(submission.call("match", template="/users/{name}", path=f"/users/{segment}"), {"name": segment})
    check(
        submission.call("match", template="/{name:str}/files", path=f"/{segment}/files"),
        {"name": segment},
    )


@requirement("PATH-02")
@given(segment=SEGMENTS, other=ANYTHING)
@example(segment="a", other="")
@example(segment="a", other="b")
def test_a_parameter_takes_neither_nothing_nor_a_slash(
    submission: Submission, segment: str, other: str
) -> None:
    """`{name}` does not match an empty segment, nor a text with a `/` in it."""
    check(submission.call("match", template="/users/{name}", path=f"/users/{segment}"), {"name": segment})
    check(submission.call("match", template="/users/{name}", path="/users/"), None)
    check(submission.call("match", template="/users/{name}", path=f"/users/{segment}/{other}"), None)
    check(submission.call("match", template="/users/{name}", path=f"/users/{other}/{segment}"), None)


@requirement("PATH-02")
@given(template=templates("str"), path=paths("xy-/", 14))
@example(template="/{a:str}-{b:str}", path="/x-y-z")
@example(template="/{a:str}{b:str}", path="/xyz")
@example(template="/{a:str}{b:str}", path="/x")
@example(template="/{a:str}-{b:str}-{c:str}-{d:str}", path="/1-2-3-4-5-6")
@example(template="/{a:str}--{b:str}", path="/---x---")
@example(template="/{a:str}/{b:str}", path="/x/y")
def test_several_parameters_share_a_path_greedily(submission: Submission, template: str, path: str) -> None:
    """Of several `{name:str}`, the first takes as much as it can, then the second, and so on."""
    check(submission.call("match", template=template, path=path), read(template, path))


@requirement("PATH-02")
def test_each_match_gives_a_new_dict(submission: Submission) -> None:
    """What a caller does to the dict that it got does not show in the next one."""
    check(submission.call("match_twice", template="/users/{name}", path="/users/ada"), {"name": "ada"})


@requirement("PATH-03")
@given(rest=ANYTHING)
@example(rest="")
@example(rest="/")
@example(rest="a/b")
@example(rest="\n")
@example(rest="a\nb/c\n")
@example(rest="//a//")
@example(rest="a%2Fb+c")
def test_a_path_parameter_takes_any_text(submission: Submission, rest: str) -> None:
    """`{name:path}` takes whatever is there, also nothing, slashes and newlines."""
    check(submission.call("match", template="/files/{rest:path}", path=f"/files/{rest}"), {"rest": rest})
    check(submission.call("match", template="{rest:path}/edit", path=f"{rest}/edit"), {"rest": rest})
    check(submission.call("match", template="/files/{rest:path}", path=f"files/{rest}"), None)


@requirement("PATH-03")
@given(template=templates("path"), path=paths("xy-/", 10))
@example(template="/{a:path}/{b:path}", path="/x/y/z")
@example(template="/{a:path}/{b:path}", path="/x")
@example(template="/{a:path}{b:path}", path="/x")
@example(template="/{a:path}--", path="/x--y--")
def test_several_path_parameters_share_a_path_greedily(
    submission: Submission, template: str, path: str
) -> None:
    """Of several `{name:path}`, the first takes as much as it can, then the second, and so on."""
    check(submission.call("match", template=template, path=path), read(template, path))


# --- int, float, uuid ---------------------------------------------------------------------------------------


@requirement("PATH-04")
@given(number=NUMBERS, width=st.integers(1, 18))
@example(number=0, width=1)
@example(number=0, width=18)
@example(number=7, width=3)
@example(number=10**18 - 1, width=1)
def test_int_segment_becomes_that_int(submission: Submission, number: int, width: int) -> None:
    """`{n:int}` takes 1 to 18 ASCII digits, leading zeros too, and gives an int."""
    path = f"/items/{number:0{width}}"
    check(submission.call("match", template="/items/{n:int}", path=path), {"n": number})


@requirement("PATH-04")
@given(
    text=st.text(st.sampled_from(DIGITS) | st.sampled_from("+-_ .,xeE٣\uff13²\n\t") | CHARACTERS, max_size=22)
)
@example(text="")
@example(text="-1")
@example(text="+1")
@example(text=" 1")
@example(text="1 ")
@example(text="1\n")
@example(text="1_000")
@example(text="٣")
@example(text="\uff13")
@example(text="²")
@example(text="1.0")
@example(text="1e3")
@example(text="0x1")
@example(text="ten")
@example(text="0" * 19)
@example(text="1" * 19)
@example(text="9" * 5000)
def test_int_takes_nothing_else(submission: Submission, text: str) -> None:
    """`{n:int}` takes no sign, space, underscore, other script's digit, and not more than 18 digits."""
    assume(not fits("int", text))
    check(submission.call("match", template="/items/{n:int}", path="/items/17"), {"n": 17})
    check(submission.call("match", template="/items/{n:int}", path=f"/items/{text}"), None)


@requirement("PATH-04")
@given(template=templates("int"), path=paths(DIGITS + "-", 44))
@example(template="/{a:int}-{b:int}", path="/12-34")
@example(template="/{a:int}{b:int}", path="/12345678901234567890")
@example(template="/{a:int}{b:int}", path="/123")
@example(template="/{a:int}{b:int}", path="/1")
@example(template="/{a:int}{b:int}{c:int}", path="/" + "1" * 54)
@example(template="/{a:int}{b:int}{c:int}", path="/" + "1" * 55)
def test_several_ints_share_a_path_greedily(submission: Submission, template: str, path: str) -> None:
    """Of several `{n:int}`, the first takes as many digits as it can, then the second, and so on."""
    check(submission.call("match", template=template, path=path), read(template, path))


@requirement("PATH-05")
@given(
    whole=st.text(DIGITS, min_size=1, max_size=25),
    fraction=st.none() | st.text(DIGITS, min_size=1, max_size=25),
)
@example(whole="3", fraction="25")
@example(whole="3", fraction=None)
@example(whole="007", fraction="50")
@example(whole="0", fraction="0")
@example(whole="0", fraction="1")
@example(whole="9007199254740993", fraction=None)
@example(whole="1" * 309, fraction="5")
@example(whole="0", fraction="0" * 400 + "1")
def test_float_segment_becomes_that_float(submission: Submission, whole: str, fraction: str | None) -> None:
    """`{x:float}` takes ASCII digits with an optional fraction, and gives a float."""
    text = whole if fraction is None else f"{whole}.{fraction}"
    check(submission.call("match", template="/items/{x:float}", path=f"/items/{text}"), {"x": float(text)})


@requirement("PATH-05")
@given(
    text=st.text(st.sampled_from(DIGITS) | st.sampled_from(".+-_ ,eE٣\uff13²\n\t") | CHARACTERS, max_size=12)
)
@example(text="")
@example(text=".")
@example(text=".5")
@example(text="5.")
@example(text="1.2.3")
@example(text="-1")
@example(text="-1.5")
@example(text="+1")
@example(text=" 1")
@example(text="1.5\n")
@example(text="1\n")
@example(text="1_0")
@example(text="1.5_0")
@example(text="1e5")
@example(text="1E5")
@example(text="1,5")
@example(text="٣")
@example(text="1.٣")
@example(text="nan")
@example(text="inf")
@example(text="Infinity")
@example(text="9" * 400)
@example(text="9" * 400 + ".5")
def test_float_takes_nothing_else(submission: Submission, text: str) -> None:
    """`{x:float}` takes no sign, exponent, `nan` or `inf`, and no number that is too large to be finite."""
    assume(not fits("float", text) or value("float", text) == float("inf"))
    check(submission.call("match", template="/items/{x:float}", path="/items/1.5"), {"x": 1.5})
    check(submission.call("match", template="/items/{x:float}", path=f"/items/{text}"), None)


@requirement("PATH-05")
@given(template=templates("float"), path=paths("0123456789..-", 14))
@example(template="/{a:float}-{b:float}", path="/1.5-2")
@example(template="/{a:float}{b:float}", path="/1.25")
@example(template="/{a:float}{b:float}", path="/1.5.5")
@example(template="/{a:float}{b:float}", path="/12")
def test_several_floats_share_a_path_greedily(submission: Submission, template: str, path: str) -> None:
    """Of several `{x:float}`, the first takes as much as it can, then the second, and so on."""
    check(submission.call("match", template=template, path=path), read(template, path))


@requirement("PATH-06")
@given(key=st.uuids(), capitals=st.sets(st.integers(0, 35)))
@example(key=UUID(int=0), capitals=set())
@example(key=UUID(int=2**128 - 1), capitals=set())
@example(key=UUID(int=2**128 - 1), capitals=set(range(36)))
@example(key=UUID("aAaAaAaA-bBbB-cCcC-dDdD-eEeEeEeEeEeE"), capitals={0})
def test_uuid_segment_becomes_that_uuid(submission: Submission, key: UUID, capitals: set[int]) -> None:
    """`{key:uuid}` takes a hyphenated UUID in either case, and gives a UUID."""
    text = "".join(char.upper() if place in capitals else char for place, char in enumerate(str(key)))
    check(submission.call("match", template="/items/{key:uuid}", path=f"/items/{text}"), {"key": key})


@requirement("PATH-06")
@given(
    key=st.uuids(), place=st.integers(0, 35), new=CHARACTERS | st.sampled_from(["", "00", "-", "g", "\uff13"])
)
@example(key=UUID(int=1), place=8, new="")
@example(key=UUID(int=1), place=8, new="0")
@example(key=UUID(int=1), place=9, new="-")
@example(key=UUID(int=1), place=35, new="")
@example(key=UUID(int=1), place=35, new="11")
@example(key=UUID(int=1), place=35, new="1\n")
@example(key=UUID(int=1), place=0, new="g")
@example(key=UUID(int=1), place=0, new="\uff13")
@example(key=UUID(int=1), place=0, new="")
def test_uuid_takes_no_spoilt_text(submission: Submission, key: UUID, place: int, new: str) -> None:
    """`{key:uuid}` takes no text with a character missing, added or of another kind."""
    text = str(key)[:place] + new + str(key)[place + 1 :]
    assume(not fits("uuid", text))
    check(submission.call("match", template="/items/{key:uuid}", path=f"/items/{key}"), {"key": key})
    check(submission.call("match", template="/items/{key:uuid}", path=f"/items/{text}"), None)


@requirement("PATH-06")
@given(
    key=st.uuids(), form=st.sampled_from(["", "{hex}", "{{{key}}}", "{urn}", "{hex:.8}-{hex:.24}", "{key}-"])
)
@example(key=UUID(int=1), form="")
@example(key=UUID(int=1), form="{hex}")
@example(key=UUID(int=1), form="{{{key}}}")
@example(key=UUID(int=1), form="{urn}")
@example(key=UUID(int=1), form="{hex:.4}-{hex:.4}-{hex:.4}-{hex:.4}-{hex:.16}")
def test_uuid_takes_no_other_form(submission: Submission, key: UUID, form: str) -> None:
    """`{key:uuid}` takes neither braces, nor `urn:uuid:`, nor hyphens left out or elsewhere."""
    text = form.format(key=key, hex=key.hex, urn=key.urn)
    check(submission.call("match", template="/items/{key:uuid}", path=f"/items/{key}"), {"key": key})
    check(submission.call("match", template="/items/{key:uuid}", path=f"/items/{text}"), None)


# --- templates that are refused -----------------------------------------------------------------------------


@requirement("PATH-07")
@given(kind=st.text(string.ascii_letters + "_ :", max_size=8))
@example(kind="integer")
@example(kind="")
@example(kind="Int")
@example(kind=" int")
@example(kind="int ")
@example(kind="int:int")
@example(kind="hex")
def test_an_unknown_converter_is_refused(submission: Submission, kind: str) -> None:
    """A converter that nobody gave is a ValueError when the template is made."""
    assume(kind not in ("str", "int", "float", "uuid", "path"))
    check(submission.call("match", template="/items/{n:str}", path="/items/1"), {"n": "1"})
    with raised("ValueError"):
        submission.call("make", template=f"/items/{{n:{kind}}}")


@requirement("PATH-07")
@given(name=NAMES, first=st.sampled_from(["", ":str", ":int"]), second=st.sampled_from(["", ":str", ":int"]))
@example(name="id", first="", second="")
@example(name="id", first="", second=":int")
def test_a_name_that_occurs_twice_is_refused(
    submission: Submission, name: str, first: str, second: str
) -> None:
    """Two parameters of one name are a ValueError when the template is made; two names are not."""
    template = f"/{{{name}{first}}}/{{other__}}/{{{name}x{second}}}"
    assert set(submission.call("match", template=template, path="/1/2/3")) == {name, "other__", f"{name}x"}
    with raised("ValueError"):
        submission.call("make", template=f"/{{{name}{first}}}/{{other__}}/{{{name}{second}}}")


@requirement("PATH-07")
@given(
    name=NAMES,
    bad=st.from_regex(r"[0-9][A-Za-z0-9_]{0,5}|[A-Za-z_]{0,3}[-. !$()*+,;@~][a-z0-9]{0,3}", fullmatch=True),
)
@example(name="id", bad="")
@example(name="_", bad="1")
@example(name="A9_z", bad="1a")
@example(name="class", bad="a-b")
@example(name="a", bad="a b")
@example(name="a", bad=" a")
@example(name="a", bad="a ")
@example(name="a", bad="a\n")
@example(name="a", bad="a.b")
@example(name="a", bad="a!r")
@example(name="a", bad="*")
@example(name="a", bad="a[0]")
@example(name="a", bad="é")
@example(name="a", bad="a٣")
def test_an_ill_formed_name_is_refused(submission: Submission, name: str, bad: str) -> None:
    """A name of anything but ASCII letters, digits and `_`, or with a digit first, is a ValueError."""
    check(submission.call("match", template=f"/items/{{{name}}}", path="/items/x"), {name: "x"})
    with raised("ValueError"):
        submission.call("make", template=f"/items/{{{bad}}}")
    with raised("ValueError"):
        submission.call("make", template=f"/items/{{{bad}:int}}")


@requirement("PATH-07")
@given(
    before=st.sampled_from(["", "{a}"]), stray=st.sampled_from(["{", "}"]), after=st.sampled_from(["", "b"])
)
@each(
    before=["/"],
    stray=["{", "}", "{id", "id}", "{id:int", "{{id}}", "{{id}", "{id}}", "}id{", "{a{b}}"],
    after=[""],
)
@example(before="/{a}/", stray="{b", after="")
def test_a_stray_brace_is_refused(submission: Submission, before: str, stray: str, after: str) -> None:
    """A brace that is no part of `{name}` or `{name:converter}` is a ValueError when the template is made."""
    check(submission.call("match", template="/{id}", path="/x"), {"id": "x"})
    with raised("ValueError"):
        submission.call("make", template=before + stray + after)


# --- converters of one's own --------------------------------------------------------------------------------


@requirement("PATH-08")
@given(number=st.integers(0, 2**40), name=SEGMENTS)
@example(number=255, name="x")
def test_a_converter_of_ones_own_parses_and_formats(submission: Submission, number: int, name: str) -> None:
    """The value is what `parse` makes of the text, the text what `format` makes of the value."""
    template, values = "/paint/{colour:hex}/{name}", {"colour": number, "name": name}
    check(submission.call("match_with", template=template, path=f"/paint/{number:x}/{name}"), values)
    written = submission.call("write_with", template=template, values={"colour": number, "name": "x"})
    assert written == f"/paint/{number:x}/x"


OWN_NAMES = ["hex", "language", "line", "lower", "month", "place", "share", "size"]
OWN: list[tuple[str, str, dict[str, Any] | None]] = [
    ("/{a:language}/x", "/en/x", {"a": "en"}),
    ("/{a:line}", "/one line", {"a": "one line"}),
    ("/{a:line}", "/two\nlines", None),
    ("/{a:language}/x", "/den/x", {"a": "den"}),
    ("/{a:language}/x", "/en", None),
    ("/{a:language}/x", "/fr/x", None),
    ("/x/{a:language}", "/x/de", {"a": "de"}),
    ("/x/{a:language}", "/x/den", {"a": "den"}),
    ("/x/{a:language}", "de", None),
    ("/x/{a:language}", "/x/deen", None),
    ("/{a:size}/{b}", "/3x14/15", {"a": [3, 14], "b": "15"}),
    ("/{a:size}/{b:size}", "/3x14/15x92", {"a": [3, 14], "b": [15, 92]}),
    ("/{a:size}/{b}", "/3x/15", None),
    ("/{a:place}/{b:int}", "/rome/forum/1", {"a": "rome/forum", "b": 1}),
    ("/{a:place}/{b:int}", "/rome/1", None),
    ("/{a:month}", "/12", {"a": 12}),
    ("/{a:month}", "/13", None),
    ("/{a:month}", "/1", None),
    ("/{a:int}/{b:month}", "/1/01", {"a": 1, "b": 1}),
    ("/{a:int}/{b:month}", "/1/00", None),
]


@requirement("PATH-08")
@given(case=st.sampled_from(OWN))
@each(case=OWN)
def test_a_converter_of_ones_own_decides_what_it_takes(
    submission: Submission, case: tuple[str, str, dict[str, Any] | None]
) -> None:
    """The whole text must match the `regex`, groups and alternatives included, and `parse` must accept it."""
    check(submission.call("match_with", template="/{a:hex}/{b:month}", path="/ff/07"), {"a": 255, "b": 7})
    template, path, expected = case
    check(submission.call("match_with", template=template, path=path), expected)


@requirement("PATH-08")
def test_another_exception_of_parse_goes_through(submission: Submission) -> None:
    """Only a ValueError of `parse` means "no match": any other exception is a bug that must not be hidden."""
    check(submission.call("match_with", template="/{a:share}", path="/4"), {"a": 25})
    with raised("ZeroDivisionError"):
        submission.call("match_with", template="/{a:share}", path="/0")


@requirement("PATH-08")
@given(good=st.text("abcé ", min_size=1, max_size=8), bad=st.text("abcABC1/", min_size=1, max_size=8))
@example(good="a é", bad="A")
@example(good="a", bad="1")
@example(good="a", bad="a/b")
def test_what_a_converter_of_ones_own_writes_is_checked(submission: Submission, good: str, bad: str) -> None:
    """What a converter of one's own would not give back is a ValueError; its text is percent-encoded."""
    assume(bad != bad.lower() or not only("abc", bad))
    written = submission.call("write_with", template="/x/{a:lower}", values={"a": good})
    assert unquote(path_of_rfc3986(written)) == f"/x/{good}"
    with raised("ValueError"):
        submission.call("write_with", template="/x/{a:lower}", values={"a": bad})


@requirement("PATH-08")
@given(name=st.sampled_from(OWN_NAMES))
@each(name=OWN_NAMES)
def test_a_converter_is_known_to_its_own_template_only(submission: Submission, name: str) -> None:
    """What one template was given, the next one does not know; the five are always known."""
    given_to_first = f"/{{a:{name}}}/{{b:int}}"
    check(
        submission.call("match_after", given=given_to_first, template="/{a:int}/{b}", path="/1/x"),
        {"a": 1, "b": "x"},
    )
    with raised("ValueError"):
        submission.call("match_after", given=given_to_first, template=given_to_first, path="/1/1")


@requirement("PATH-08")
def test_two_templates_may_mean_two_things_by_one_name(submission: Submission) -> None:
    """Each template keeps the converter that it was given, whatever the next one is given by that name."""
    both = submission.call("match_both", template="/{n:number}", path="/17")
    assert both == [{"n": 0x17}, {"n": 0o17}]


@requirement("PATH-08")
def test_the_mapping_of_converters_is_only_read(submission: Submission) -> None:
    """The mapping that a caller hands over holds the same names afterwards."""
    check(submission.call("match_with", template="/{a:hex}", path="/a"), {"a": 10})
    names = submission.call("names_after", template="/{a:hex}/{b:int}", path="/a/1")
    assert names == OWN_NAMES


# --- writing a path -----------------------------------------------------------------------------------------

KINDS = {"text": "str", "number": "int", "price": "float", "key": "uuid", "rest": "path"}
VALUES = st.fixed_dictionaries(
    {"text": SEGMENTS, "number": NUMBERS, "price": FLOATS, "key": st.uuids(), "rest": ANYTHING}
)


@st.composite
def mixed_templates(draw: st.DrawFn) -> str:
    """Templates with one to four parameters out of `KINDS`, and any literals between them."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4, unique=True))
    return draw(LITERALS) + "".join(f"/{{{name}:{KINDS[name]}}}/{draw(LITERALS)}" for name in names)


def path_of_rfc3986(written: Any) -> str:
    """A path that was written, after a look at its characters (RFC 3986, section 3.3)."""
    assert isinstance(written, str), f"format returned {written!r}, which is no str"
    outside = re.sub(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2}", "", written)
    assert outside == "", f"{written!r} holds characters that must be percent-encoded: {outside!r}"
    return written


@requirement("PATH-09")
@given(template=mixed_templates(), values=VALUES)
@example(
    template="/a b%/{text:str}/{number:int}/{rest:path}",
    values={"text": "x y", "number": 7, "price": 0.0, "key": UUID(int=1), "rest": "c/d?"},
)
@example(
    template="/{key:uuid}/{price:float}/{rest:path}",
    values={"text": "x", "number": 7, "price": 0.5, "key": UUID(int=1), "rest": ""},
)
def test_a_path_that_was_written_gives_its_values_back(
    submission: Submission, template: str, values: dict[str, Any]
) -> None:
    """Decoded and matched, the path that `format` writes gives the values that it was made from."""
    used = {name: values[name] for name, _ in pieces(template) if name}
    assume(read(template, write(template, used)) == used)
    written = submission.call("write", template=template, values=used)
    check(read(template, unquote(path_of_rfc3986(written))), used)


@requirement("PATH-09")
def test_every_well_formed_name_can_be_given(submission: Submission) -> None:
    """A parameter may have any well-formed name, also `self`, `template` or `class`."""
    for name in ("self", "template", "path", "values", "class", "_"):
        assert submission.call("write", template=f"/x/{{{name}}}", values={name: "y"}) == "/x/y"


@requirement("PATH-09")
@given(segment=SEGMENTS)
@example(segment="a b")
@example(segment="a+b")
@example(segment="%")
@example(segment="%41")
@example(segment="%2F")
@example(segment="?")
@example(segment="#")
@example(segment="é")
@example(segment="e\u0301")
@example(segment="€ 𝄞")
@example(segment="\n")
@example(segment="\x00\x7f")
@example(segment='a\\b|c^d`e<f>g"h[i]{j}')
@example(segment="..")
def test_text_is_percent_encoded_as_utf8(submission: Submission, segment: str) -> None:
    """What a path cannot hold as it is, is percent-encoded as UTF-8, in values and in literals."""
    written = submission.call("write", template="/x/{text}", values={"text": segment})
    assert unquote(path_of_rfc3986(written)) == f"/x/{segment}"
    literal = segment.replace("{", "").replace("}", "")
    written = submission.call("write", template=f"/{literal}/{{text}}", values={"text": "x"})
    assert unquote(path_of_rfc3986(written)) == f"/{literal}/x"
    written = submission.call("write", template=f"/{literal}", values={})
    assert unquote(path_of_rfc3986(written)) == f"/{literal}"


@requirement("PATH-09")
@given(rest=ANYTHING)
@example(rest="a/b c")
@example(rest="")
@example(rest="/")
@example(rest="a\nb")
def test_a_slash_of_a_path_value_stays_a_slash(submission: Submission, rest: str) -> None:
    """`{name:path}` writes `/` as it is."""
    written = submission.call("write", template="/files/{rest:path}", values={"rest": rest})
    assert unquote(path_of_rfc3986(written)) == f"/files/{rest}"
    assert written.count("/") == f"/files/{rest}".count("/")


@requirement("PATH-09")
@given(price=FLOATS | st.integers(0, 2**53))
@example(price=2)
@example(price=2.0)
@example(price=0.1)
@example(price=1e16)
@example(price=1e22)
@example(price=1e-7)
@example(price=5e-324)
@example(price=2.2250738585072014e-308)
@example(price=1.7976931348623157e308)
@example(price=0.30000000000000004)
def test_a_float_is_written_without_exponent(submission: Submission, price: float) -> None:
    """A float, or an int in its place, is written as digits that read as exactly that number."""
    written = submission.call("write", template="/x/{price:float}", values={"price": price})
    assert read("/x/{price:float}", path_of_rfc3986(written)) == {"price": price}


# --- values that are refused --------------------------------------------------------------------------------


@requirement("PATH-10")
@given(name=st.text(string.ascii_letters, min_size=1, max_size=6), missing=st.sets(st.sampled_from("abc")))
@example(name="x", missing={"a"})
@example(name="x", missing={"b"})
@example(name="x", missing={"a", "b", "c"})
def test_a_missing_value_is_refused(submission: Submission, name: str, missing: set[str]) -> None:
    """`format` raises ValueError, and no other class, where a parameter has no value."""
    assume(missing)
    template, values = "/{a}/{b:int}/{c:path}", {"a": name, "b": 7, "c": name}
    assert submission.call("write", template=template, values=values) == f"/{name}/7/{name}"
    left = {parameter: item for parameter, item in values.items() if parameter not in missing}
    with raised("ValueError"):
        submission.call("write", template=template, values=left)


@requirement("PATH-10")
@given(template=st.sampled_from(["/{a}/x", "/about"]), extra=NAMES, item=st.none() | NUMBERS | SEGMENTS)
@example(template="/{a}/x", extra="b", item=1)
@example(template="/{a}/x", extra="b", item=None)
@example(template="/about", extra="a", item="x")
def test_an_extra_value_is_refused(submission: Submission, template: str, extra: str, item: Any) -> None:
    """`format` raises ValueError for a value that no parameter takes."""
    values = {"a": "x"} if "{a}" in template else {}
    assume(extra not in (*values, "self"))
    assert submission.call("write", template=template, values=values) == template.replace("{a}", "x")
    with raised("ValueError"):
        submission.call("write", template=template, values={**values, extra: item})


@requirement("PATH-10")
@given(
    bad=st.builds("{}/{}".format, ANYTHING, ANYTHING)
    | st.builds("{}{}".format, ANYTHING, SURROGATES)
    | st.sampled_from(["", 5, 1.5, None, True, b"a", UUID(int=1)])
)
@example(bad="")
@example(bad="/")
@example(bad="a/b")
@example(bad="\ud800")
@example(bad=5)
@example(bad=None)
@example(bad=b"a")
def test_str_refuses_what_it_would_not_give_back(submission: Submission, bad: Any) -> None:
    """`{name}` cannot be written with an empty text, one with a `/`, a lone surrogate, or what is no str."""
    assert submission.call("write", template="/x/{name}", values={"name": "ab"}) == "/x/ab"
    with raised("ValueError"):
        submission.call("write", template="/x/{name}", values={"name": bad})


@requirement("PATH-10")
@given(
    bad=st.builds("{}{}".format, ANYTHING, SURROGATES)
    | st.sampled_from([5, 1.5, None, True, b"a/b", UUID(int=1)])
)
@example(bad="\ud800")
@example(bad=5)
@example(bad=None)
@example(bad=b"a/b")
def test_path_refuses_what_it_would_not_give_back(submission: Submission, bad: Any) -> None:
    """`{name:path}` cannot be written with a lone surrogate, or what is no str."""
    assert submission.call("write", template="/x/{rest:path}", values={"rest": "a/b"}) == "/x/a/b"
    with raised("ValueError"):
        submission.call("write", template="/x/{rest:path}", values={"rest": bad})


@requirement("PATH-10")
@given(
    number=NUMBERS,
    bad=st.integers(max_value=-1)
    | st.integers(10**18, 10**40)
    | st.sampled_from([True, False, None, 5.5, "", "5", "a", b"5"]),
)
@example(number=10**18 - 1, bad=10**18)
@example(number=0, bad=-1)
@example(number=1, bad=True)
@example(number=1, bad="5")
@example(number=1, bad=None)
@example(number=1, bad=5.5)
def test_int_refuses_what_it_would_not_give_back(submission: Submission, number: int, bad: Any) -> None:
    """`{n:int}` cannot be written with a negative int, one of more than 18 digits, or what is no int."""
    written = submission.call("write", template="/x/{n:int}", values={"n": number})
    assert read("/x/{n:int}", path_of_rfc3986(written)) == {"n": number}
    with raised("ValueError"):
        submission.call("write", template="/x/{n:int}", values={"n": bad})


@requirement("PATH-10")
@given(
    bad=st.floats(max_value=0, exclude_max=True)
    | st.integers(max_value=-1)
    | st.sampled_from([float("nan"), float("inf"), True, False, None, "", "1.5", "1", "nan", b"1.5"])
)
@example(bad=-1.5)
@example(bad=-5e-324)
@example(bad=float("inf"))
@example(bad=float("nan"))
@example(bad=True)
@example(bad="1.5")
@example(bad=None)
def test_float_refuses_what_it_would_not_give_back(submission: Submission, bad: Any) -> None:
    """`{x:float}` cannot be written with a number that is negative or not finite, or what is no number."""
    written = submission.call("write", template="/x/{x:float}", values={"x": 1.5})
    assert read("/x/{x:float}", path_of_rfc3986(written)) == {"x": 1.5}
    with raised("ValueError"):
        submission.call("write", template="/x/{x:float}", values={"x": bad})


@requirement("PATH-10")
@given(
    key=st.uuids(),
    bad=st.uuids().map(str)
    | st.uuids().map(lambda key: key.int)
    | st.sampled_from(["", None, b"a", 1.5, True]),
)
@example(key=UUID(int=1), bad=str(UUID(int=1)))
@example(key=UUID(int=1), bad=UUID(int=1).hex)
@example(key=UUID(int=1), bad=1)
@example(key=UUID(int=1), bad=UUID(int=1).bytes)
@example(key=UUID(int=1), bad=None)
def test_uuid_refuses_what_it_would_not_give_back(submission: Submission, key: UUID, bad: Any) -> None:
    """`{key:uuid}` cannot be written with anything but a UUID: not with its text, not with its number."""
    written = submission.call("write", template="/x/{key:uuid}", values={"key": key})
    assert read("/x/{key:uuid}", path_of_rfc3986(written)) == {"key": key}
    with raised("ValueError"):
        submission.call("write", template="/x/{key:uuid}", values={"key": bad})


AMBIGUOUS = ("/{a}-{b}", "/{a}{b}", "/{a:path}/{b:path}", "/{a:path}{b}", "/{a}-{b:path}", "/{a:path}-{b}")


@requirement("PATH-10")
@given(
    template=st.sampled_from(AMBIGUOUS),
    a=st.text("xy-/", min_size=1, max_size=5),
    b=st.text("xy-/", min_size=1, max_size=5),
)
@example(template="/{a}-{b}", a="x-y", b="z")
@example(template="/{a}-{b}", a="x", b="y-z")
@example(template="/{a}{b}", a="xy", b="z")
@example(template="/{a}{b}", a="x", b="yz")
@example(template="/{a:path}/{b:path}", a="x/y", b="z")
@example(template="/{a:path}/{b:path}", a="x", b="y/z")
def test_values_that_would_be_split_otherwise_are_refused(
    submission: Submission, template: str, a: str, b: str
) -> None:
    """Each value may be fine by itself: if the whole path would be read otherwise, it is a ValueError."""
    values = {"a": a, "b": b}
    path = write(template, values)
    if read(template, path) == values:
        assert submission.call("write", template=template, values=values) == path
    else:
        with raised("ValueError"):
            submission.call("write", template=template, values=values)
