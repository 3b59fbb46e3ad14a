"""A shared tier of answers without Redis."""


class Drawer:
    """A shared tier within this process."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    async def get(self, key: bytes) -> bytes | None:
        return self.kept.get(key)

    async def put(self, key: bytes, value: bytes) -> None:
        self.kept[key] = value
