"""The host's side of an accelerator behind AXI: images in, results out, stored words.

It needs numpy alone and is copied beside the scripts of a Vivado build. On a PYNQ board::

    import json, pynq
    from bitproof_axi import Accelerator

    overlay = pynq.Overlay("system.bit")
    record = json.load(open("driver.json"))
    net = Accelerator(overlay.accelerator.mmio, overlay.dma, pynq.allocate, record)
    classes, logits = net.run(images)          # integers of shape (images, elements)
    net.flip("fc0.weights", word=3, bit=17)    # a stored bit, at run time
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

IDENT = 0x62700001
ID, DIGEST, STATUS, IMAGES, RESULTS, CYCLES, PACKET = 0x00, 0x04, 0x0C, 0x10, 0x14, 0x18, 0x1C
MEMORY, ADDRESS, DATA, COMMAND, DETECTED = 0x20, 0x24, 0x28, 0x2C, 0x30
BUSY, REFUSED, EARLY, DAMAGED = 1, 2, 4, 8  # bits of STATUS
WRITE, READ = 1, 2  # what COMMAND is given


class Registers(Protocol):
    """32-bit registers by byte offset, as ``pynq.MMIO`` has them."""

    def read(self, offset: int) -> int:
        """The register at ``offset``."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Set the register at ``offset``."""
        ...


class Channel(Protocol):
    """One direction of ``pynq.lib.dma.DMA``."""

    def transfer(self, array: Any) -> None:
        """Start to send, or to fill, the whole buffer ``array``."""
        ...

    def wait(self) -> None:
        """Return when the transfer is over."""
        ...


class Dma(Protocol):
    """Both directions, as ``pynq.lib.dma.DMA`` has them."""

    @property
    def sendchannel(self) -> Channel:
        """To the accelerator."""
        ...

    @property
    def recvchannel(self) -> Channel:
        """From the accelerator."""
        ...


class Allocate(Protocol):
    """``pynq.allocate``: a buffer that the DMA can reach."""

    def __call__(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """A new buffer, all of it zero or not."""
        ...


class AcceleratorError(RuntimeError):
    """The accelerator is another one, or did not do what it was asked."""


class Accelerator:
    """An accelerator that has been identified; ``record`` is ``driver.json`` of its build.

    Raises:
        AcceleratorError: the device does not carry the network of the record, or it refuses.
        ValueError: images, a memory or a word that it cannot hold.
    """

    def __init__(
        self, registers: Registers, dma: Dma, allocate: Allocate, record: Mapping[str, Any]
    ) -> None:
        self._registers, self._dma, self._allocate = registers, dma, allocate
        self._record = dict(record)
        found = registers.read(ID)
        if found != IDENT:
            raise AcceleratorError(f"identity {found:#010x}, not {IDENT:#010x}: wrong address?")
        words = [registers.read(DIGEST + offset) for offset in (0, 4)]
        digest = b"".join(word.to_bytes(4, "little") for word in words).hex()
        if not record["graph_digest"].startswith(digest):
            raise AcceleratorError(
                f"it carries graph {digest}, not {record['graph_digest'][:16]}: wrong bitstream"
            )

    def run(self, images: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Classes (images,) and logits (images, classes) of integers (images, *input shape)."""
        sent = pack_images(images, self._record)
        count = len(sent)
        if count == 0:
            return np.zeros(0, np.int64), np.zeros((0, self._record["classes"]), np.int64)
        self._registers.write(PACKET, count)
        self._expect("set the size of a packet")
        out = self._allocate((sent.size,), np.uint8)
        back = self._allocate((count * self._record["result_bytes"],), np.uint8)
        out[:] = sent.ravel()
        self._dma.recvchannel.transfer(back)
        self._dma.sendchannel.transfer(out)
        self._dma.sendchannel.wait()
        self._dma.recvchannel.wait()
        self._expect("take the images")
        return unpack_results(np.asarray(back), self._record)

    def read(self, memory: str, word: int) -> int:
        """A stored word of the memory called ``memory``."""
        number, bits = self._place(memory, word)
        self._select(number, word, READ)
        parts = [self._registers.read(DATA) for _ in range(self._parts)]
        whole = sum(part << (32 * place) for place, part in enumerate(parts))
        return whole & ((1 << bits) - 1)  # what lies above the word means nothing

    def write(self, memory: str, word: int, value: int) -> None:
        """Store ``value`` as word ``word`` of the memory called ``memory``."""
        number, bits = self._place(memory, word)
        if not self._record["writable"]:
            raise AcceleratorError(
                f"{memory}: its words are constants of the bitstream (memory style rom)"
            )
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{memory} word {word}: {value:#x} does not fit {bits} bits")
        for place in range(self._parts):
            self._registers.write(DATA, (value >> (32 * place)) & 0xFFFFFFFF)
        self._select(number, word, WRITE)

    def flip(self, memory: str, *, word: int, bit: int) -> None:
        """Invert one stored bit; the same call restores it."""
        _, bits = self._place(memory, word)
        if not 0 <= bit < bits:
            raise ValueError(f"{memory}: bit {bit} of a word of {bits}")
        self.write(memory, word, self.read(memory, word) ^ (1 << bit))

    def detected(self) -> tuple[str, ...]:
        """The memories that have given a word of wrong parity since they were last written."""
        if not self._registers.read(STATUS) & DAMAGED:
            return ()
        found = []
        for number, entry in enumerate(self._record["memories"]):
            self._registers.write(MEMORY, number)
            if self._registers.read(DETECTED):
                found.append(entry["name"])
        return tuple(found)

    def counters(self) -> dict[str, int]:
        """Images begun, results given, cycles with an image inside; 32 bits each."""
        offsets = {"images": IMAGES, "results": RESULTS, "cycles": CYCLES}
        return {name: self._registers.read(offset) for name, offset in offsets.items()}

    @property
    def _parts(self) -> int:
        return -(-int(self._record["cfg_bits"]) // 32)

    def _place(self, memory: str, word: int) -> tuple[int, int]:
        known = [entry["name"] for entry in self._record["memories"]]
        if memory not in known:
            raise ValueError(f"memory {memory!r}: unknown; choose one of {', '.join(known)}")
        entry = self._record["memories"][known.index(memory)]
        if not 0 <= word < entry["words"]:
            raise ValueError(f"{memory}: word {word} of {entry['words']}")
        return known.index(memory), int(entry["bits"])

    def _select(self, memory: int, word: int, command: int) -> None:
        self._registers.write(MEMORY, memory)
        self._registers.write(ADDRESS, word)
        self._registers.write(COMMAND, command)
        self._expect("access a memory")

    def _expect(self, what: str) -> None:
        """Refuse to go on after a request that was refused, or a damaged transfer; clear both."""
        status = self._registers.read(STATUS)
        if status & (REFUSED | EARLY):
            self._registers.write(STATUS, REFUSED | EARLY)
            reason = "TLAST came inside an image" if status & EARLY else "an image is inside"
            raise AcceleratorError(f"it did not {what}: {reason}")


def pack_images(images: ArrayLike, record: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Images as bus words, shape (images, bytes of one); lane 0 of each beat in its low bits."""
    values = np.asarray(images)
    elements, bits, lanes = (int(record[name]) for name in ("elements", "input_bits", "lanes"))
    flat = values.reshape(len(values), -1) if values.ndim > 1 else values
    low, high = record["input_range"]
    if flat.ndim != 2 or (len(flat) and flat.shape[1] != elements) or flat.dtype.kind not in "iu":
        raise ValueError(
            f"images of shape {values.shape} and type {values.dtype}: integers of "
            f"shape (images, {elements}) are wanted"
        )
    if flat.size and not (flat.min() >= low and flat.max() <= high):
        raise ValueError(f"images hold values outside {low} .. {high}")
    codes = (flat.astype(np.int64) > 0) if record["bipolar"] else flat.astype(np.int64)
    spread = (codes[..., None].astype(np.int64) >> np.arange(bits)) & 1
    beats = spread.astype(np.uint8).reshape(len(flat), elements // lanes, lanes * bits)
    whole = np.zeros((*beats.shape[:2], 8 * int(record["beat_bytes"])), dtype=np.uint8)
    whole[..., : lanes * bits] = beats
    return np.packbits(whole, axis=-1, bitorder="little").reshape(len(flat), -1)


def unpack_results(
    words: NDArray[np.uint8], record: Mapping[str, Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes and logits from the bytes of results."""
    size, classes = int(record["element_bytes"]), int(record["classes"])
    results = words.reshape(-1, int(record["result_bytes"]))[:, : (1 + classes) * size]
    results = np.ascontiguousarray(results)
    kind = "i" if record["logits_signed"] else "u"
    labels = results.view(f"<u{size}")[:, 0].astype(np.int64)
    return labels, results.view(f"<{kind}{size}")[:, 1:].astype(np.int64)
