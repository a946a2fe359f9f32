"""The fenced blocks of the documentation's pages."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, its text, and the line of the page that it begins in."""

    language: str
    text: str
    line: int


def blocks(page: str, *languages: str) -> list[Block]:
    """Return a page's blocks of some languages (all if none is named), in order; the page is named from the root."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(text)]
    return [block for block in found if not languages or block.language in languages]
