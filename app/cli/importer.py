"""Sends entries in batches, each once, and keeps the journal."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import msgspec

from app.cli.entries import Entry, EntryRefused, read_entry
from app.cli.journal import Failure, Journal, Run
from app.cli.sources import Located
from app.client import BatchItem, Client

BATCH_ENTRIES: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class Item:
    """An entry in its place, or why it cannot be imported."""

    where: str
    entry: Entry | None
    reason: str = ""


class Importer:
    """Carries one run from where its journal stands to the end.

    `failed` is told of each entry that was not imported, `passed` how many entries a batch took.
    """

    def __init__(
        self,
        cin: Client,
        journal: Journal,
        run: Run,
        *,
        failed: Callable[[Failure], None],
        passed: Callable[[int], None],
    ) -> None:
        self._cin = cin
        self._journal = journal
        self._run = run
        self._failed = failed
        self._passed = passed

    def send(self, located: Iterable[Located]) -> None:
        """Send what is left. `located` must be what the journal was begun with: batches are counted, not marked."""
        done = self._run.batches
        with ThreadPoolExecutor(1) as reader:
            for number, batch in enumerate(_one_ahead(reader, _batches(map(_item, located)))):
                if number >= done:
                    self._send_batch(batch, f"import-{self._run.id}-{number}")
                    self._run.batches = number + 1
                    self._run.entries += len(batch)
                    self._journal.save(self._run)
                self._passed(len(batch))
        self._journal.remove()

    def _send_batch(self, batch: list[Item], key: str) -> None:
        sound = [(item.where, item.entry) for item in batch if item.entry is not None]
        for item in batch:
            if item.entry is None:
                self._note(Failure(item.where, item.reason))
        if not sound:
            return
        answer = self._cin.capture_batch([entry.body for _, entry in sound], idempotency_key=key)
        self._run.created += answer.created
        self._run.known += answer.known
        for place, ((where, entry), result) in enumerate(zip(sound, answer.results, strict=True)):
            if result.problem is not None:
                self._note(Failure(where, str(result.problem)))
            elif entry.usage is not None:
                self._tell_usage(entry, result, f"{key}-{place}")

    def _tell_usage(self, entry: Entry, result: BatchItem, key: str) -> None:
        """A skill this import created gets the outcomes its source counted, if they can be told exactly."""
        usage = entry.usage
        if usage is None or usage.successes is None or not usage.replayable or result.status != 201 or not result.id:
            self._run.usage_kept += 1
            return
        for number in range(usage.count):
            self._cin.outcome(result.id, number < usage.successes, "imported", idempotency_key=f"{key}-{number}")
        self._run.outcomes += usage.count

    def _note(self, failure: Failure) -> None:
        self._run.failure(failure)
        self._failed(failure)


def failure_line(failure: Failure) -> bytes:
    """A failure as a line of the errors file."""
    return msgspec.json.encode(failure) + b"\n"


def _item(located: Located) -> Item:
    where, raw = located
    try:
        return Item(where, read_entry(raw))
    except EntryRefused as refusal:
        return Item(where, None, str(refusal))


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Groups that depend on the content alone, so that a resumed run makes the same ones."""
    batch: list[Item] = []
    size = 0
    for item in items:
        length = len(item.entry.body) if item.entry else 0
        if batch and (len(batch) == BATCH_ENTRIES or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch


def _one_ahead(reader: ThreadPoolExecutor, batches: Iterator[list[Item]]) -> Iterator[list[Item]]:
    """The batches, each read while the one before is sent: the server need not wait for us, nor we for it."""
    coming: Future[list[Item]] = reader.submit(next, batches, [])
    while batch := coming.result():
        coming = reader.submit(next, batches, [])
        yield batch
