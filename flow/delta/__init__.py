"""What one changed stored bit makes of an image, by computing again only what it reaches."""

from flow.delta.program import Program
from flow.delta.tally import Tally
from flow.delta.walk import Sets, Strikes, Together, Walker

__all__ = ["Program", "Sets", "Strikes", "Tally", "Together", "Walker"]
