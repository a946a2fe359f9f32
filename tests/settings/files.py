"""trueup.toml files for the tests: written from values, read at once."""

from collections.abc import Mapping
from datetime import date
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
    return value.isoformat() if isinstance(value, date) else repr(value)


def document(values: Mapping[str, object]) -> str:
    """Write a whole file."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in values.items())


def attempt(config: Path | None, environ: Mapping[str, str]) -> Settings | ConfigurationError:
    """Load the settings, or return why they are refused; any other exception is a defect."""
    try:
        return load(config, environ)
    except ConfigurationError as error:
        return error


def written(folder: Path, content: str | Mapping[str, object]) -> Path:
    """Write a file of this content."""
    file = folder / "trueup.toml"
    file.write_text(content if isinstance(content, str) else document(content), encoding="utf-8")
    return file


def read(folder: Path, content: str | Mapping[str, object], **environ: str) -> Settings:
    """Load a file of this content with this environment and no other."""
    return load(written(folder, content), environ)


def error_of(folder: Path, content: str | Mapping[str, object], **environ: str) -> str:
    """Return what is said about a file that is refused."""
    error = attempt(written(folder, content), environ)
    assert isinstance(error, ConfigurationError), "the file was accepted"
    assert error.exit_code == 2
    return str(error)
