"""From a build to a bitstream with open tools."""

from flow.synth.ecp5 import synthesise

__all__ = ["synthesise"]
