"""One trade's story as a picture."""

from pathlib import Path

from trueup.core.errors import ConfigurationError
from trueup.service.explain import Explanation


def require(path: Path) -> None:
    """Check that a picture of this name can be made."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise ConfigurationError(f"{path} is not a name of a picture.", "End it with .png or .svg.")


def save(found: Explanation, path: Path) -> None:
    """Draw a trade's story into a file."""
    raise ConfigurationError("Pictures are not there yet.")
