"""Which primary is the newest: PostgreSQL counts promotions, and an old primary that comes back has a lower number."""

import threading


class Timelines:
    """The newest timeline that this process has seen. One below it belongs to a server that must not be used any more."""

    def __init__(self) -> None:
        self._newest = 0
        self._lock = threading.Lock()

    def admit(self, timeline: int) -> bool:
        """Whether a server on this timeline may be used; 0 is that of a server that has none, or only follows."""
        with self._lock:
            if timeline and timeline < self._newest:
                return False
            self._newest = max(self._newest, timeline)
            return True
