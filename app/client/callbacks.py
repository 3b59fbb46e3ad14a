"""Who is to hear of events, and of resets. A callback that raises is logged, and stops no other."""

import logging
from collections.abc import Callable
from typing import TypeVar

from app.client.values import Event, Reset

log = logging.getLogger("app.client")

OnSkill = Callable[[Event], object]
OnReset = Callable[[Reset], object]
_I = TypeVar("_I", Event, Reset)


class Callbacks:
    """They are called one after the other, in the order in which they came. Any thread may add and remove."""

    def __init__(self) -> None:
        self._on_skill: tuple[OnSkill, ...] = ()
        self._on_reset: tuple[OnReset, ...] = ()

    @property
    def want_events(self) -> bool:
        return bool(self._on_skill)

    def on_skill(self, callback: OnSkill) -> None:
        self._on_skill = (*self._on_skill, callback)

    def on_reset(self, callback: OnReset) -> None:
        self._on_reset = (*self._on_reset, callback)

    def remove(self, callback: OnSkill | OnReset) -> None:
        self._on_skill = tuple(each for each in self._on_skill if each != callback)
        self._on_reset = tuple(each for each in self._on_reset if each != callback)

    def hear(self, item: Event | Reset) -> None:
        if isinstance(item, Reset):
            _call_all(self._on_reset, item)
        else:
            _call_all(self._on_skill, item)


def _call_all(callbacks: tuple[Callable[[_I], object], ...], item: _I) -> None:
    for callback in callbacks:
        try:
            callback(item)
        except Exception:
            log.exception("A callback of the shared state failed at %s; it goes on with the next.", item)
