"""The flip-flops of an accelerator, by name and width, as synthesis sees them."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

from flow.build import Build
from flow.build.netlist import TOP
from flow.errors import ClaimError
from flow.synth.tools import run, yosys

# The front end also finds how deep the images' memories are read, hence `images`; no optimisation
# follows, so that every register keeps the name its source gives it.
SCRIPT = """read_slang --threads 1 --keep-hierarchy --top {top} {sources}
proc
select -assert-none t:$dlatch t:$adlatch t:$dlatchsr
write_json registers.json
"""
FLIP_FLOPS = re.compile(r"\$(s?dff|adff|sdffc|dffsr)[a-z]*")
PLACE = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True, order=True)
class Register:
    """One vector of flip-flops; its name is hierarchical, below the accelerator."""

    name: str  # u_fc0.gen_pe[3].u_dot.parts_q
    module: str  # dot
    bits: int

    @property
    def unit(self) -> str:
        """The instance in the accelerator that holds it."""
        return self.name.partition(".")[0]

    @property
    def group(self) -> str:
        """Its name without the places of generated copies: what lanes and stages share."""
        return PLACE.sub("[]", self.name)

    @property
    def signal(self) -> str:
        """Its name in its module, without generated scopes."""
        return self.name.rpartition(".")[2]


def registers(build: Build) -> tuple[Register, ...]:
    """Every flip-flop of the RTL of ``build`` under the name of its register, sorted.

    Stored parameters, FIFO and replay words in RAM are memories and not listed.

    Raises:
        InputError: Yosys is not installed.
        ClaimError: Yosys failed, or a flip-flop belongs to no register named ``*_q`` or only in
            part, so that the list would not be the design's.
    """
    with tempfile.TemporaryDirectory(prefix="registers.") as name:
        work = Path(name)
        (work / "images").symlink_to((build.directory / "images").resolve())
        (work / "rtl").mkdir()
        for path in build.sources():
            copyfile(path, work / "rtl" / path.name)
        sources = " ".join(f"rtl/{path.name}" for path in build.sources())
        (work / "registers.ys").write_text(SCRIPT.format(top=TOP, sources=sources))
        keep = build.directory.with_suffix(".registers.log")
        run(yosys(), ["registers.ys", "yosys.log"], work=work, log="yosys.log", keep=keep)
        modules = json.loads((work / "registers.json").read_text())["modules"]
    found = sorted(_walk(modules, TOP, ""))
    if not found:
        raise ClaimError(f"{build.directory}: no flip-flop found")
    return tuple(found)


def _walk(modules: Mapping[str, Any], module: str, prefix: str) -> Iterator[Register]:
    """Registers of ``module``, whose instance is called ``prefix``, and of what it holds."""
    kind = module.partition("$")[0]
    for name, bits in _own(modules[module], prefix):
        yield Register(prefix + name, kind, bits)
    for name, cell in modules[module]["cells"].items():
        if cell["type"] in modules:
            yield from _walk(modules, cell["type"], f"{prefix}{name}.")


def _own(module: Mapping[str, Any], where: str) -> Iterator[tuple[str, int]]:
    """Name and width of each register of one module."""
    driven: set[int] = set()
    for name, cell in module["cells"].items():
        if FLIP_FLOPS.fullmatch(cell["type"]):
            driven.update(cell["connections"]["Q"])
        elif "ff" in cell["type"] and cell["type"].startswith("$"):
            raise ClaimError(f"{where}{name}: flip-flop of the unknown type {cell['type']}")
    named: set[int] = set()
    for name, net in module["netnames"].items():
        bits = [bit for bit in net["bits"] if bit in driven]
        if not name.endswith("_q") or not bits:
            continue
        if len(bits) != len(net["bits"]):
            raise ClaimError(f"{where}{name}: {len(bits)} of its {len(net['bits'])} bits are kept")
        named.update(bits)
        yield name, len(bits)
    if driven != named:
        raise ClaimError(f"{where}: {len(driven - named)} flip-flops belong to no register *_q")
