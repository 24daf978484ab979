"""Whether a supervisor may judge others by their silence: not when it was away itself, or could not reach the database."""

from __future__ import annotations

import time

from ..config import Settings

#: How long a heartbeat takes at most that somebody will hear of, in seconds: on SQLite it may have to wait for other writers.
_BEAT = 5.0
#: A supervisor that looks up no later than this was not away, in seconds.
_LEAST_ABSENCE = 3.0


class Attention:
    """Since when a supervisor has been there without a gap in which others may have become late through no fault of theirs.

    Laptops sleep, and whole containers are paused: then all are equally late, and who wakes up first must not bury the rest.
    """

    def __init__(self, settings: Settings) -> None:
        #: Within this time whoever lives has beaten, or learnt that its registration is gone, in seconds.
        self.notice = 2 * settings.heartbeat_interval + _BEAT
        self._longest = max(settings.alive_threshold - settings.heartbeat_interval, _LEAST_ABSENCE)
        #: On the monotonic clock; a supervisor that has just started finds those that have long been dead.
        self.since = float("-inf")
        self._looked_at: tuple[float, float] | None = None

    def look(self) -> None:
        """Note that the supervisor is there; to be called again and again."""
        # The monotonic clock stands still while a machine sleeps, and the other one may be set back.
        moment = (time.monotonic(), time.time())
        before, self._looked_at = self._looked_at or moment, moment
        if max(now - then for now, then in zip(moment, before, strict=True)) > self._longest:
            self.distract()

    def distract(self) -> None:
        """Note that the supervisor was away until now, or the database."""
        self.since = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Whether everybody who lives has had the time to beat."""
        return time.monotonic() - self.since > self.notice
