"""Functions with one check taken out or bent by one: what a slip of the hand would make of them."""

import ast
import inspect
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from textwrap import dedent
from types import ModuleType
from typing import Any

_BENT: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one function of a module, or of a class in it (holder). what: the change, in words."""

    module: ModuleType
    holder: Any
    function: str
    what: str
    changed: ast.FunctionDef

    @property
    def name(self) -> str:
        return f"{self.function}: {self.what}"


def mutants_of(function: Callable[..., Any]) -> Iterator[Mutant]:
    """Every change of this function that the rules below make, in the order of its lines."""
    original = inspect.unwrap(function)
    module = sys.modules[original.__module__]
    class_name = original.__qualname__.rpartition(".")[0]
    holder = getattr(module, class_name) if class_name else module
    tree = ast.parse(dedent(inspect.getsource(original))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    for place, node in enumerate(ast.walk(tree)):
        for number, (what, _) in enumerate(_changes(node)):
            copy = deepcopy(tree)
            target = list(ast.walk(copy))[place]
            made = list(_changes(target))[number][1]()
            _replace(copy, target, made)
            yield Mutant(module, holder, original.__name__, what, ast.fix_missing_locations(copy))


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[], ast.AST]]]:
    """What can be done to a node: in words, and the node that takes its place."""
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise | ast.Return):
        yield (
            f"never `if {ast.unparse(node.test)}`",
            lambda: ast.If(ast.Constant(False), node.body, node.orelse),
        )
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"without `{ast.unparse(node)}`", ast.Pass
    if isinstance(node, ast.BoolOp):
        for left_out in range(len(node.values)):
            kept = [value for place, value in enumerate(node.values) if place != left_out]
            yield (
                f"`{ast.unparse(node)}` without `{ast.unparse(node.values[left_out])}`",
                lambda kept=kept: kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept),
            )
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if bent := _BENT.get(type(op)):
                ops = [*node.ops[:place], bent(), *node.ops[place + 1 :]]
                yield (
                    f"`{ast.unparse(node)}` bent at {place + 1}",
                    lambda ops=ops: ast.Compare(node.left, ops, node.comparators),
                )


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if value is old:
                setattr(node, name, new)
            elif isinstance(value, list) and any(item is old for item in value):
                setattr(node, name, [new if item is old else item for item in value])


@contextmanager
def in_place(mutant: Mutant) -> Generator[None]:
    """The mutant wherever any module of Hansa uses the function."""
    original = getattr(mutant.holder, mutant.function)
    users = [
        (module, name)
        for module in list(sys.modules.values())
        if module.__name__.startswith("hansa.")
        for name, value in list(vars(module).items())
        if value is original
    ] or [(mutant.holder, mutant.function)]
    names = dict(vars(mutant.module))
    exec(compile(ast.Module([mutant.changed], []), f"<{mutant.name}>", "exec"), names)
    changed = names[mutant.function]
    for user, name in users:
        setattr(user, name, changed)
    try:
        yield
    finally:
        for user, name in users:
            setattr(user, name, original)
