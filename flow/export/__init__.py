"""The integer graph in other tools' dialects, so that they can execute it."""

from flow.export.finn import export_finn

__all__ = ["export_finn"]
