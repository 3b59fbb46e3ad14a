"""What the pages use of curl, for machines that have none: `-s`, `-N`, `-X`, `-H`, `-d` and `--data-binary @-`."""

import getopt
import sys

import httpx


def main() -> None:
    options, (url,) = getopt.gnu_getopt(sys.argv[1:], "sNX:H:d:", ["data-binary="])
    given = dict(options)
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    body = given.get("-d") or given.get("--data-binary")
    content = sys.stdin.buffer.read() if body == "@-" else body
    method = given.get("-X") or ("GET" if content is None else "POST")
    with httpx.stream(method, url, headers=headers, content=content, timeout=None) as answer:
        for chunk in answer.iter_raw():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
