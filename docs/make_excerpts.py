"""Fill the excerpts of the chapters' texts: code of the reference, shown where it is explained.

python docs/make_excerpts.py [--check]

A block of code below `<!-- from requests.py: Request.body -->` is what stands in that file of `fastasgi_reference`
under that name, without its docstring.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "fastasgi_reference"
TEXTS = sorted((ROOT / "exercises").glob("*/README.md"))
EXCERPT = re.compile(r"(<!-- from (\S+): (\S+) -->\n```python\n)(.*?)(```\n)", re.DOTALL)


def filled(text: str) -> str:
    """A chapter's text with all of its excerpts as they are now. Raises KeyError for a name that is not there."""
    return EXCERPT.sub(lambda found: found[1] + excerpt(REFERENCE / found[2], found[3]) + found[5], text)


def excerpt(path: Path, name: str) -> str:
    """The source of a function, class or assignment by its dotted name, without docstring and indentation."""
    source = path.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(source)
    for part in name.split("."):
        found = [each for each in ast.iter_child_nodes(node) if _name(each) == part]
        if not found:
            raise KeyError(f"{path.name} has no {name}")
        node = found[-1]
    lines = source.splitlines(keepends=True)
    first, last = _place(node)
    docstring = range(*_docstring(node))
    kept = [
        line
        for number, line in enumerate(lines, start=1)
        if first <= number <= last and number not in docstring
    ]
    return textwrap.dedent("".join(kept)).replace("\n\n\n", "\n\n")


def _name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return target.id if isinstance(target, ast.Name) else None
    return getattr(node, "name", None)


def _place(node: ast.AST) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", [])
    return (decorators[0] if decorators else node).lineno, node.end_lineno or 0  # type: ignore[attr-defined]


def _docstring(node: ast.AST) -> tuple[int, int]:
    """The lines of a docstring, with an empty one behind it, as a range."""
    body = getattr(node, "body", [])
    if len(body) < 2 or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Constant):
        return 0, 0
    return body[0].lineno, body[1].lineno if isinstance(node, ast.ClassDef) else (body[0].end_lineno or 0) + 1


def main() -> int:
    """Fill the texts, or with --check tell which are not up to date."""
    stale = [
        path for path in TEXTS if path.read_text(encoding="utf-8") != filled(path.read_text(encoding="utf-8"))
    ]
    for path in stale:
        if "--check" in sys.argv[1:]:
            print(f"{path.relative_to(ROOT)}: its excerpts are old. Run python docs/make_excerpts.py.")
        else:
            path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
