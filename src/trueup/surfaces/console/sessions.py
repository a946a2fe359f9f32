"""Sessions: who logged in with which token, until when; kept in this process alone.

Of a session's id, which is in the visitor's cookie, and of the token only hashes are here. What a form carries to
prove that our own page sent it is made of the id with a key of this process, so that nothing has to be kept for it.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
_REMEMBERED = 10_000
_BYTES = 32


@dataclass(slots=True)
class Session:
    """One log-in: the hash of its token, when it began and was last used by hand, and what its next page tells."""

    token_hash: str
    began: float
    used: float
    notes: list[str] = field(default_factory=list)


class Sessions:
    """The sessions of this process; `now` counts seconds and is never set back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._key = secrets.token_bytes(_BYTES)
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, token_hash: str) -> str:
        """Begin a session, and return its new id."""
        session_id, now = new_id(), self._now()
        with self._lock:
            for known in [name for name, session in self._sessions.items() if self._over(session)]:
                del self._sessions[known]
            self._sessions[_kept(session_id)] = Session(token_hash, now, now)
            while len(self._sessions) > _REMEMBERED:
                self._sessions.popitem(last=False)
        return session_id

    def find(self, session_id: str, *, by_hand: bool = True) -> Session | None:
        """Return a session that is not over; what a page asks for by itself does not keep it from ending."""
        with self._lock:
            session = self._sessions.get(_kept(session_id))
            if session is None or self._over(session):
                self._sessions.pop(_kept(session_id), None)
                return None
            if by_hand:
                session.used = self._now()
            return session

    def end(self, session_id: str) -> None:
        """End a session; one that is not there is over already."""
        with self._lock:
            self._sessions.pop(_kept(session_id), None)

    def form_key(self, session_id: str) -> str:
        """Return what our own forms carry in this session, and nobody else can know."""
        return hmac.new(self._key, f"form:{session_id}".encode("utf-8", "surrogatepass"), sha256).hexdigest()

    def knows_form(self, session_id: str, form_key: str) -> bool:
        """Say whether a form is ours and of this session."""
        said = form_key.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(self.form_key(session_id).encode(), said)

    def _over(self, session: Session) -> bool:
        now = self._now()
        return now - session.used > IDLE_SECONDS or now - session.began > LONGEST_SECONDS


def new_id() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


def _kept(session_id: str) -> str:
    return sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
