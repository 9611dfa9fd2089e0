"""Text of one instance, the same in Verilog and SystemVerilog: parameters and named ports only."""

from __future__ import annotations

from collections.abc import Mapping


def instance_text(
    module: str,
    name: str,
    ports: Mapping[str, str],
    *,
    parameters: Mapping[str, object] | None = None,
) -> str:
    """``name`` of ``module``, one connection a line; without ``parameters`` those of the module."""
    given = f" #(\n{connections(parameters)}\n  )" if parameters else ""
    return f"  {module}{given} {name} (\n{connections(ports)}\n  );\n"


def connections(values: Mapping[str, object]) -> str:
    """What each parameter or port is given, one a line."""
    return ",\n".join(f"    .{name}({value})" for name, value in values.items())
