"""Run a command, then say on standard error how long it took."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter


def main() -> int:
    """The command's own exit status."""
    title, *command = sys.argv[1:]
    started = perf_counter()
    status = subprocess.run(command, check=False).returncode
    print(f"bitproof: {title}: {perf_counter() - started:.0f} s", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
