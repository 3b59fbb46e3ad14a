"""What the pages use of curl, for machines that have none: `-s -S -N -m -X -H -d --data-binary`, and `@` for a file."""

import getopt
import sys
from pathlib import Path

import httpx


def main() -> None:
    options, (url,) = getopt.gnu_getopt(sys.argv[1:], "sSNm:X:H:d:", ["data-binary="])
    given = dict(options)
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    content = _content(given.get("-d") or given.get("--data-binary"))
    method = given.get("-X") or ("GET" if content is None else "POST")
    timeout = float(given["-m"]) if "-m" in given else None
    with httpx.stream(method, url, headers=headers, content=content, timeout=timeout) as answer:
        for chunk in answer.iter_raw():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


def _content(given: str | None) -> bytes | None:
    if given is None or not given.startswith("@"):
        return None if given is None else given.encode()
    return sys.stdin.buffer.read() if given == "@-" else Path(given[1:]).read_bytes()


if __name__ == "__main__":
    main()
