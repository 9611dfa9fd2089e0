"""A folder with a bitstream in a few lines: the file, what it takes of the device, its clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flow.build.manifest import sha256
from flow.errors import InputError
from flow.synth.bitstream import MANIFEST


def summary(directory: Path) -> dict[str, Any]:
    """What ``synthesise`` made in ``directory``, with the bitstream checked against its SHA-256.

    ``used`` has each resource of the device as "used of available"; ``fmax_mhz`` and
    ``wanted_mhz`` are those of the slowest clock; ``program`` is run anywhere.

    Raises:
        InputError: there is no bitstream, or it is not the one of the manifest.
    """
    path = directory / MANIFEST
    try:
        record = json.loads(path.read_text())
        bitstream, wanted = record["bitstream"], record["files"][record["bitstream"]]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `bitproof synth`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not made by `bitproof synth` ({error!r})") from None
    file = directory / bitstream
    if not file.is_file() or sha256(file) != wanted:
        raise InputError(f"{file}: missing or damaged (SHA-256 differs); synthesise again")
    clock = min(record["fmax_mhz"].values(), key=lambda c: c["achieved"] / c["wanted"])
    return {
        "bitstream": str(file),
        "sha256": wanted,
        "board": record["board"],
        "device": record["device"],
        "used": {
            name: f"{count['used']:,} of {count['available']:,}"
            for name, count in record["utilisation"].items()
        },
        "fmax_mhz": round(clock["achieved"], 2),
        "wanted_mhz": clock["wanted"],
        "program": record["program"].replace(bitstream, str(file)),
        "tools": record["tools"],
    }
