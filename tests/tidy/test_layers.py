"""The core is pure: values in, values out. import-linter holds the layers, this what it cannot see."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src" / "trueup" / "core"

IMPURE_MODULES = {
    "asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "socket",
    "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
PURE_MODULES = sys.stdlib_module_names - IMPURE_MODULES
IMPURE_CALLS = {"float", "input", "now", "open", "print", "today", "utcnow"}
FLOATS_ALLOWED = {"errors.nearest": "the likeness of two names is a ratio"}
"""Functions of the core that may hold a float, by module and name, each with its reason."""


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def impurities(body: list[ast.stmt]) -> Iterator[str]:
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"line {node.lineno}: the float {node.value}"
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in IMPURE_CALLS:
                yield f"line {node.lineno}: a call of {name}"


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
class TestCore:
    def test_imports_itself_and_pure_standard_modules_only(self, path: Path) -> None:
        names = imported(ast.parse(path.read_text()))
        foreign = [name for name in names if not f"{name}.".startswith("trueup.core.")]
        assert not [name for name in foreign if name.split(".")[0] not in PURE_MODULES]

    def test_has_no_clock_no_files_and_no_floats(self, path: Path) -> None:
        body = ast.parse(path.read_text()).body
        held = [node for node in body if f"{path.stem}.{getattr(node, 'name', '')}" not in FLOATS_ALLOWED]
        assert not list(impurities(held))
