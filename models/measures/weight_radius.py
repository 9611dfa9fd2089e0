"""How far weights provably may move: the certified radius of every layer, exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from flow.certify import certify_weights
from flow.certify.weights import moved_layers
from models.measures.measure import Measure, Subject
from models.table import Positive


class WeightRadius(Measure):
    """The mean over the first ``images`` test images of what ``flow.certify`` proves: moves of at
    most so much of every weight of a layer, alone and of all layers, leave the label.

    In percent of the layer's largest code, so that widths compare (of all layers: of the smallest
    of those); 0 where an image is misclassified or nothing is proved. A mean is no guarantee.
    """

    kind: Literal["weight-radius"]
    images: Positive = 200

    def take(self, subject: Subject) -> dict[str, float]:
        """A column for each layer, and one for all."""
        (x, y), graph = subject.first(self.images), subject.graph
        every = moved_layers(graph)
        codes = {name: graph.node(name).op.weight_type.code_hi for name in every}
        found = {}
        for heading, layers in [
            *((f"radius {k + 1}, %", (name,)) for k, name in enumerate(every)),
            ("radius of all, %", every),
        ]:
            proved = certify_weights(graph, x, y=y, layers=layers).certificates
            total = sum(Fraction(c.detail.get("epsilon", 0)) for c in proved)
            largest = min(codes[name] for name in layers)
            found[heading] = float(100 * total / largest / len(proved))
        return found
