"""Writes the pages of docs/reference that follow from the code, and the settings table of the README.

`poe docs` runs it; tests/docs holds every page against what this would write.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.metrics import MetricWrapperBase
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from app import errors
from app.cli import app as cli
from app.cli.edge import EXIT_CODES
from app.errors import CINError, StartupError
from app.metrics import Metrics
from app.settings import Settings

ROOT = Path(__file__).parents[1]
SETTINGS_BEGIN, SETTINGS_END = "<!-- settings: written by `poe docs` -->\n", "<!-- /settings -->\n"
_WRITTEN = "<!-- Written by `poe docs`; change the code it follows from. -->\n"

_SETTINGS = """# Settings

{written}
Environment variables, read once, when the program starts. A wrong value stops it with a sentence that names the
variable. `cin serve --host` and `--port` win over `CIN_HOST` and `CIN_PORT`.

{table}
The client and the command line read three more: `CIN_URL` (the server; `http://127.0.0.1:8005` unless given),
`CIN_AGENT` (who they are) and `CIN_API_KEY`, which they send as a bearer token and no server checks yet.
"""
_METRICS = """# Metrics

{written}
`GET /metrics` gives them in the text format of Prometheus. Each process counts for itself, from its start.
A histogram has `_bucket`, `_sum` and `_count`; times are in seconds.

With several workers, whichever is asked gives those of all. Each sample has the label `worker`: `0`, `1` and so on, and
`0-leaving` for one that drains while another has its place; leave it out of what you add up over time with
`sum without (worker) (rate(…))`. Beside them are `cin_worker_up` (1, or 0 if the worker did not report) and
`cin_worker_starts_total`, which grows by itself if a worker dies.

{table}"""
_PROBLEMS = """# Problems

{written}
Every error is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail` (what happened and what to do),
`instance` (the request's id, as in `X-Request-ID` and the server's log) and, with 422, `errors`: a list of `loc` and
`msg`. Nothing was changed.

{table}
A program that cannot start says so in one sentence on standard error and exits with 2.
"""

WHAT_TO_DO: Mapping[type[CINError], str] = {
    CINError: "Report it with the request id in `instance`; the server's log has the cause under that id.",
    errors.InvalidInput: "Change what `errors` names, and send it again. The same request will fail again.",
    errors.OriginRefused: "Open the WebSocket from a page of the same server; programs send no `Origin`.",
    errors.SkillNotFound: "Take ids from captures, lists and the stream.",
    errors.AgentNotFound: "Register the agent first: `PUT /agents/{name}`.",
    errors.RouteNotFound: "Look the path up at `/docs`.",
    errors.MethodNotAllowed: "Use one of the methods in the header `Allow`.",
    errors.SkillConflict: "Choose another name, or leave it out; or retire the skill that says the same.",
    errors.SkillRetired: "Capture the skill again to have it back.",
    errors.AlreadySubscribed: "Open another connection for another subscription.",
    errors.IdempotencyKeyInUse: "Send it again after `Retry-After`: you will get the first request's answer.",
    errors.IdempotencyKeyReused: "Use a new key for a new request, or send the body that the key was first used with.",
    errors.VersionMissing: "Read the skill, and send its `ETag` as `If-Match`.",
    errors.VersionStale: "Read the skill again, look at what has changed, and send the new `ETag` as `If-Match`.",
    errors.PositionUnavailable: "Read the skills with `GET /skills`, then stream from `now`. "
    "`reason`, `earliest` and `head` say what happened.",
    errors.BodyTooLarge: "Send less: several batches, or a shorter skill.",
    errors.MediaTypeUnsupported: "Send the header `Content-Type` that `detail` names.",
    errors.StreamLimitReached: "Come back after `Retry-After`. The operator raises `CIN_MAX_STREAMS`. "
    "On `/stream` a browser is answered 200 and `retry:` instead, because an EventSource gives up on 503.",
    errors.Unavailable: "Send it again after `Retry-After`, with the same `Idempotency-Key`. "
    "On `/stream` a browser is answered 200 and `retry:` instead.",
    errors.StorageFull: "Nothing was changed. Make room on the server's disk; captures go on without a restart.",
}


def settings_page() -> str:
    rows = [
        (f"`{name}`", _code(field["default"]), _accepted(field), field["description"]) for name, field in _settings()
    ]
    return _SETTINGS.format(written=_WRITTEN, table=_table(("variable", "default", "accepted", "meaning"), rows))


def settings_table() -> str:
    return _table(
        ("variable", "default", "meaning"),
        [(f"`{name}`", _code(field["default"]), field["description"]) for name, field in _settings()],
    )


def readme() -> str:
    """The README with its settings table as it should be."""
    before, _, rest = (ROOT / "README.md").read_text().partition(SETTINGS_BEGIN)
    after = rest.partition(SETTINGS_END)[2]
    return f"{before}{SETTINGS_BEGIN}\n{settings_table()}\n{SETTINGS_END}{after}"


def cli_page() -> str:
    """Every command of `cin`, from the objects that parse its arguments."""
    group = get_command(cli)
    assert isinstance(group, TyperGroup)
    parts = [f"# Command line\n\n{_WRITTEN}\n{group.help}\n\n```text\n{_plain(EXIT_CODES)}\n```\n"]
    for name, command in group.commands.items():
        assert isinstance(command, TyperCommand)
        parts.append(_command(name, command))
    return "\n".join(parts)


def metrics_page() -> str:
    rows = [
        (f"`{metric._name}{'_total' if metric._type == 'counter' else ''}`", metric._type, _labels(metric), help_text)
        for metric in vars(Metrics()).values()
        if isinstance(metric, MetricWrapperBase)
        for help_text in [metric._documentation]
    ]
    return _METRICS.format(written=_WRITTEN, table=_table(("name", "type", "labels", "meaning"), rows))


def problems_page() -> str:
    kinds: list[type[CINError]] = [kind for kind in (*_subclasses(CINError), CINError) if kind is not StartupError]
    rows = [
        (str(kind.status), f"`/problems/{kind.slug}`", kind.title, _what_to_do(kind))
        for kind in sorted(kinds, key=lambda kind: kind.status)
    ]
    return _PROBLEMS.format(written=_WRITTEN, table=_table(("status", "type", "title", "what to do"), rows))


PAGES: Mapping[Path, Callable[[], str]] = {
    ROOT / "README.md": readme,
    ROOT / "docs/reference/settings.md": settings_page,
    ROOT / "docs/reference/cli.md": cli_page,
    ROOT / "docs/reference/metrics.md": metrics_page,
    ROOT / "docs/reference/problems.md": problems_page,
}


def _settings() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in Settings.model_json_schema()["properties"].items():
        yield f"CIN_{name.upper()}", field


def _accepted(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "boolean":
        return "`true`, `false`"
    if "anyOf" in field or field["type"] == "string":  # it may be left out
        return "text"
    least = f"{field['minimum']:,}" if "minimum" in field else f"above {field['exclusiveMinimum']}"
    most = f" to {field['maximum']:,}" if "maximum" in field else " or more" if "minimum" in field else ""
    return least + most + (", whole" if field["type"] == "integer" else "")


def _code(value: object) -> str:
    if value is None:
        return "none"
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(f"`{label}`" for label in metric._labelnames)


def _command(name: str, command: TyperCommand) -> str:
    arguments = [parameter for parameter in command.params if isinstance(parameter, TyperArgument)]
    options = [parameter for parameter in command.params if isinstance(parameter, TyperOption)]
    usage = " ".join([f"cin {name}", *(["[OPTIONS]"] if options else []), *map(_placeholder, arguments)])
    text, _, lines = _plain(command.epilog or "").partition("Examples:\n")
    examples = "\n".join(line.strip() for line in lines.splitlines())
    rows = [(f"`{_placeholder(argument)}`", argument.help or "") for argument in arguments]
    rows += [(f"`{'`, `'.join(option.opts)}`", _meaning(option)) for option in options]
    table = _table(("argument or option", "meaning"), rows) + "\n" if rows else ""
    return f"## cin {name}\n\n{command.help}\n\n`{usage}`\n\n{table}{text}```sh\n{examples}\n```\n"


def _placeholder(argument: TyperArgument) -> str:
    name = argument.metavar or str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _meaning(option: TyperOption) -> str:
    parts = [option.help or ""]
    parts += ["Required."] if option.required else []
    parts += [f"Else the environment's `{option.envvar}`."] if option.envvar else []
    return " ".join(parts)


def _plain(text: str) -> str:
    """Help without the mark that keeps its lines as they are."""
    return text.replace("\b\n", "").strip()


def _what_to_do(kind: type[CINError]) -> str:
    later = f" `Retry-After: {kind.retry_after_seconds}`." if kind.retry_after_seconds else ""
    return WHAT_TO_DO[kind] + later


def _subclasses(kind: type[CINError]) -> Iterator[type[CINError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    for path, page in PAGES.items():
        path.write_text(page())
