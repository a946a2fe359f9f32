"""The repository stays readable: short modules and functions, reasons for exceptions, no machine's traces."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES = 600
FUNCTION_LINES = 70

SILENCED = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:)")
SILENCED_WITH_REASON = re.compile(
    r"# (?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|type: ignore\[[a-z, -]+\]|pragma: no \w+)  # \S.{7}"
)
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
MACHINE_PATH = re.compile(r"(?<![\w.~*)}-])/(?:wor[k]|roo[t]|tmp/stud[i]o|home/[a-z]\w+)\b")
REGISTRY = re.compile(
    r"\b(?:pyp[i]\.|pythonhoste[d]\.|npmj[s]\.|registry\.yarnpk[g]\.|deb\.debia[n]\.|anacond[a]\.)(?:org|com)\b"
)


def repository() -> list[Path]:
    """List the files that are in the repository, or would be with the next commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(ROOT / name for name in set(names) if name and (ROOT / name).is_file())


FILES = repository()
MODULES = [path for path in FILES if path.suffix == ".py"]


def matches(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in FILES:
        if b"\0" in (data := path.read_bytes()):
            continue
        for number, line in enumerate(data.decode().splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_modules_are_short() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > MODULE_LINES}


def test_functions_are_short() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]
    assert not too_long


def test_what_is_silenced_in_code_carries_its_reason() -> None:
    silenced = [line for line in matches(SILENCED) if ".py:" in line]
    assert not [line for line in silenced if not SILENCED_WITH_REASON.search(line)]


def test_what_is_ignored_by_configuration_carries_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r'(?ms)^(?:ignore|filterwarnings|"[^"]+") = \[\n(.*?)^\]', text)
    entries = [line for body in lists for line in body.splitlines()]
    assert entries
    assert not [entry for entry in entries if not re.search(r" # \w+", entry)]


def test_constraints_are_names_and_versions_only() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert pins
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.!+]+", pin)]


@pytest.mark.parametrize("pattern", [UNFINISHED, MACHINE_PATH, REGISTRY])
def test_no_file_holds(pattern: re.Pattern[str]) -> None:
    assert not list(matches(pattern))
