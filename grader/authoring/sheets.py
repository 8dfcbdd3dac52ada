"""The lint of a sheet: is everything said that a learner needs, in words that can be held to.

Rule 1: it reads the sheet, and the names of rules and headings that the sheet cites; it judges nothing.
Rule 2: what it demands of a sheet's form stands in `SECTIONS` of the course, and here.
"""

from __future__ import annotations

import ast
import doctest
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import partial

from grader.authoring.problem import Problem
from grader.course import MIN_HINTS, SECTIONS, Course, Exercise, Requirement

MAX_SENTENCE = 160
"""Characters of a requirement's sentence."""
REQUIREMENT_ID = re.compile(r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d{2}")
"""What the id of a requirement looks like."""
OPTIONAL = frozenset({"Where we differ from Starlette"})
"""Sections that a sheet may leave out."""


def sheet_problems(course: Course, exercise: Exercise) -> tuple[Problem, ...]:
    """Everything that is wrong with an exercise's sheet."""
    problem = partial(Problem, exercise.id, str(course.sheet(exercise).relative_to(course.root)))
    found = (
        *_fields(course, exercise),
        *_sections(exercise),
        *_sentences(exercise.requirements),
        *_rules(exercise),
        *_example(exercise),
        *_sources(course, exercise),
    )
    return tuple(problem(what, cure) for what, cure in found)


Finding = tuple[str, str]
"""What is wrong, and what to do."""


def _fields(course: Course, exercise: Exercise) -> Iterator[Finding]:
    if not _is_text(exercise.title):
        yield "the title is empty", "Give it one"
    if not is_whole(exercise.difficulty) or not 1 <= exercise.difficulty <= 5:
        yield f"difficulty is {exercise.difficulty!r}", "Use a whole number from 1 to 5"
    for name in ("chapter", "place", "minutes"):
        value = getattr(exercise, name)
        if not is_whole(value) or value < 1:
            yield f"{name} is {value!r}", "Use a positive whole number"
    if not exercise.requirements:
        yield "there are no requirements", "Name at least one"
    order = [other.id for other in course.exercises]
    for needed in exercise.builds_on:
        if needed not in order:
            yield f"builds_on names {needed}, which is no exercise", "Use the id of an exercise"
        elif order.index(needed) >= order.index(exercise.id):
            yield f"builds_on names {needed}, which comes later", "Change the places, or leave it out"


def _sections(exercise: Exercise) -> Iterator[Finding]:
    outside_code = re.sub(r"^```.*?^```", "", exercise.body, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^## (.+?)\s*$", outside_code, flags=re.MULTILINE)
    for heading in SECTIONS:
        if heading not in headings and heading not in OPTIONAL:
            yield f"the section ## {heading} is missing", "Write it"
        elif heading in headings and not exercise.section(heading):
            yield f"the section ## {heading} is empty", "Write it"
    for heading in headings:
        if heading not in SECTIONS:
            yield f"there is an unknown section ## {heading}", f"Use only {', '.join(SECTIONS)}"
    known = [heading for heading in headings if heading in SECTIONS]
    if known != [heading for heading in SECTIONS if heading in known]:
        yield "the sections are not in order, or one comes twice", f"The order is {', '.join(SECTIONS)}"
    if len(exercise.hints) < MIN_HINTS:
        yield f"there are {len(exercise.hints)} hints", f"Write {MIN_HINTS} or more, each below a ### heading"
    if any(not hint for hint in exercise.hints):
        yield "a hint is empty", "Write it"


def _sentences(requirements: tuple[Requirement, ...]) -> Iterator[Finding]:
    ids = Counter(requirement.id for requirement in requirements)
    sentences = Counter(requirement.sentence for requirement in requirements)
    for requirement in requirements:
        name, sentence = requirement.id, requirement.sentence
        if not _is_text(name) or not REQUIREMENT_ID.fullmatch(name):
            yield f"requirement id {name!r} is ill-formed", "Write it like NAME-01"
        if ids[name] > 1:
            yield f"requirement {name} occurs {ids[name]} times", "Give each an id of its own"
        if not is_whole(requirement.points) or requirement.points < 1:
            yield f"{name} is worth {requirement.points!r} points", "Use a positive whole number"
        if not _is_text(requirement.source):
            yield f"{name} has no source", "Name its place in a specification or in the course's policies"
        if not _is_text(sentence):
            yield f"{name} has no sentence", "Say in one what it demands"
            continue
        if sentences[sentence] > 1:
            yield f"the sentence of {name} occurs twice", "Say how the two requirements differ"
        if len(sentence) > MAX_SENTENCE:
            yield f"the sentence of {name} has {len(sentence)} characters", f"Use {MAX_SENTENCE} at most"
        if not sentence.endswith("."):
            yield f"the sentence of {name} does not end with a period", "End it with one"
        if re.search(r"\bshould\b", sentence, flags=re.IGNORECASE):
            yield f'the sentence of {name} says "should"', "Say what the code does, or must do"


def _rules(exercise: Exercise) -> Iterator[Finding]:
    rules = exercise.section("Rules")
    known = {requirement.id for requirement in exercise.requirements}
    items = re.findall(r"^[-*] (.*)", rules, flags=re.MULTILINE)
    stated = {found[1] for item in items if (found := re.match(rf"\*\*({REQUIREMENT_ID.pattern})\*\*", item))}
    for item in items:
        if not re.match(rf"\*\*{REQUIREMENT_ID.pattern}\*\*", item):
            yield f"the rule {item[:40]!r} begins with no requirement", "Begin it with **ID**"
    for name in sorted(known - stated):
        yield f"{name} has no rule", f"Add an item to ## Rules that begins with **{name}**"
    for name in sorted(stated - known):
        yield f"## Rules has {name}, which is no requirement", "Add it to the front matter, or take it out"
    prefixes = {name.rsplit("-", 1)[0] for name in known}
    for name in sorted(set(re.findall(rf"\b{REQUIREMENT_ID.pattern}\b", exercise.body)) - known - stated):
        if name.rsplit("-", 1)[0] in prefixes:
            yield f"{name} is cited, but is no requirement", "Cite one that there is"


def _example(exercise: Exercise) -> Iterator[Finding]:
    blocks = re.findall(
        r"^```python\s*\n(.*?)^```", exercise.section("Example"), flags=re.MULTILINE | re.DOTALL
    )
    if not blocks:
        yield "## Example holds no ```python block", "Show a use of the learner's code"
    for block in blocks:
        code = (
            doctest.script_from_examples(block) if re.search(r"^>>> ", block, flags=re.MULTILINE) else block
        )
        try:
            compile(code, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            yield f"the example is no Python: {error}", "Mend it"


def _sources(course: Course, exercise: Exercise) -> Iterator[Finding]:
    """The rules of ASGI and the headings of the chapter that the requirements cite."""
    cited = {rule for requirement in exercise.requirements for rule in requirement.asgi}
    path = course.root / "docs" / "asgi_rules.toml"
    rules: set[str] = set()
    if path.is_file():
        rules = {rule["id"] for rule in tomllib.loads(path.read_text(encoding="utf-8")).get("rule", [])}
    for name in sorted(cited - rules):
        yield (
            f"the ASGI rule {name} is cited, but docs/asgi_rules.toml has none of that id",
            "Cite one that it has",
        )
    for chapter in sorted((course.root / "exercises").glob(f"{exercise.chapter:02d}_*/README.md")):
        headings = re.findall(r"^#+ (.+?)\s*$", chapter.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for requirement in exercise.requirements:
            if requirement.read and requirement.read not in headings:
                where = chapter.relative_to(course.root)
                yield f"{requirement.id}: {where} has no heading {requirement.read!r}", "Name one that it has"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_whole(value: object) -> bool:
    """Whether a value of the front matter is a whole number (YAML has also `true`, `1.5` and texts)."""
    return isinstance(value, int) and not isinstance(value, bool)
