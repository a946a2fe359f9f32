"""Pictures: one trade's story as a PNG or SVG; Altair and vl-convert are loaded when one is drawn."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.core.errors import ConfigurationError

if TYPE_CHECKING:
    from trueup.service.explain import Explanation

_SUFFIXES = (".png", ".svg")
_SCALE = 2.0
"""Pixels of the PNG for each unit of the drawing."""


def require(path: Path) -> None:
    """Check that a picture of this name can be made: its suffix, its folder, and the packages that draw."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigurationError(f"{path} is not the name of a picture.", "End it with .png or .svg.")
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigurationError(f"{path} cannot be written.", "Name a file in a folder that exists.")
    try:
        for name in ("altair", "vl_convert"):
            import_module(name)
    except ImportError:
        raise ConfigurationError("Pictures need Altair and vl-convert.", "pip install 'trueup[pictures]'") from None


def save(found: "Explanation", path: Path) -> None:
    """Draw a trade's story into a file; its suffix says what kind."""
    from trueup.surfaces.pictures.drawing import draw

    chart = draw(found)
    try:
        chart.save(path, format="png" if path.suffix.lower() == ".png" else "svg", scale_factor=_SCALE)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from None
