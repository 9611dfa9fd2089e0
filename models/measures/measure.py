"""What a measure is given: a trained network as its integer graph, and the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flow.ir import Array, Graph
from models.table import Table
from models.train import Trained


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The integer graph of a trained network; images in the shape of its input."""

    graph: Graph
    trained: Trained
    train: tuple[Array, Array]  # images and labels; attacks may use them
    test: tuple[Array, Array]
    correct: Array  # of each test image, whether the graph classifies it rightly

    def first(self, images: int | None) -> tuple[Array, Array]:
        """The first test images, all of them by default."""
        return self.test[0][:images], self.test[1][:images]


class Measure(Table):
    """Settings of a measure, a ``[[measure]]`` table of a study; subclasses name their ``kind``."""

    kind: Any

    def take(self, subject: Subject) -> dict[str, float]:
        """Numbers by the heading of their column; shares in percent."""
        raise NotImplementedError
