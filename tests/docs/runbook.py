"""Running a page: its console blocks through the real command, its SQL on the database, in the page's order."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

import psycopg
from tests.docs.markdown import Block

SKIPPED = "…"
"""A line of this alone stands for lines of the output that the page leaves out."""

NO_ROWS = "(no rows)"


@dataclass(slots=True)
class Runner:
    """One reader who follows a page: `folder` is where they are, `url` their ledger (empty: as trueup.toml says).

    `environ` is what they exported, `names` the page's placeholders, as the commands so far have filled them.
    """

    folder: Path
    url: str
    environ: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def console(self, block: Block) -> None:
        """Run every command of a block and compare what it prints and how it ends."""
        for command, expected, code in read_console(block.text):
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                self.environ[name] = value
                continue
            done = self.run(self._filled(command))
            said = done.stdout + done.stderr
            self._learn(command, said)
            assert done.returncode == code, f"line {block.line}: {command} ended with {done.returncode}:\n{said}"
            missing = first_missing([self._filled(line) for line in expected], said)
            assert missing is None, f"line {block.line}: {command} does not print {missing!r}, but\n{said}"

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command as a shell would find it in the environment of these tests."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ours = ("DEADMAN_", "EXCHANGE_STATE_", "RECON_", "TRUEUP_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        ledger = {"TRUEUP_LEDGER_URL": self.url} if self.url else {}
        environ = {**kept, **ledger, **self.environ, "PATH": path}
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )

    def sql(self, block: Block, expected: str) -> None:
        """Run one statement and compare its rows with a table of text under a line of headings."""
        heading, *shown = expected.strip().splitlines()
        names, rows = self._rows(self._filled(block.text))
        assert [name.strip() for name in heading.split("|")] == list(names), f"line {block.line}: columns"
        wanted = [] if shown == [NO_ROWS] else [[_cell(cell) for cell in line.split("|")] for line in shown]
        assert [[_cell(cell) for cell in row] for row in rows] == wanted, f"line {block.line}"

    def write(self, block: Block) -> None:
        """Run one statement that answers nothing."""
        if self.url.startswith("sqlite:///"):
            with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
                connection.execute(block.text)
            return
        with psycopg.connect(self.url.replace("+psycopg", "")) as server:
            server.execute(block.text.encode())

    def _rows(self, statement: str) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
        if self.url.startswith("sqlite:///"):
            with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
                cursor = connection.execute(statement)
                return [column[0] for column in cursor.description], cursor.fetchall()
        with psycopg.connect(self.url.replace("+psycopg", "")) as server:
            found = server.execute(statement.encode())
            return [column.name for column in found.description or ()], found.fetchall()

    def _filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = re.sub(rf"\b{name}\b", value, text)
        return text

    def _learn(self, command: str, said: str) -> None:
        if command.startswith("trueup reconcile"):
            self.names["RUN_ID"] = re.findall(r"RUN-\w+-\w+", said)[0]
        for name, pattern in (("APPROVER_TOKEN", r"(trueup_[\w-]{20,})"), ("INCIDENT_ID", r"(INC-\w+-\w+)")):
            found = re.search(pattern, said)
            if found and ("token create" in command or name != "APPROVER_TOKEN"):
                self.names[name] = found[1]
        if command.startswith("trueup canary propose") and (found := re.search(r"--plan ([0-9a-f]{64})", said)):
            self.names["CANARY_HASH"] = found[1]
        orphan = re.search(r"orphan_order.*?(BRK-[0-9a-f]{32})", said, re.DOTALL)
        if command.startswith("trueup breaks list") and orphan is not None:
            self.names["BREAK_ID"] = orphan[1]
        if not re.search(r"backfill run|integrity backfill", command):
            return
        for name, pattern in placeholders(command).items():
            found = re.search(pattern, said)
            if found:
                self.names[name] = found[1]


def placeholders(command: str) -> Mapping[str, str]:
    """Return the placeholders that a run of the backfill fills, and where its output names them."""
    batch = "BATCH_ID" if "--apply" in command else "DRY_BATCH_ID"
    return {batch: r"(BATCH-\w+-\w+)", "PLAN_HASH": r"(?:plan hash|--plan) ([0-9a-f]{64})"}


def read_console(text: str) -> list[tuple[str, list[str], int]]:
    """Return a block's commands, each with the lines that it shows and the exit code that it names (0 if none)."""
    commands: list[tuple[str, list[str], int]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], [], 0))
            continue
        command, shown, _ = commands[-1]
        ended = re.fullmatch(r"\(exit code (\d)\)", line.strip())
        if ended:
            commands[-1] = (command, shown, int(ended[1]))
        elif line.strip():
            shown.append(line)
    return commands


def first_missing(expected: Sequence[str], said: str) -> str | None:
    """Return the first expected line that does not follow the ones before; adjacent lines must be adjacent."""
    lines = [_plain(line) for line in said.splitlines() if line.strip()]
    at, near = 0, False
    for line in expected:
        if line.strip() == SKIPPED:
            near = False
            continue
        wanted = _plain(line)
        here = range(at, at + 1) if near else range(at, len(lines))
        found = next((number for number in here if number < len(lines) and _same(wanted, lines[number])), None)
        if found is None:
            return line
        at, near = found + 1, True
    return None


def _plain(line: str) -> str:
    return " ".join(line.split())


def _same(wanted: str, line: str) -> bool:
    """Say whether a line is as shown, where `…` at its end stands for what the page cuts off."""
    return line.startswith(wanted[:-1].rstrip()) if wanted.endswith(SKIPPED) else line == wanted


def _cell(value: object) -> object:
    text = str(value).strip() if value is not None else ""
    try:
        return Decimal(text).normalize()
    except InvalidOperation:
        return text
