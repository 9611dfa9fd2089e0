"""From a build to a bitstream with open tools."""

from flow.synth.bitstream import synthesise
from flow.synth.families import FAMILIES
from flow.synth.summary import summary

__all__ = ["FAMILIES", "summary", "synthesise"]
