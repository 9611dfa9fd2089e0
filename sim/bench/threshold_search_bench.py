"""threshold_search.sv against the integer reference, as a stream and on the configuration bus."""

from __future__ import annotations

from sim.bench.stored_unit import (
    a_written_word_shows_until_it_is_restored,
    accesses_to_other_memories_pass_by,
    every_word_reads_back,
)
from sim.bench.stream_unit import (
    answers_equal_the_reference,
    cycles_equal_the_datasheet,
    reset_inside_a_vector_starts_over,
    reset_of_a_full_unit_starts_over,
    valid_does_not_wait_for_ready,
)

__all__ = [
    "a_written_word_shows_until_it_is_restored",
    "accesses_to_other_memories_pass_by",
    "answers_equal_the_reference",
    "cycles_equal_the_datasheet",
    "every_word_reads_back",
    "reset_inside_a_vector_starts_over",
    "reset_of_a_full_unit_starts_over",
    "valid_does_not_wait_for_ready",
]
