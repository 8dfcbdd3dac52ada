"""The reference's multi-valued data, held against plain lists of pairs and against other frameworks' parsers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import starlette.datastructures
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastasgi_reference.datastructures import Headers, MultiDict, MutableHeaders, QueryParams, State
from tests.reference.rules import enforces

Pairs = list[tuple[str, Any]]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "", "é"]) | TEXTS, TEXTS | st.integers()), max_size=8)
NAMES = st.sampled_from(["Host", "host", "HOST", "x-a", "X-A", "x-b", "Set-Cookie", "!#$%&'*+-.^_`|~09Az"])
VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=5)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
RAW = st.lists(st.tuples(NAMES.map(str.encode) | st.binary(max_size=3), st.binary(max_size=3)), max_size=8)


def lower(pairs: Pairs) -> Pairs:
    return [(name.lower(), value) for name, value in pairs]


def of(name: str, pairs: Pairs) -> list[Any]:
    return [value for each, value in pairs if each == name]


def assert_reads_as(data: MultiDict[Any] | Headers, pairs: Pairs) -> None:
    """That all ways to read `data` agree with a plain list of pairs."""
    names = list(dict.fromkeys(name for name, _ in pairs))
    assert data.multi_items() == pairs
    assert list(data) == names
    assert len(data) == len(names)
    for name in names:
        assert name in data
        assert data[name] == data.get(name) == of(name, pairs)[0]
        assert data.getlist(name) == of(name, pairs)
    assert dict(data) == {name: of(name, pairs)[0] for name in names}


class TestMultiDict:
    @given(PAIRS)
    def test_it_reads_as_the_list_of_pairs_that_it_was_made_from(self, pairs: Pairs) -> None:
        assert_reads_as(MultiDict(pairs), pairs)
        assert_reads_as(MultiDict(iter([list(pair) for pair in pairs])), pairs)  # type: ignore[arg-type]
        assert_reads_as(MultiDict(MultiDict(pairs)), pairs)
        assert_reads_as(MultiDict(dict(pairs)), list(dict(pairs).items()))

    @given(HEADERS)
    def test_of_headers_all_pairs_are_taken(self, pairs: Pairs) -> None:
        assert MultiDict(Headers(pairs)).multi_items() == lower(pairs)

    @given(PAIRS, PAIRS)
    @example([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])
    @example([("a", 1), ("a", 2)], [("a", 2), ("a", 1)])
    @example([("a", 1), ("a", 1)], [("a", 1)])
    def test_two_are_equal_if_each_key_has_the_same_values_in_order(self, a: Pairs, b: Pairs) -> None:
        keys = {key for key, _ in a + b}
        same = all(of(key, a) == of(key, b) for key in keys)
        assert (MultiDict(a) == MultiDict(b)) is same
        assert (MultiDict(a) != MultiDict(b)) is not same

    @given(PAIRS, st.randoms())
    def test_the_order_between_keys_is_free(self, pairs: Pairs, random: Any) -> None:
        keys = list({key for key, _ in pairs})
        random.shuffle(keys)
        assert MultiDict(pairs) == MultiDict([(key, value) for key in keys for value in of(key, pairs)])

    def test_a_kind_of_multidict_is_equal_to_another_with_the_same_pairs(self) -> None:
        assert QueryParams("a=1") == MultiDict([("a", "1")])

    def test_nothing_else_is_equal_to_it(self) -> None:
        assert MultiDict([("a", "1")]) != {"a": "1"}
        assert MultiDict([("a", "1")]) != [("a", "1")]

    def test_a_missing_key(self) -> None:
        data = MultiDict([("a", 1)])
        assert data.get("b") is None
        assert data.get("b", 5) == 5
        assert data.getlist("b") == []
        assert "b" not in data
        with pytest.raises(KeyError, match="b"):
            data["b"]

    def test_a_value_that_is_false_is_a_value(self) -> None:
        assert MultiDict([("a", None), ("a", 1)]).get("a", 5) is None
        assert "a" in MultiDict([("a", None)])

    def test_it_cannot_be_changed_through_what_goes_in_or_comes_out(self) -> None:
        pairs = [("a", 1)]
        data = MultiDict(pairs)
        pairs.append(("a", 2))
        data.getlist("a").append(3)
        data.multi_items().append(("a", 4))
        data.getlist("b").append(5)
        assert_reads_as(data, [("a", 1)])
        with pytest.raises(TypeError):
            data["a"] = 2  # type: ignore[index]
        with pytest.raises(TypeError):
            del data["a"]  # type: ignore[attr-defined]

    @pytest.mark.parametrize("data", [MultiDict(), QueryParams(), Headers(), MutableHeaders()])
    def test_none_of_them_is_hashable(self, data: Mapping[str, Any]) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(data)

    @pytest.mark.parametrize(
        "data",
        [
            MultiDict([("a", 1), ("a", 2)]),
            QueryParams("a=1&a=2"),
            Headers({"A": "1"}),
            MutableHeaders({"A": "1"}),
        ],
    )
    def test_repr_shows_how_to_make_it(self, data: Mapping[str, Any]) -> None:
        again = eval(repr(data))
        assert type(again) is type(data)
        assert again == data

    @pytest.mark.parametrize("data", [MultiDict([("a", 1), ("a", 2)]), Headers([("a", "1"), ("a", "2")])])
    def test_it_can_be_copied_and_pickled(self, data: Any) -> None:
        assert copy.deepcopy(data) == copy.copy(data) == pickle.loads(pickle.dumps(data)) == data


class TestQueryParams:
    @enforces("HTTP-SCOPE-04")
    @pytest.mark.parametrize(
        ("query", "pairs"),
        [
            (b"a=%C3%A9&b=x+y%2B", [("a", "é"), ("b", "x y+")]),
            (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
            (b"a%20b=c%26d%3De", [("a b", "c&d=e")]),
            (b"a=b=c", [("a", "b=c")]),
            (b"%2520=%252B", [("%20", "%2B")]),
            (b"?a=1", [("?a", "1")]),
        ],
    )
    def test_it_is_read_as_form_data(self, query: bytes, pairs: Pairs) -> None:
        assert_reads_as(QueryParams(query), pairs)
        assert_reads_as(QueryParams(query.decode("ascii")), pairs)

    @pytest.mark.parametrize(
        ("query", "pairs"),
        [
            (b"a=&b", [("a", ""), ("b", "")]),
            (b"=&=1", [("", ""), ("", "1")]),
            (b"&&a=1&", [("a", "1")]),
            (b"a=1;b=2", [("a", "1;b=2")]),
            (b"a=%&b=%4&c=%zz&d=%%41", [("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "%A")]),
            (b"a=%FF&b=%C3&c=%C3%A9%FF", [("a", "\ufffd"), ("b", "\ufffd"), ("c", "é\ufffd")]),
            (b"a=%ED%A0%80", [("a", "\ufffd\ufffd\ufffd")]),
            (b"a=\xc3\xa9&b=\xff", [("a", "é"), ("b", "\ufffd")]),
            (b"a=%EF%BB%BF1&b=%00\n", [("a", "\ufeff1"), ("b", "\0\n")]),
        ],
    )
    def test_what_is_odd_is_kept_as_far_as_it_can_be(self, query: bytes, pairs: Pairs) -> None:
        assert_reads_as(QueryParams(query), pairs)

    @enforces("HTTP-SCOPE-05")
    @pytest.mark.parametrize("source", [b"", "", (), {}])
    def test_nothing_gives_an_empty_mapping(self, source: Any) -> None:
        assert_reads_as(QueryParams(source), [])
        assert str(QueryParams(source)) == ""

    def test_without_a_source_it_is_empty(self) -> None:
        assert len(QueryParams()) == 0

    def test_text_beyond_ascii_is_its_utf_8(self) -> None:
        assert QueryParams("ключ=é")["ключ"] == "é"
        assert QueryParams("a=\ud800")["a"] == "\ufffd\ufffd\ufffd"

    def test_any_number_of_fields_is_read(self) -> None:
        assert len(QueryParams(b"&".join(b"%d=" % number for number in range(5000)))) == 5000

    @given(st.lists(st.tuples(TEXTS, TEXTS)))
    @example([("a b", "+&=;%é\0\n/~"), ("", "")])
    def test_what_is_written_can_be_read(self, pairs: Pairs) -> None:
        params = QueryParams(pairs)
        assert_reads_as(params, pairs)
        written = str(params)
        assert written == urlencode(pairs)
        assert_reads_as(QueryParams(written), pairs)
        assert_reads_as(QueryParams(written.encode("ascii")), pairs)

    @given(st.binary())
    def test_no_query_string_is_an_error_and_what_was_read_can_be_written(self, query: bytes) -> None:
        params = QueryParams(query)
        assert QueryParams(str(params)).multi_items() == params.multi_items()

    @given(st.text("ab=&+%2fFzé;", max_size=20))
    def test_on_text_the_standard_library_reads_the_same(self, query: str) -> None:
        assert QueryParams(query).multi_items() == parse_qsl(query, keep_blank_values=True)

    @given(st.text("ab=&+%2f;", max_size=20).map(str.encode))
    def test_starlette_reads_the_same_pairs(self, query: bytes) -> None:
        theirs = starlette.datastructures.QueryParams(query)
        assert QueryParams(query).multi_items() == theirs.multi_items()

    def test_of_another_all_pairs_are_taken(self) -> None:
        assert QueryParams(QueryParams("a=1&a=2")).multi_items() == [("a", "1"), ("a", "2")]
        assert QueryParams({"a": "1"}).multi_items() == [("a", "1")]


class TestHeaders:
    @enforces("HTTP-RESP-03", "HTTP-RESP-04")
    @given(HEADERS)
    def test_it_reads_as_the_list_of_pairs_that_it_was_made_from(self, pairs: Pairs) -> None:
        headers = Headers(pairs)
        assert_reads_as(headers, lower(pairs))
        assert headers.raw == [(n.encode("latin-1"), v.encode("latin-1")) for n, v in lower(pairs)]
        assert_reads_as(Headers(iter(pairs)), lower(pairs))
        assert_reads_as(Headers(headers), lower(pairs))
        assert_reads_as(Headers(dict(pairs)), lower(list(dict(pairs).items())))

    @enforces("HTTP-SCOPE-10", "HTTP-SCOPE-12")
    @given(RAW)
    @example([(b"x", b"\xff"), (b"\xc9", b"\r\n"), (b"x", b"")])
    def test_any_bytes_can_be_read_as_latin_1(self, raw: list[tuple[bytes, bytes]]) -> None:
        headers = Headers(raw=raw)
        pairs = [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        assert_reads_as(headers, pairs)
        assert headers.raw == [(name.lower(), value) for name, value in raw]

    @enforces("HTTP-SCOPE-09")
    @pytest.mark.parametrize("kind", [list, tuple, iter])
    @pytest.mark.parametrize("pair", [list, tuple, iter])
    def test_raw_headers_come_in_any_iterables(self, kind: Any, pair: Any) -> None:
        headers = Headers(raw=kind([pair([b"host", b"a"]), pair([b"x", b"1"])]))
        for _ in range(2):
            assert headers.raw == [(b"host", b"a"), (b"x", b"1")]
            assert headers["x"] == "1"

    def test_raw_headers_are_gone_through_once_and_at_once(self) -> None:
        steps = []

        def raw() -> Iterator[list[bytes]]:
            yield [b"a", b"1"]
            steps.append("end")

        headers = Headers(raw=raw())
        assert steps == ["end"]
        assert_reads_as(headers, [("a", "1")])
        assert steps == ["end"]

    @enforces("HTTP-SCOPE-11")
    @pytest.mark.parametrize("name", [b"X-Token", b"x-token", b"X-TOKEN"])
    def test_names_ignore_case(self, name: bytes) -> None:
        headers = Headers(raw=[(name, b"1")])
        for asked in ("x-token", "X-Token", "X-TOKEN"):
            assert headers[asked] == "1"
            assert headers.getlist(asked) == ["1"]
            assert asked in headers
        assert list(headers) == ["x-token"]

    def test_only_ascii_letters_have_a_case(self) -> None:
        assert "\u212aey" not in Headers(raw=[(b"key", b"1")])
        assert "é" not in Headers(raw=[("É".encode("latin-1"), b"1")])

    @pytest.mark.parametrize("name", ["b", "", "☃", "\ud800"])
    def test_a_missing_name(self, name: str) -> None:
        headers = Headers(raw=[(b"a", b"1"), (b"?", b"2"), ("☃".encode(), b"3")])
        assert headers.get(name) is None
        assert headers.get(name, "x") == "x"
        assert headers.getlist(name) == []
        assert name not in headers
        with pytest.raises(KeyError) as caught:
            headers[name]
        assert caught.value.args == (name,)

    def test_what_is_no_text_is_not_in_it(self) -> None:
        assert b"a" not in Headers({"a": "1"})
        assert None not in Headers({"a": "1"})

    def test_an_empty_value_is_a_value(self) -> None:
        assert "a" in Headers({"a": ""})
        assert Headers({"a": ""}).get("a", "x") == ""

    def test_raw_is_taken_instead_even_if_it_is_empty(self) -> None:
        assert len(Headers({"a": "1"}, raw=[])) == 0

    def test_it_cannot_be_changed_through_what_goes_in_or_comes_out(self) -> None:
        raw = [[b"a", b"1"]]
        headers = Headers(raw=raw)
        raw[0][1] = b"2"
        raw.append([b"a", b"3"])
        headers.raw.append((b"a", b"4"))
        headers.getlist("a").append("5")
        headers.multi_items().append(("a", "6"))
        assert_reads_as(headers, [("a", "1")])
        with pytest.raises(TypeError):
            headers["a"] = "2"  # type: ignore[index]

    @given(HEADERS, HEADERS)
    @example([("A", "1"), ("b", "2")], [("B", "2"), ("a", "1")])
    @example([("a", "1"), ("a", "2")], [("a", "2"), ("a", "1")])
    def test_two_are_equal_if_each_name_has_the_same_values_in_order(self, a: Pairs, b: Pairs) -> None:
        names = {name for name, _ in lower(a + b)}
        same = all(of(name, lower(a)) == of(name, lower(b)) for name in names)
        assert (Headers(a) == Headers(b)) is same
        assert (Headers(a) == MutableHeaders(b)) is same

    def test_nothing_else_is_equal_to_it(self) -> None:
        assert Headers({"a": "1"}) != {"a": "1"}
        assert Headers({"a": "1"}) != MultiDict({"a": "1"})

    @enforces("HTTP-RESP-13")
    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("x", "a\rb", "CR, LF and NUL"),
            ("x", "a\nb", "CR, LF and NUL"),
            ("x", "a\0b", "CR, LF and NUL"),
            ("x", "a\n", "CR, LF and NUL"),
            ("x", "☃", "'☃' is not in latin-1"),
            ("x", "\ud800", "is not in latin-1"),
            ("x\r\ny", "a", "no name of a header"),
            ("x\n", "a", "no name of a header"),
            ("x\0", "a", "no name of a header"),
            ("", "a", "no name of a header"),
            (":path", "a", "no name of a header"),
            ("x y", "a", "no name of a header"),
            ("x:", "a", "no name of a header"),
            ("é", "a", "no name of a header"),
            ("\u212aey", "a", "no name of a header"),
        ],
    )
    def test_what_must_not_stand_in_a_message_is_refused(self, name: str, value: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            Headers({name: value})
        with pytest.raises(ValueError, match=words):
            Headers([("a", "1"), (name, value)])

    @pytest.mark.parametrize("value", [5, b"5", None])
    def test_a_value_that_is_no_text_is_refused(self, value: Any) -> None:
        with pytest.raises(TypeError):
            Headers({"a": value})

    def test_what_came_raw_is_checked_when_it_becomes_text_again(self) -> None:
        unchecked = Headers(raw=[(b"a", b"x\r\ny")])
        assert unchecked["a"] == "x\r\ny"
        with pytest.raises(ValueError, match="CR, LF and NUL"):
            Headers(unchecked)

    @given(HEADERS)
    def test_starlette_reads_the_same(self, pairs: Pairs) -> None:
        raw = Headers(pairs).raw
        ours, theirs = Headers(raw=raw), starlette.datastructures.Headers(raw=raw)
        assert ours.multi_items() == theirs.items()
        assert all(ours[name] == theirs[name] and ours.getlist(name) == theirs.getlist(name) for name in ours)


class MutableHeadersMachine(RuleBasedStateMachine):
    """MutableHeaders and a plain list of pairs, changed alike."""

    def __init__(self) -> None:
        super().__init__()
        self.origin = Headers([("Host", "a"), ("x-a", "1"), ("HOST", "b")])
        self.headers = MutableHeaders(raw=self.origin.raw)
        self.pairs = self.origin.multi_items()

    def put(self, name: str, values: list[str]) -> None:
        places = [place for place, (each, _) in enumerate(self.pairs) if each == name.lower()]
        place = places[0] if places else len(self.pairs)
        before, after = self.pairs[:place], self.pairs[place:]
        rest = [pair for pair in after if pair[0] != name.lower()]
        self.pairs = before + [(name.lower(), value) for value in values] + rest

    @rule(name=NAMES, value=VALUES)
    def set(self, name: str, value: str) -> None:
        self.headers[name] = value
        self.put(name, [value])

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        del self.headers[name]
        self.put(name, [])

    @rule(name=NAMES, value=VALUES)
    def append(self, name: str, value: str) -> None:
        self.headers.append(name, value)
        self.pairs.append((name.lower(), value))

    @rule(name=NAMES, value=VALUES)
    def setdefault(self, name: str, value: str) -> None:
        if not of(name.lower(), self.pairs):
            self.pairs.append((name.lower(), value))
        assert self.headers.setdefault(name, value) == of(name.lower(), self.pairs)[0]

    @rule(pairs=HEADERS, kind=st.sampled_from([list, iter, Headers]))
    def update(self, pairs: Pairs, kind: Any) -> None:
        self.headers.update(kind(pairs))
        for name in dict.fromkeys(name for name, _ in lower(pairs)):
            self.put(name, of(name, lower(pairs)))

    @rule(name=NAMES, value=VALUES, bad=st.sampled_from([("x", "a\nb"), ("a b", "x"), ("x", "☃")]))
    def refuse(self, name: str, value: str, bad: tuple[str, str]) -> None:
        for change in (
            lambda: self.headers.append(*bad),
            lambda: self.headers.__setitem__(*bad),
            lambda: self.headers.update([(name, value), bad]),
        ):
            with pytest.raises(ValueError, match="header"):
                change()

    @precondition(lambda self: self.pairs)
    @rule(data=st.data())
    def refuse_to_replace(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name, _ in self.pairs]))
        with pytest.raises(ValueError, match="CR, LF and NUL"):
            self.headers[name] = "a\r\nb"

    @rule()
    def give_away(self) -> None:
        self.headers.raw.clear()

    @invariant()
    def reads_as_the_list(self) -> None:
        assert_reads_as(self.headers, self.pairs)

    @invariant()
    def its_origin_is_as_it_was(self) -> None:
        assert_reads_as(self.origin, [("host", "a"), ("x-a", "1"), ("host", "b")])


MutableHeadersMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=25)
TestMutableHeadersAgainstAList = enforces("HTTP-RESP-03", "HTTP-RESP-04", "HTTP-RESP-13")(
    MutableHeadersMachine.TestCase
)


class TestMutableHeaders:
    def test_setting_replaces_all_at_the_place_of_the_first(self) -> None:
        headers = MutableHeaders([("a", "1"), ("B", "2"), ("c", "3"), ("b", "4")])
        headers["B"] = "5"
        assert headers.raw == [(b"a", b"1"), (b"b", b"5"), (b"c", b"3")]

    @enforces("APP-MW-05")
    def test_the_headers_of_a_message_do_not_change_with_it(self) -> None:
        for made in ([(b"a", b"1")], ((b"a", b"1"),)):
            headers = MutableHeaders(raw=made)
            headers["a"] = "2"
            headers.append("b", "3")
            del headers["a"]
            assert list(made) == [(b"a", b"1")]

    def test_deleting_what_is_not_there_changes_nothing(self) -> None:
        headers = MutableHeaders({"a": "1"})
        del headers["b"]
        del headers["☃"]
        assert headers.raw == [(b"a", b"1")]

    def test_update_takes_a_mapping_and_all_values_of_headers(self) -> None:
        headers = MutableHeaders([("a", "1"), ("b", "2")])
        headers.update({"A": "3", "c": "4"})
        assert headers.multi_items() == [("a", "3"), ("b", "2"), ("c", "4")]
        headers.update(Headers([("b", "5"), ("B", "6")]))
        assert headers.multi_items() == [("a", "3"), ("b", "5"), ("b", "6"), ("c", "4")]

    @pytest.mark.parametrize(
        ("before", "name", "after"),
        [
            ([], "Origin", ["Origin"]),
            (["Accept"], "Origin", ["Accept, Origin"]),
            (["Accept , origin"], "Origin", ["Accept , origin"]),
            (["accept-encoding"], "Accept", ["accept-encoding, Accept"]),
            (["*"], "Origin", ["*"]),
            (["Accept, *"], "Origin", ["Accept, *"]),
            (["Accept", "Origin"], "ORIGIN", ["Accept", "Origin"]),
            (["Accept", "Cookie"], "Origin", ["Accept, Cookie, Origin"]),
            (["", " ,"], "Origin", ["Origin"]),
        ],
    )
    def test_vary_names_each_header_once(self, before: list[str], name: str, after: list[str]) -> None:
        headers = MutableHeaders([("Vary", value) for value in before])
        headers.add_vary(name)
        assert headers.getlist("vary") == after
        headers.add_vary(name)
        assert headers.getlist("vary") == after

    @pytest.mark.parametrize("name", ["", "a, b", "a\r\nb", "a b"])
    def test_vary_takes_one_name(self, name: str) -> None:
        headers = MutableHeaders()
        with pytest.raises(ValueError, match="no name of a header"):
            headers.add_vary(name)
        assert headers.raw == []


class TestState:
    @enforces("LIFE-APP-08")
    def test_it_reads_and_writes_the_mapping_that_it_was_given(self) -> None:
        database = object()
        mapping: dict[str, Any] = {"database": database}
        state = State(mapping)
        assert state.database is database
        state.user = "ann"
        del state.database
        assert mapping == {"user": "ann"}
        mapping["user"] = "bob"
        assert state.user == "bob"

    def test_an_empty_mapping_is_kept_too(self) -> None:
        mapping: dict[str, Any] = {}
        State(mapping).a = 1
        assert mapping == {"a": 1}

    def test_two_without_a_mapping_share_nothing(self) -> None:
        first, second = State(), State()
        first.a = 1
        assert not hasattr(second, "a")

    def test_what_is_missing_says_what_is_there_and_what_to_do(self) -> None:
        state = State({"database": 1, "cache": 2})
        with pytest.raises(AttributeError, match=r"no 'db'; it has 'database', 'cache'\. Set it before"):
            state.db  # noqa: B018 - looking it up is the test
        with pytest.raises(AttributeError, match="no 'db'; it has 'database'"):
            del state.db
        with pytest.raises(AttributeError, match="it has nothing"):
            State().db  # noqa: B018 - looking it up is the test
        assert getattr(state, "db", None) is None

    @pytest.mark.parametrize("name", ["_mapping", "mapping", "get", "items", "keys", "copy", "_state"])
    def test_any_name_is_free_for_use(self, name: str) -> None:
        mapping: dict[str, Any] = {}
        state = State(mapping)
        assert not hasattr(state, name)
        setattr(state, name, 1)
        assert getattr(state, name) == 1
        assert mapping == {name: 1}

    def test_it_can_be_copied_and_pickled(self) -> None:
        state = State({"a": [1]})
        assert copy.copy(state).a is state.a
        assert copy.deepcopy(state).a == pickle.loads(pickle.dumps(state)).a == [1]

    def test_repr_shows_what_is_in_it(self) -> None:
        assert repr(State({"a": 1})) == "State({'a': 1})"
