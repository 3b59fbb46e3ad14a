"""What a subscriber wants to hear of."""

from dataclasses import dataclass
from typing import Protocol


class Filterable(Protocol):
    """Anything that carries what a filter looks at."""

    @property
    def type(self) -> str: ...
    @property
    def error_types(self) -> tuple[str | None, ...]: ...
    @property
    def tags(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Any of the given values in each kind, and every kind that is given. An empty filter lets everything through."""

    types: frozenset[str] = frozenset()
    error_types: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.types or self.error_types or self.tags)

    def matches(self, event: Filterable) -> bool:
        return (
            (not self.types or event.type in self.types)
            and (not self.error_types or not self.error_types.isdisjoint(event.error_types))
            and (not self.tags or not self.tags.isdisjoint(event.tags))
        )
