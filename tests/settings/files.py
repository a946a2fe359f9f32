"""trueup.toml files for the tests: written from values, read at once."""

from collections.abc import Mapping
from pathlib import Path

from trueup.core.errors import ConfigurationError
from trueup.settings import Settings, load


def toml(value: object) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(key)} = {toml(item)}' for key, item in value.items())}}}"
    return repr(value)


def document(values: Mapping[str, object]) -> str:
    """Write a whole file."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in values.items())


def read(folder: Path, content: str | Mapping[str, object], **environ: str) -> Settings:
    """Load a file of this content with this environment and no other."""
    file = folder / "trueup.toml"
    file.write_text(content if isinstance(content, str) else document(content), encoding="utf-8")
    return load(file, environ)


def error_of(folder: Path, content: str | Mapping[str, object], **environ: str) -> str:
    """Return what is said about a file that is refused."""
    try:
        read(folder, content, **environ)
    except ConfigurationError as error:
        assert error.exit_code == 2
        return str(error)
    raise AssertionError("the file was accepted")
