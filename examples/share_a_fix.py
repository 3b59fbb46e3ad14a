"""Shares a fix: run a command, and if it fails with an error you know how to mend, tell the network.

    python examples/share_a_fix.py 'pip install pyyaml' python -c 'import yaml'

The first argument is the fix, the others are the command. CIN_URL and CIN_AGENT say where and as whom.
"""

import subprocess
import sys

from app.client import Client


def main() -> int:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    fix, *command = sys.argv[1:]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if ended.returncode == 0 or not ended.stderr.strip():
        print("There is no error to share.")
        return 0
    last_line = ended.stderr.strip().splitlines()[-1]
    kind, colon, message = last_line.partition(": ")
    with Client() as cin:
        captured = cin.capture(
            error_type=kind if colon else None,
            pattern=message or last_line,
            resolution=fix,
            context=f"Seen with `{' '.join(command)}`.",
        )
    print("new:" if captured.created else f"captured {captured.skill.captures} times:", captured.skill.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
