"""Values worked out when they are first asked for, and kept."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazily(Generic[T]):  # it is written as `property` is
    """`functools.cached_property` without its lock: on Python 3.11 all instances of a class share one.

    While a thread reads one long message, the event loop would wait with the next. Two threads may both work it out.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> T:
        value = self._work_out(instance)
        instance.__dict__[self._name] = value  # found there from now on, before this
        return value
