"""The demonstration that runs by itself: a careless bot, the worker and the API, for as long as somebody watches."""

import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.surfaces.cli.serve import answering, log_in_link, working_beside
from trueup.surfaces.cli.session import Session

if TYPE_CHECKING:
    from trueup.service.app import LivePlace
    from trueup.service.live_story import LiveStory

_SETTLE_SECONDS = 45.0
_LOOK_SECONDS = 0.2


def run_live(
    session: Session, folder: Path, port: int, seed: int, seconds: float | None, say: Callable[[str], None]
) -> int:
    """Show a bot being reconciled until Ctrl-C or after so many seconds; 0 if its books equal the venue at the end."""
    from trueup.service.live_story import LiveStory
    from trueup.service.worker import Worker

    def now(line: str) -> None:
        """Say a line that is to be seen at once, also where a pipe keeps them."""
        say(line)
        sys.stdout.flush()

    where = ("127.0.0.1", port, None, None, False)
    with session.live(folder, seed) as place, answering(lambda: place.app, where) as (app, url, made, stop):
        app.start_logs(None)
        story = LiveStory(now)
        say(f"{place.about} It answers at {place.url}.")
        say(f"A careless bot trades on it and keeps its books in {folder}.")
        if made is not None:
            link = log_in_link(url, made.secret)
            say(f"trueup answers at {url}; log in, by a link that is shown this once: {link}")
        now("")
        worker = Worker(app, after_cycle=story.looked)
        with working_beside(worker, stop):
            while not story.cycles and not stop.is_set():
                stop.wait(_LOOK_SECONDS)
            place.trial.start(story.slipped)
            stop.wait(seconds)
            _settle(place, story)
        if place.trial.problem:
            say(f"The bot broke off: {place.trial.problem}")
        code = story.end(place.trial.truth())
        say(f"To look into it: cd {shlex.quote(str(folder))}")
        say("The exchange has ended with this; `trueup breaks list` and `trueup audit verify` answer without it.")
        return code


def _settle(place: "LivePlace", story: "LiveStory") -> None:
    """Stop the bot, and give trueup the time that it needs for what is left."""
    place.trial.stop()
    wait, waited = threading.Event(), 0.0
    while not (story.settled and not place.trial.truth().differences) and waited < _SETTLE_SECONDS:
        wait.wait(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
