"""What a build directory holds; its manifest is written last, so a build is whole or absent."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flow.atomic import write_json
from flow.build.sites import site_table
from flow.errors import InputError
from flow.graphfile import digest as graph_digest
from flow.graphfile import load_graph
from flow.ir import Graph
from flow.schedule import Plan, load_plan, plan_digest

FORMAT = 1
MANIFEST = "manifest.json"
TOOLS = ("numpy", "pyarrow")


@dataclass(frozen=True, slots=True)
class Build:
    """A build directory: its files by relative path with SHA-256, and what they were made from."""

    directory: Path
    top: str
    parameters: Mapping[str, int | str]
    files: Mapping[str, str]
    graph_digest: str
    plan_digest: str
    sites_digest: str
    tools: Mapping[str, str]

    def graph(self) -> Graph:
        """The graph the build was made from."""
        return load_graph(self.directory / "graph.json")

    def plan(self) -> Plan:
        """The plan the build was made by."""
        return load_plan(self.directory / "plan.json")

    def sources(self) -> list[Path]:
        """The SystemVerilog files of the accelerator, in path order."""
        return [self.directory / name for name in sorted(self.files) if name.startswith("rtl/")]


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tool_versions() -> dict[str, str]:
    """Of everything that can change what a build writes."""
    return {"python": platform.python_version()} | {name: version(name) for name in TOOLS}


def save_manifest(build: Build) -> None:
    """Write the manifest into the build's directory, atomically."""
    write_json(build.directory / MANIFEST, _describe(build))


def load_build(directory: Path, *, graph: Graph | None = None) -> Build:
    """Read a build directory and check every file in it against the manifest.

    Raises:
        InputError: the directory is no build, a file is missing, damaged or unlisted, its parts
            were made from different graphs or plans, or from another graph than ``graph``.
    """
    build = _read(directory)
    found = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}
    for name in sorted(found - set(build.files) - {MANIFEST}):
        raise InputError(f"{directory / name}: not in the manifest; remove it or build again")
    for name, digest in build.files.items():
        if name not in found:
            raise InputError(f"{directory / name}: missing; build again")
        if sha256(directory / name) != digest:
            raise InputError(f"{directory / name}: damaged (SHA-256 differs); build again")
    made_from, plan = build.graph(), build.plan()
    digests = (graph_digest(made_from), plan_digest(plan), site_table(made_from, plan).digest())
    stated = (build.graph_digest, build.plan_digest, build.sites_digest)
    for what, ours, theirs in zip(("graph", "plan", "fault sites"), digests, stated, strict=True):
        if ours != theirs:
            raise InputError(f"{directory}: made from another {what} than its own; build again")
    if plan.graph_digest != build.graph_digest:
        raise InputError(f"{directory}: the plan is of another graph; build again")
    if graph is not None and graph_digest(graph) != build.graph_digest:
        raise InputError(f"{directory}: made from another graph than {graph.name!r}; build again")
    return build


def _read(directory: Path) -> Build:
    path = directory / MANIFEST
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `bitproof build`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a manifest ({error}); build again") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: not a manifest of format {FORMAT}; build again")
    try:
        build = Build(
            directory=directory,
            top=str(record["top"]),
            parameters=dict(record["parameters"]),
            files={str(name): str(digest) for name, digest in record["files"].items()},
            graph_digest=str(record["graph_digest"]),
            plan_digest=str(record["plan_digest"]),
            sites_digest=str(record["sites_digest"]),
            tools=dict(record["tools"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); build again") from None
    if record != _describe(build):
        raise InputError(f"{path}: damaged (digest differs); build again")
    return build


def _describe(build: Build) -> dict[str, Any]:
    record: dict[str, Any] = {
        "format": FORMAT,
        "top": build.top,
        "parameters": dict(build.parameters),
        "graph_digest": build.graph_digest,
        "plan_digest": build.plan_digest,
        "sites_digest": build.sites_digest,
        "tools": dict(build.tools),
        "files": dict(build.files),
    }
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return record | {"digest": hashlib.sha256(text.encode()).hexdigest()}
