"""Makes small changes of one line of Python, each of which should make some test fail.

It changes comparisons, arithmetic, numbers, truth values, conditions and returned values, and removes statements. It
does not change docstrings, other texts, log lines, type hints and decorators. It also leaves code alone that only type
checkers read, or that runs only in a script.
"""

from __future__ import annotations

import ast
import dataclasses
import pathlib
from collections.abc import Iterator

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: "<",
    ast.Gt: "<=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.Pow: "*",
}
TEXT_CALLS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "add_argument"}
"""The functions and methods whose arguments are texts for people."""
EQUIVALENT_KEYWORDS = {"strict", "help", "description", "stacklevel", "exist_ok", "parents", "flush"}
"""The arguments that change only a text, or nothing at all in a correct program."""


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One change of a file.

    Attributes:
        path: path of the file, relative to the root of the checkout.
        line: number of the line where the change begins, from 1.
        start: index of the first replaced character in the file's text.
        end: index after the last replaced character.
        old: text that is replaced.
        new: text that replaces it.
    """

    path: pathlib.Path
    line: int
    start: int
    end: int
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Returns the text of the file with the change."""
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        old, new = (" ".join(each.split()) for each in (self.old, self.new))
        return f"{self.path}:{self.line}: {old[:70]} -> {new[:70]}"


def mutations(path: pathlib.Path, text: str) -> list[Mutation]:
    """Returns all changes of one file. Each leaves a valid program."""
    encoded = text.encode()
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def index(line: int, column: int) -> int:
        return len(encoded[: starts[line - 1] + column].decode())

    found = []
    for node, new in _changes(ast.parse(text)):
        start, end = index(node.lineno, node.col_offset), index(node.end_lineno or 0, node.end_col_offset or 0)
        changed = Mutation(path, node.lineno, start, end, text[start:end], new)
        if new != changed.old:
            found.append(changed)
    return found


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yields nodes below `node`, each with the source text that replaces it."""
    for child in _children(node):
        if isinstance(child, ast.expr):
            yield from _of_expression(child)
        elif isinstance(child, ast.stmt):
            yield from _of_statement(child)
        yield from _changes(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yields the parts of a node that may be changed."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_left_alone(child):
                yield child


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test) or "__name__" in ast.unparse(node.test)
    if isinstance(node, ast.keyword):
        return node.arg in EQUIVALENT_KEYWORDS
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _is_for_people(node.value)
    return isinstance(node, ast.expr) and _is_for_people(node)


def _is_for_people(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in TEXT_CALLS


def _of_expression(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield node, f"({ast.unparse(left)} {COMPARISONS[type(op)]} {ast.unparse(right)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC and not _has_text(node):
            yield node, f"({ast.unparse(left)} {ARITHMETIC[type(op)]} {ast.unparse(right)})"
        case ast.BoolOp(op=op, values=values):
            word = " or " if isinstance(op, ast.And) else " and "
            yield node, f"({word.join(f'({ast.unparse(value)})' for value in values)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, f"({ast.unparse(operand)})"
        case ast.Constant(value=bool() as value):
            yield node, str(not value)
        case ast.Constant(value=int() | float() as value):
            yield node, repr(value + 1)
        case ast.IfExp(test=test):
            yield test, f"(not ({ast.unparse(test)}))"


def _has_text(node: ast.expr) -> bool:
    """Returns whether an expression contains a string, so that it builds a text."""
    texts = (isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(node))
    return any(texts) or any(isinstance(each, ast.JoinedStr) for each in ast.walk(node))


def _of_statement(node: ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    match node:
        case ast.If(test=test) | ast.While(test=test):
            yield test, f"(not ({ast.unparse(test)}))"
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield node, "return None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise():
            yield node, "pass"
