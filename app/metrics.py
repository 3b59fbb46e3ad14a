"""Every figure CIN exports, declared once with its unit. One registry per application, so that tests can have several."""

import asyncio
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_POWERS_OF_TWO = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The counters, gauges and histograms of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.captures = Counter(
            "cin_captures", "Skills captured, by answer: created, known, failed.", ["answer"], registry=r
        )
        self.outcomes = Counter("cin_outcomes", "Outcomes recorded.", ["success"], registry=r)
        self.commits = Counter("cin_commits", "Transactions committed.", registry=r)
        self.commit_seconds = Histogram(
            "cin_commit_seconds",
            "One group: from its first statement until it is on disk.",
            buckets=_FAST_SECONDS,
            registry=r,
        )
        self.group_size = Histogram(
            "cin_group_size", "Requests that shared one commit.", buckets=_POWERS_OF_TWO, registry=r
        )
        self.head = Gauge("cin_log_head", "The newest offset this process follows.", ["network"], registry=r)
        self.streams = Gauge("cin_streams", "Streams open now.", registry=r)
        self.streams_behind = Gauge("cin_streams_behind", "Streams that are catching up now.", registry=r)
        self.stream_lag = Gauge("cin_stream_lag_events", "Events the slowest open stream is behind.", registry=r)
        self.deliveries = Counter("cin_deliveries", "Events handed to streams.", registry=r)
        self.heartbeats = Counter("cin_heartbeats", "Heartbeats sent.", registry=r)
        self.resets = Counter("cin_resets", "Positions that could not be served.", ["reason"], registry=r)
        self.evictions = Counter("cin_evictions", "Streams closed because their reader took nothing.", registry=r)
        self.streams_aged = Counter(
            "cin_streams_aged", "Streams ended because they had come of age; their clients come back.", registry=r
        )
        self.streams_refused = Counter("cin_streams_refused", "Streams refused, by reason.", ["reason"], registry=r)
        self.answers = Counter(
            "cin_answers",
            "Matches and searches answered, by where the answer was: `local` and `shared` cache, or `found` anew.",
            ["tier"],
            registry=r,
        )
        self.redis_up = Gauge(
            "cin_redis_up",
            "1 while Redis is asked, 0 while it does not answer in time or none is configured.",
            registry=r,
        )
        self.redis_errors = Counter(
            "cin_redis_errors",
            "Trouble with Redis: connections `lost`, answers `late`, commands `refused`, and those `dropped` in a crowd.",
            ["kind"],
            registry=r,
        )
        self.indexed_skills = Gauge("cin_indexed_skills", "Active skills in the index.", ["network"], registry=r)
        self.log_reads = Counter(
            "cin_log_reads", "Pages read from the log for streams that were behind the ring.", registry=r
        )
        self.reads = Counter(
            "cin_database_reads",
            "Reads of skills and of the log that a replica may do, by who did them: `primary` or `replica`.",
            ["server"],
            registry=r,
        )
        self.replica_up = Gauge(
            "cin_replica_up",
            "1 while reads are sent to the replica, 0 while it is away, slow or behind.",
            ["replica"],
            registry=r,
        )
        self.replica_lag = Gauge(
            "cin_replica_lag_events",
            "Events that the replica lacked of those this process knew, when it was looked at.",
            ["replica"],
            registry=r,
        )
        self.tasks = Gauge("cin_tasks", "Tasks of the event loop: about one for each open stream.", registry=r)
        self.tasks.set_function(_tasks)
        self.events_trimmed = Counter("cin_events_trimmed", "Events removed by retention.", registry=r)
        self.request_seconds = Histogram(
            "cin_request_seconds",
            "From request to the first byte of its answer.",
            ["method", "route", "status"],
            buckets=_FAST_SECONDS,
            registry=r,
        )

    def render(self) -> bytes:
        """The text exposition format of Prometheus, version 0.0.4."""
        return generate_latest(self.registry)

    async def scrape(self) -> bytes:
        """What `GET /metrics` answers."""
        return self.render()


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # read where no loop runs
        return 0


class WorkerMetrics:
    """What a supervisor knows of its workers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.up = Gauge(
            "cin_worker_up", "Whether the worker reported its metrics: 1 or 0.", ["worker"], registry=self.registry
        )
        self.starts = Counter(
            "cin_worker_starts", "Processes started for the worker.", ["worker"], registry=self.registry
        )

    def render(self) -> str:
        return generate_latest(self.registry).decode()


def merge_reports(reports: Mapping[str, str]) -> str:
    """What several workers rendered as one text, each sample with the label `worker`.

    Not added up: a worker that starts again counts from 0, which Prometheus can tell of a series, and not of a sum.
    """
    families: dict[str, list[str]] = {}
    for worker, report in reports.items():
        for line in report.splitlines():
            if line.startswith("# HELP "):
                samples = families.setdefault(line, [])
            elif line.startswith("# TYPE "):
                if not samples:
                    samples.append(line)
            else:
                samples.append(_labelled(line, worker))
    return "".join(f"{line}\n" for help_line, samples in families.items() for line in (help_line, *samples))


def _labelled(sample: str, worker: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
