"""A whole accelerator as the gates that synthesis makes of it, under the bench of its RTL.

iCE40 is taken because every one of its cells, block RAM with its contents included, has a
simulation model in Yosys; ECP5's block RAM has none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

from flow.atomic import whole_directory
from flow.build import Build
from flow.build.images import read_image
from flow.build.netlist import TOP as ACCELERATOR
from flow.build.netlist import image_path
from flow.errors import ClaimError, InputError
from flow.synth.tools import run, yosys
from sim._session import HARNESS, TOP, VISIBLE, Results, Session
from sim.runner import CompiledDesign, compile_design

NETLIST = "netlist.v"
CELLS = "cells.json"
SCRIPT = """read_slang --threads 1 --top {top} {sources}
synth_ice40 -top {top}
check -assert
write_verilog -noattr netlist.v
tee -q -o cells.json stat -json
"""


@dataclass(frozen=True, slots=True)
class Gates:
    """A synthesised accelerator."""

    build: Build
    directory: Path  # holds the netlist

    def cells(self) -> dict[str, int]:
        """How many cells of each type it is made of."""
        stat = json.loads((self.directory / CELLS).read_text())
        return dict(Counter(stat["design"]["num_cells_by_type"]))


def synthesise_gates(build: Build, directory: Path) -> Gates:
    """The accelerator of ``build`` in iCE40 cells, as Verilog in the new folder ``directory``.

    Raises:
        InputError: ``directory`` holds something else, or Yosys is not installed.
        ClaimError: Yosys failed; the line names the log.
    """
    with whole_directory(directory, mark=NETLIST) as work:
        copytree(build.directory / "images", work / "images")
        (work / "rtl").mkdir()
        for path in build.sources():
            copyfile(path, work / "rtl" / path.name)
        sources = " ".join(f"rtl/{path.name}" for path in build.sources())
        (work / "synth.ys").write_text(SCRIPT.format(top=ACCELERATOR, sources=sources))
        keep = directory.with_suffix(".log")
        run(yosys(), ["synth.ys", "yosys.log"], work=work, log="yosys.log", keep=keep)
    return Gates(build, directory)


def simulate_gates(
    gates: Gates,
    x: Any,
    *,
    cache: Path,
    simulator: str = "verilator",
    config: Sequence[Mapping[str, Any]] = (),
) -> Results:
    """Stream the images ``x`` through the netlist, after the accesses ``config`` on its bus.

    An access has ``memory`` (its number on the bus), ``address`` and ``data`` (hexadecimal; None
    reads). ``summary["config"]`` of the results has the words read.

    Raises:
        InputError: ``x`` does not fit the input edge, or the simulator is not installed.
        ClaimError: a result is missing, too much or withdrawn.
    """
    found = _GateSession(gates.build, x, cache, simulator, gates).run([[]], config=config)
    if found.hung.any() or any(found.summary["extra"]) or any(found.summary["protocol"]):
        raise ClaimError(f"{gates.directory}: the netlist broke its stream's rules")
    return found


def check_contents(
    gates: Gates, x: Any, *, cache: Path, simulator: str = "verilator"
) -> dict[str, int]:
    """Read every word of every parameter memory out of the netlist; words compared, by memory.

    Raises:
        ClaimError: a word differs from its image.
    """
    session = _GateSession(gates.build, x[:1], cache, simulator, gates)
    words = {
        memory.name: read_image((gates.build.directory / image_path(memory.name)).read_text())
        for memory in session.net.memories
    }
    accesses = [
        {"memory": number, "address": address, "data": None}
        for number, memory in enumerate(session.net.memories)
        for address in range(len(words[memory.name]))
    ]
    read = iter(session.run([[]], config=accesses).summary["config"])
    for memory in session.net.memories:
        for address, word in enumerate(words[memory.name]):
            found = int(next(read), 16) & ((1 << memory.bits) - 1)
            if found != word:
                raise ClaimError(
                    f"memory {memory.name} word {address}: {found:x} in the netlist where its "
                    f"image has {word:x}"
                )
    return {name: len(image) for name, image in words.items()}


def cell_models() -> Path:
    """Yosys' simulation models of the iCE40 cells.

    Raises:
        InputError: the package pyosys is not installed.
    """
    spec = find_spec("pyosys")
    if spec is None or spec.origin is None:
        raise InputError("pyosys: not installed; pip install pyosys")
    return Path(spec.origin).with_name("share") / "ice40" / "cells_sim.v"


@dataclass(frozen=True, eq=False)
class _GateSession(Session):
    gates: Gates

    @cached_property
    def _compiled(self) -> CompiledDesign:
        # every pin of every cell is wired, and Icarus 11 knows no default for one that is not
        models = ["-DNO_ICE40_DEFAULT_ASSIGNMENTS"]
        if self.simulator == "verilator":
            models += ["-Wno-fatal", "-Wno-lint", "-Wno-style"]
        return compile_design(
            # the harness first: the models change the unit of time for what follows them
            [HARNESS, self.gates.directory / NETLIST, cell_models()],
            TOP,
            parameters=self._parameters,
            public={TOP: VISIBLE[TOP]},
            cache=self.cache,
            simulator=self.simulator,
            timing=True,
            arguments=models,
        )

    def job(self) -> dict[str, Any]:
        """Without what synthesis renames."""
        return Session.job(self) | {"memories": {}, "fifos": {}}
