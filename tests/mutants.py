"""Mutation testing of the core: `make mutants` runs mutmut, which this module teaches two things.

Every condition is also removed: an `if` is taken always and never, a filter keeps all and nothing, and of an
`and` or `or` each side stands alone. And a decorated function is changed like any other: the decorators stay
around the switch between the function and its mutants, and the mutants themselves carry none.

`python tests/mutants.py run 'trueup.core.repair.slices*'` tries one module's mutants again.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import click
import libcst as cst
from mutmut.__main__ import cli
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

UNNOTICED = {"survived", "no tests"}
ALWAYS, NEVER = cst.Name("True"), cst.Name("False")


def decide_beforehand(node: cst.If | cst.CompIf) -> Iterable[cst.CSTNode]:
    for outcome in (ALWAYS, NEVER):
        yield node.with_changes(test=outcome, whitespace_before_test=cst.SimpleWhitespace(" "))


def skip_loop(node: cst.While) -> Iterable[cst.CSTNode]:
    yield node.with_changes(test=NEVER, whitespace_after_while=cst.SimpleWhitespace(" "))


def drop_side(node: cst.BooleanOperation) -> Iterable[cst.CSTNode]:
    for side in (node.left, node.right):
        yield side.with_changes(lpar=[cst.LeftParen(), *side.lpar], rpar=[*side.rpar, cst.RightParen()])


CONDITIONS: list[tuple[type[cst.CSTNode], Any]] = [
    (cst.If, decide_beforehand),
    (cst.CompIf, decide_beforehand),
    (cst.While, skip_loop),
    (cst.BooleanOperation, drop_side),
]

skips = file_mutation.MutationVisitor._skip_node_and_children
arrange = file_mutation.function_trampoline_arrangement


def skips_decorators_only(visitor: file_mutation.MutationVisitor, node: cst.CSTNode) -> bool:
    decorated = isinstance(node, cst.FunctionDef) and bool(node.decorators)
    return not decorated and skips(visitor, node)


def arrange_decorated(function: cst.FunctionDef, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any, Sequence[str]]:
    declaration, (switch, *copies), assignment, names = arrange(function.with_changes(decorators=()), *args, **kwargs)
    switch = switch.with_changes(decorators=[*function.decorators, *switch.decorators])
    return declaration, [switch, *copies], assignment, names


@cli.command()
def survivors() -> None:
    """Show the mutants that no test noticed, then the share of those that were noticed."""
    noticed = []
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            if (status := status_by_exit_code[exit_code]) == "not checked":
                continue
            noticed.append(status not in UNNOTICED)
            if not noticed[-1]:
                click.echo(f"{name}: {status}\n{get_diff_for_mutant(name, path=path)}\n")
    click.echo(f"{sum(noticed)} of {len(noticed)} mutants noticed: {sum(noticed) / max(len(noticed), 1):.1%}")


if __name__ == "__main__":
    mutators.mutation_operators += CONDITIONS
    file_mutation.MutationVisitor._skip_node_and_children = skips_decorators_only
    file_mutation.function_trampoline_arrangement = arrange_decorated
    cli()
