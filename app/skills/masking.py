"""A message's signature: what changes from run to run gives way to placeholders, so that two runs read alike.

Looked for in this order; what comes first takes its text, and nothing inside it is looked at again:

| placeholder | what | why here |
|---|---|---|
| itself | `<n>`, `<path>` … that stand in the message already | so that masking twice changes nothing |
| `<path>` | `"x.py", line 12` | before quotes, which would leave the line number |
| `<q>` | `'…'`, `"…"`, `` `…` ``, `‘…’`, `“…”`, `«…»`: short, closed on its line, not an apostrophe | it is one value |
| `<date>` | ISO, syslog, RFC 2822, common log, klog, time of day | before number, path (`1/2/2024`), IPv6 (`10:00:00`) |
| `<url>` | with a scheme, `git@host:path`, `host.com/path` | before e-mail, host and path, which are its parts |
| `<email>` | | before host |
| `<ip>` | v4 and v6, with port or prefix length | before path (`10.0.0.0/8/x`) and version (`1.2.3.4`) |
| `<path>` | absolute, `./`, `~/`, windows, relative; with `:12:5`, `(12,5)` | before host and all below, its parts |
| `<host>` | a name under a well-known top-level domain, `localhost:80`; with port | |
| `<uuid>` | | before hash and number |
| `<hex>` | `0x7f…`, MAC addresses | before hash and number |
| `<hash>` | 7 to 128 hexadecimal digits, both figures and letters among them; `sha512-…` | before number |
| `<duration>` | `30.2s`, `5 ms`, `1h2m3s` | before number |
| `<version>` | `1.2.3`, `v2.0.0-rc1` | before number |
| `<n>` | `12`, `-1.5e3`, `1,024`, `512MiB`, `80%` | the rest |

Figures that are part of a word (`E0308`, `utf8`, `x86_64`) or of a code (`ORA-00942`) stay: they say what went wrong.

Invariants: time grows with the length of the text, whatever it holds (every match consumes, every repetition is
possessive or bounded, and what may run far begins only where no such run can have begun before). No match crosses a
newline. `mask(mask(x).text).text == mask(x).text`, but for a quoted value that only its long parts kept from being
short, and for a few tangles that no program writes (3 in 100,000 of tokens thrown together at random).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from app.skills.regex import compile_possessive
from app.skills.scripts import WIDE


class Cut(NamedTuple):
    """`[start:end]` of the original became the placeholder at `[masked_start:masked_end]` of the masked text."""

    start: int
    end: int
    masked_start: int
    masked_end: int


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with placeholders, and in order what they stand for."""

    text: str
    cuts: tuple[Cut, ...]


def mask(line: str) -> Masked:
    """The signature of one line or of several; newlines stay where they are.

    >>> mask("[Errno 2] No such file or directory: '/srv/app-3/config.yml'").text
    '[Errno <n>] No such file or directory: <q>'
    """
    if _TRIGGER.search(line) is None:
        return Masked(line, ())
    pieces: list[str] = []
    cuts: list[Cut] = []
    done = length = 0
    for match in _TOKEN.finditer(line):
        group = match.lastindex
        if group is None:
            continue
        start, end = match.span(group)
        placeholder = _PLACEHOLDERS[group] or line[start:end]
        if line[end - 1] in ".,;:!?)]}" and (marks := _SENTENCE_MARKS.get(placeholder)):
            end = start + len(line[start:end].rstrip(marks))
        pieces.append(line[done:start])
        pieces.append(placeholder)
        begin = length + start - done
        length = begin + len(placeholder)
        cuts.append(_new(Cut, (start, end, begin, length)))
        done = end
    pieces.append(line[done:])
    return Masked("".join(pieces), tuple(cuts))


def literals(masked: Masked) -> Iterator[tuple[int, int]]:
    """The spans of `masked.text` that are not placeholders, in order, none empty."""
    done = 0
    for cut in masked.cuts:
        if done < cut.masked_start:
            yield done, cut.masked_start
        done = cut.masked_end
    if done < len(masked.text):
        yield done, len(masked.text)


_new = tuple.__new__  # 0.2 µs; `Cut(…)` costs 0.7, and there is one to each placeholder

_OPENING = "‘“«"
"""Quotes that another character closes."""

_TRIGGER = re.compile(rf"""[0-9@/\\'"`<.{_OPENING}](?<!\.(?!\w))""")
"""Where this finds nothing there is nothing to mask. It begins with a character class, which `re` skips to fast."""

_SENTENCE_MARKS = {"<url>": ".,;:!?)]}", "<path>": ".", "<version>": "."}
"""What may belong to the sentence around, though it could be part of what is masked."""

_RUN = r"\w.@%+~$#\-"
"""What a path segment, host or e-mail address is made of; with the slashes, what may run far."""
_STARTS = r"(?<!\w)(?<![a-z]>)(?![<'\"`])"
"""Not inside a word, and (for masking twice) not right behind a placeholder."""
_RUN_STARTS = rf"(?<![{_RUN}/\\])"
_WORD_STARTS = r"(?<!\d\.)(?<!>\.)"
_ENDS = r"(?![\w<])"
_NUMBER_ENDS = r"(?![\w<]|\.[\d<])"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9}+)?+"
_ZONE = r"(?: ?(?:Z|[+-]\d\d:?\d\d|UTC|GMT|[PMCE][SD]T|CES?T)(?!\w))?+"
_TLD = "(?:com|net|org|io|dev|edu|gov|mil|cloud|local|internal|lan|svc|uk|de|fr|nl|eu|jp|cn|ru|br|au)"
_HOST = rf"[A-Za-z0-9][A-Za-z0-9.-]*?\.{_TLD}(?![\w-]|\.[\w<])(?::\d{{1,5}}+(?!\w|\.\d))?+"
_URL_REST = r"""[^\s"'`<>]*+"""
_LINE_NUMBER = r"(?::\d++(?::\d++)?+|\(\d++(?:[,:] ?\d++)?+\))?+"
_EXTENSION = (
    "(?:py[cidx]?|ipynb|[cm]?[jt]sx?|json[5cl]?|ya?ml|toml|lock|rs|go|java|kts?|scala|groovy|gradle|jar|war|c|cc|cpp|cxx|h|hh|hpp"
    r"|o|so(?:\.\d++)*+|dll|dylib|exe|rb|php|sh|bash|ps1|bat|md|rst|txt|cfg|ini|conf|xml|html?|s?css|vue|svelte|sql|sqlite3?"
    "|csv|tsv|zip|tar|gz|tgz|bz2|xz|whl|png|jpe?g|svg|pdf|proto|swift|cs|csproj|sln|lua|exs?|erl|hs|ml|tf|hcl|pem|crt)"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|\d\d?)"
_GROUPS = "[0-9A-Fa-f]{1,4}+(?::[0-9A-Fa-f]{1,4}+){0,6}+"
_STUCK_UNIT = "(?:%|[KMGTPkmgt]i?(?:[Bb](?:ps|/s)?)?|B|bytes|px|x)"
_TIME_UNIT = "(?:ns|[uµμ]s|ms|s|m|h|d)"
_TIME_WORD = "(?:(?:nano|micro|milli)?seconds?|secs?|min(?:ute)?s?|hours?|hrs?|days?|ns|[uµμ]s|ms|s)"


_OPENS = rf"(?<![^\s(\[{{=:,{WIDE}].)"
_CLOSES = rf"(?=[\s)\]}},;:.!?{WIDE}]|\Z)"


def _quoted(quote: str) -> str:
    """Up to some 200 characters between quotes; a quote that is escaped or stands between letters does not end it."""
    some = rf"[^{quote}\\\n]{{0,200}}+"
    inside = rf"{some}(?:(?:\\[^\n]|(?<=\w){quote}(?=\w)(?![{WIDE}])){some}){{0,8}}+"
    return rf"{quote}{_OPENS}(?![^{quote}\n]{{0,200}}<q>){inside}{quote}{_CLOSES}"


def _between(opens: str, closes: str) -> str:
    """The same between two different quotes, of which the second may also be an apostrophe."""
    inside = rf"(?:[^{opens}{closes}\n]|(?<=\w){closes}(?=\w)){{0,200}}+"
    return rf"{opens}{_OPENS}(?![^{closes}\n]{{0,200}}<q>){inside}{closes}{_CLOSES}"


_KEPT = r"<(?:email|url|host|ip|uuid|hash|hex|path|date|duration|version|n|q)>"
_FILE_AND_LINE = r'"[^"\n]{1,400}+", line \d++'
_GNU_QUOTED = rf"`{_OPENS}[^`'<\n]{{1,200}}+'{_CLOSES}"
_PAIRED = "|".join(_between(*pair) for pair in zip(_OPENING, "’”»", strict=True))
_QUOTED = "|".join((*(_quoted(quote) for quote in "'\"`"), _GNU_QUOTED, _PAIRED))
_DATE = "|".join(
    (
        rf"\d{{4}}[-/]\d\d[-/]\d\d(?:[T ]{_CLOCK}{_ZONE}|[T ]\d\d:\d\d{_ZONE}(?!:))?+(?![\w/\\<])",
        rf"{_CLOCK}{_ZONE}(?![\w/\\:<])",
        rf"\d\d/{_MONTH}/\d{{4}}:{_CLOCK}(?: [+-]\d{{4}})?+{_ENDS}",
        rf"(?:{_WEEKDAY},? )?+{_MONTH} {{1,2}}\d{{1,2}} {_CLOCK}(?: [A-Z]{{3,4}}+)?+(?: \d{{4}}(?!\w))?+{_ENDS}",
        rf"(?:{_WEEKDAY}, )?+\d{{1,2}}[ -]{_MONTH}[ -]\d{{4}}(?: {_CLOCK}{_ZONE})?+{_ENDS}",
        rf"{_MONTH} \d{{1,2}}, \d{{4}}{_ENDS}",
        rf"\d{{1,2}}/\d{{1,2}}/\d{{4}}(?:,? {_CLOCK}(?: [AP]M)?+)?+(?![\w/\\<])",
        rf"[IWEF]\d{{4}} {_CLOCK}{_ENDS}",
    )
)
_URL = "|".join(
    (
        rf"[A-Za-z][A-Za-z0-9+.-]{{1,15}}+://{_URL_REST}",
        rf"[\w.-]{{1,64}}+@[\w.-]{{1,255}}+:[\w.~-]*+/{_URL_REST}",
        rf"{_HOST}/{_URL_REST}",
    )
)
_EMAIL = rf"[\w.+%-]{{1,64}}+@(?:[A-Za-z0-9-]{{1,63}}+\.){{1,8}}(?<=\.)[A-Za-z]{{2,24}}+{_ENDS}"
_IP = "|".join(
    (
        rf"(?:{_OCTET}\.){{3}}{_OCTET}(?::\d{{1,5}}+)?+(?:/\d{{1,2}}+)?+{_NUMBER_ENDS}",
        rf"(?<!\d:)(?=[A-Fa-f:]{{0,39}}+\d)(?:{_GROUPS})?+::(?:{_GROUPS})?+(?:%\w{{1,16}}+)?+(?:/\d{{1,3}}+)?+(?![\w:<])",
        r"[0-9A-Fa-f]{1,4}+(?::[0-9A-Fa-f]{1,4}+){7}+(?![\w:<])",
    )
)
_IP_IN_BRACKETS = rf"\[(?=[^\s\]]{{0,40}}\d)(?:{_GROUPS})?+::(?:{_GROUPS})?+\](?::\d{{1,5}}+)?+{_ENDS}"
_PATH = "|".join(
    (
        rf"(?<!<)(?:~|\.\.?|\$\w{{1,64}}+|\$\{{\w{{1,64}}+\}})?+/[\w.@~$%-][{_RUN}/]*+{_LINE_NUMBER}",
        rf"[A-Za-z]:[\\/](?:Program Files(?: \(x86\))?[\\/])?[{_RUN}\\/]*+{_LINE_NUMBER}",
        rf"\\\\[\w.-]++\\[{_RUN}\\]*+",
        rf"\.\.?\\[{_RUN}\\]++{_LINE_NUMBER}",
        rf"[{_RUN}]++/[{_RUN}]*+/[{_RUN}/]*+{_LINE_NUMBER}",
        rf"[{_RUN}]++/[{_RUN}]*?\.[A-Za-z]\w{{0,9}}+(?![{_RUN}/\\]){_LINE_NUMBER}",
        rf"[{_RUN}]++\\[{_RUN}\\]*?\.[A-Za-z]\w{{0,9}}+(?![{_RUN}/\\]){_LINE_NUMBER}",
        rf"[{_RUN}]*?[\w+-]\.{_EXTENSION}(?![\w/\\@<-]|\.[\w<]|\((?!\d)){_LINE_NUMBER}",
    )
)
# What must lie ahead for a kind to begin here: most places are passed by without trying each.
_DATE_AHEAD = rf"{_RUN_STARTS}(?=\d{{1,4}}+[-/ ]|\d\d:\d\d:|[ADEFIJMNOSTW])"
_IP_AHEAD = rf"{_RUN_STARTS}(?=[0-9A-Fa-f]{{0,4}}+[.:])"
_NAME_AHEAD = rf"{_RUN_STARTS}(?=[\w%+~$#\-]*+(?:[.@/\\{{]|:[/\\]))"
_NUMBER_AHEAD = rf"{_WORD_STARTS}(?=[0-9A-Fa-fsv]|[-+]\d)"

_KINDS: tuple[tuple[str, str, str], ...] = (
    ("", "", _KEPT),
    ("<path>", "", _FILE_AND_LINE),
    ("<q>", "", _QUOTED),
    ("<ip>", "", _IP_IN_BRACKETS),
    # Most numbers stand alone: they need not be tried as all that follows.
    ("<n>", _WORD_STARTS, rf"\d++(?![{_RUN}:,/\\<]| (?:{_TIME_WORD}|{_MONTH}))"),
    ("<date>", _DATE_AHEAD, _DATE),
    ("<ip>", _IP_AHEAD, _IP),
    ("<url>", _NAME_AHEAD, _URL),
    ("<email>", _NAME_AHEAD, _EMAIL),
    ("<path>", _NAME_AHEAD, _PATH),
    ("<host>", _NAME_AHEAD, rf"{_HOST}{_ENDS}"),
    ("<host>", _RUN_STARTS, rf"localhost:\d{{1,5}}+{_NUMBER_ENDS}"),
    ("<uuid>", _NUMBER_AHEAD, rf"[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}{_ENDS}"),
    ("<hex>", _NUMBER_AHEAD, rf"(?:0[xX][0-9A-Fa-f]++|[0-9A-Fa-f]{{2}}(?::[0-9A-Fa-f]{{2}}){{5}}){_ENDS}"),
    (
        "<hash>",
        _NUMBER_AHEAD,
        r"(?:sha\d{1,3}[:-])?+(?=\d{0,127}+[A-Fa-f])(?=[A-Fa-f]{0,127}+\d)[0-9A-Fa-f]{7,128}+"
        rf"{_ENDS}|sha\d{{3}}-[A-Za-z0-9+/]{{20,128}}+={{0,2}}+{_ENDS}",
    ),
    (
        "<duration>",
        _NUMBER_AHEAD,
        rf"(?:\d++(?:\.\d++)?+{_TIME_UNIT}){{1,6}}+{_ENDS}|\d++(?:\.\d++)?+ {_TIME_WORD}{_ENDS}",
    ),
    (
        "<version>",
        _NUMBER_AHEAD,
        r"(?:\d++(?:\.\d++){2,}+|v\d++(?:\.\d++)++)(?:\.?(?:a|b|rc|dev|post|Final|RELEASE)\d{0,6}+)?+"
        r"(?:[-+][0-9A-Za-z][0-9A-Za-z.+-]{0,60}+)?+(?![\w<]|[.+-][\d<])",
    ),
    (
        "<n>",
        _NUMBER_AHEAD,
        rf"(?:[-+](?<![^\s(\[{{=,:][-+]))?+\d++(?:,\d{{3}}(?!\d)){{0,6}}(?:\.\d++)?+(?:[eE][-+]?\d++)?+{_STUCK_UNIT}?+{_NUMBER_ENDS}",
    ),
)
_PLACEHOLDERS = ("", *(placeholder for placeholder, _, _ in _KINDS))


def _alternatives() -> str:
    anywhere, *others = (
        f"{ahead}(?:{'|'.join(f'({pattern})' for _, _, pattern in kinds)})"
        for ahead, kinds in groupby(_KINDS, key=lambda kind: kind[1])
    )
    return f"{anywhere}|{_STARTS}(?:{'|'.join(others)})"


_NAME_OF_DAY_OR_MONTH = "[ADFJMNOSTW][aceghopru][bcdeglnprtuvy]"
_PLAIN = (
    # A word that nothing can begin with: nothing behind it makes it part of a run, and a date does not begin with it.
    r"[A-Za-z_][A-Za-z_-]*+(?:"
    rf" (?:(?![ \dADFJMNOS])|(?<!{_NAME_OF_DAY_OR_MONTH} ))"
    rf"|(?![ \w@/\\+~%$#]|\.[\w/\\]|:(?:[/\\]|(?<=localhost:)))(?<!{_NAME_OF_DAY_OR_MONTH}(?=,)))"
    # Marks that nothing can begin with.
    rf"|[^\w<\"'`{_OPENING}/\\.~$@%+#:\[-]++|[-:.\[](?![\w./\\:-])"
)
_TOKEN = compile_possessive(
    # The plain parts go by inside the regular expression; then comes one kind, or else one word or mark is left alone.
    # (At the end nothing may be left: without `\Z` the search would begin anew at every character of a plain end.)
    rf"(?:{_PLAIN})*+(?:{_alternatives()}|[A-Z]{{2,10}}+-\d++(?!\w)|\w++|\W|\Z)"
)
