"""vote.sv against counted classes, ties included, however the two sides stall."""

from __future__ import annotations

from sim.bench.stream_unit import (
    answers_equal_the_reference,
    cycles_equal_the_datasheet,
    reset_in_full_flow_starts_over,
    reset_inside_a_vector_starts_over,
    reset_of_a_full_unit_starts_over,
    valid_does_not_wait_for_ready,
)

__all__ = [
    "answers_equal_the_reference",
    "cycles_equal_the_datasheet",
    "reset_in_full_flow_starts_over",
    "reset_inside_a_vector_starts_over",
    "reset_of_a_full_unit_starts_over",
    "valid_does_not_wait_for_ready",
]
