"""A table on a terminal: a row for each figure, a column for each thing that was measured."""

from collections.abc import Sequence


class Table:
    """Rows are written as they are added, all at once at the end."""

    def __init__(self, corner: str, columns: Sequence[str]) -> None:
        self._rows: list[tuple[str, Sequence[str]]] = [(corner, columns)]

    def add(self, name: str, cells: Sequence[str]) -> None:
        self._rows.append((name, cells))

    def show(self) -> None:
        first = max(len(name) for name, _ in self._rows) + 2
        width = max(len(cell) for _, cells in self._rows for cell in cells) + 2
        for name, cells in self._rows:
            print(f"{name:{first}}" + "".join(f"{cell:>{width}}" for cell in cells))
