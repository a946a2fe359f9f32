"""How the program logs: read from the environment only, since it is the machine's matter and not the ledger's."""

from collections.abc import Mapping

from trueup.settings.model import LogSettings
from trueup.settings.values import Rule, read_text, shown, variable

FORMAT_VARIABLE = "TRUEUP_LOG_FORMAT"
LEVEL_VARIABLE = "TRUEUP_LOG_LEVEL"
FORMATS = ("auto", "json", "text")
LEVELS = ("debug", "info", "warning", "error")


def read_logs(environ: Mapping[str, str]) -> LogSettings:
    """Read the two variables; one that is not set leaves the choice to the program."""
    return LogSettings(_read(environ, FORMAT_VARIABLE, FORMATS) or "auto", _read(environ, LEVEL_VARIABLE, LEVELS))


def _read(environ: Mapping[str, str], name: str, words: tuple[str, ...]) -> str | None:
    if name not in environ:
        return None

    def read(value: object) -> str:
        word = read_text(value.strip() if isinstance(value, str) else value).lower()
        if word not in words:
            raise ValueError(f"{shown(value)} is none of them")
        return word

    return variable(name).read(environ[name], Rule(read, " or ".join((", ".join(words[:-1]), words[-1]))))
