"""Draw the pictures of the demonstration from a real run of it, as a terminal of 80 columns shows it.

python docs/make_pictures.py          draw them
python docs/make_pictures.py --check  say which do not show what the demonstration tells, and exit 1
"""

import contextlib
import html
import io
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from trueup.bootstrap import demo
from trueup.surfaces.cli.telling import styled

PICTURES = Path(__file__).parent / "pictures"
STEPS: Mapping[str, tuple[int, ...]] = {
    "check.svg": (1, 2),
    "dry-run.svg": (3,),
    "apply-and-back.svg": (4, 5, 6, 7, 8, 9),
}
COLUMNS = 80
FOLDER = "trueup-demo"

_CHANGES = re.compile(r"BATCH-\w+-\w+|\b[0-9a-f]{64}\b")
"""What is another one in each run."""


def run_demonstration() -> list[str]:
    """Run the demonstration in a folder of its own, and return what it tells."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        code = demo(Path(FOLDER), lines.append)
    if code:
        raise SystemExit("\n".join(lines))
    return lines


def steps_of(lines: Iterable[str]) -> dict[int, list[str]]:
    """Return what each step tells, by its number."""
    steps: dict[int, list[str]] = {0: []}
    number = 0
    for line in lines:
        begins = re.match(r"(\d+)\. ", line)
        if begins:
            number = int(begins[1])
        elif line.startswith("Look around"):
            number = 0
        steps.setdefault(number, []).append(line)
    return steps


def shown(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return the lines that each picture shows."""
    steps = steps_of(lines)
    return {
        name: "\n".join(line for number in numbers for line in steps[number]).strip().splitlines()
        for name, numbers in STEPS.items()
    }


def draw(lines: Iterable[str]) -> str:
    """Return a picture of some lines; it needs no font or other file from elsewhere."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False, markup=False
    )
    for line in (*lines, ""):
        piece = styled(line)
        console.print(Text(piece) if isinstance(piece, str) else Text(*piece))
    picture = console.export_svg(title="trueup demo", theme=MONOKAI, unique_id="trueup")
    picture = re.sub(r"\s*@font-face \{.*?\}\n", "\n", picture, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE)


def words(lines: Iterable[str]) -> str:
    """Return what lines say, without blanks and without what is another one in each run."""
    return re.sub(r"\s", "", _CHANGES.sub("X", "\n".join(lines)))


def words_in(picture: str) -> str:
    """Return what a picture says."""
    rows: dict[float, str] = {}
    for x, y, text in re.findall(r'<text class="trueup-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', picture):
        del x
        rows[float(y)] = rows.get(float(y), "") + html.unescape(text).replace("\N{NO-BREAK SPACE}", " ")
    return words(rows[y] for y in sorted(rows))


def main() -> int:
    """Draw the pictures, or check them."""
    told = shown(run_demonstration())
    if "--check" in sys.argv[1:]:
        stale = [
            name for name, lines in told.items()
            if not (PICTURES / name).exists() or words_in((PICTURES / name).read_text("utf-8")) != words(lines)
        ]  # fmt: skip
        for name in stale:
            sys.stderr.write(f"docs/pictures/{name} is not current: run python docs/make_pictures.py\n")
        return 1 if stale else 0
    PICTURES.mkdir(exist_ok=True)
    for name, lines in told.items():
        (PICTURES / name).write_text(draw(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
