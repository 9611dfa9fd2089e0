"""The host's side of the serial protocol (``docs/uart-protocol.md``), over any byte transport.

A transport is anything with ``write(bytes)`` and ``read(count) -> bytes`` that returns fewer bytes
only after its own time limit: ``serial.Serial(port, 1_000_000, timeout=1)`` for a board, the pins
of the board's top module in simulation.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from flow.errors import ClaimError, InputError

VERSION = 2
_STATUS, _CRC = 1, 2  # bytes around every reply's payload


class Command(IntEnum):
    """The first byte of a request."""

    IDENTIFY = 1
    RUN = 2
    WRITE = 3
    READ = 4
    DETECTED = 5


class Status(IntEnum):
    """The first byte of a reply."""

    DONE = 0
    UNKNOWN_COMMAND = 1
    CHECKSUM = 2
    FRAMING = 3
    TIMEOUT = 4
    NO_MEMORY = 5


class Transport(Protocol):
    """Bytes to and from the board, in order."""

    def read(self, count: int, /) -> bytes:
        """Up to ``count`` bytes; fewer only when the time limit has passed."""
        ...

    def write(self, data: bytes, /) -> Any:
        """Send all of ``data``."""
        ...


class RefusedError(ClaimError):
    """The board answered a request with an error status."""

    def __init__(self, command: int, status: Status) -> None:
        super().__init__(
            f"board: refused command {command} with status {status.value} ({status.name.lower()})"
        )
        self.status = status


@dataclass(frozen=True, slots=True)
class Identification:
    """What the board says it carries; sizes as in ``docs/uart-protocol.md``."""

    version: int
    input_bits: int
    elements: int
    classes: int
    logit_bytes: int
    logits_signed: bool
    word_bytes: int
    memories: int
    parity: bool
    writable: bool  # False: the words are constants of the bitstream
    voting: bool  # logits are votes under noise, class by class
    digest: str  # the first 16 hexadecimal digits of the graph digest


@dataclass(frozen=True, slots=True)
class Result:
    """One image's answer; ``cycles`` from the first beat taken to the result."""

    label: int
    cycles: int
    logits: tuple[int, ...]


def checksum(frame: bytes) -> bytes:
    """CRC-16/IBM-3740 of ``frame``, high byte first.

    >>> checksum(b"123456789").hex()
    '29b1'
    """
    return binascii.crc_hqx(frame, 0xFFFF).to_bytes(2, "big")


def request(command: int, payload: bytes = b"") -> bytes:
    """The bytes of one request, its checksum included."""
    frame = bytes([command]) + payload
    return frame + checksum(frame)


class Board:
    """A board that has identified itself; every method is one request and its checked reply.

    Raises:
        ClaimError: the board is silent, its reply is damaged, or it refused the request.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.identification = _identification(self._exchange(Command.IDENTIFY, b"", 22))

    def expect(self, digest: str) -> None:
        """Refuse a board that carries another network than the graph with ``digest``."""
        found = self.identification.digest
        if not digest.startswith(found):
            raise InputError(
                f"board: it carries graph {found}, not {digest[:16]}; program the right bitstream"
            )

    def run(self, image: Sequence[int]) -> Result:
        """Class, latency and logits of one image, given as stored codes of the input type."""
        identity = self.identification
        if len(image) != identity.elements:
            raise InputError(f"image: {len(image)} elements where {identity.elements} are wanted")
        if not all(0 <= code < 1 << identity.input_bits for code in image):
            raise InputError(f"image: codes must be 0 .. {(1 << identity.input_bits) - 1}")
        size = identity.classes * identity.logit_bytes
        reply = self._exchange(Command.RUN, bytes(image), 5 + size)
        logits = tuple(
            int.from_bytes(
                reply[at : at + identity.logit_bytes], "little", signed=identity.logits_signed
            )
            for at in range(5, 5 + size, identity.logit_bytes)
        )
        return Result(reply[0], int.from_bytes(reply[1:5], "little"), logits)

    def write(self, memory: int, address: int, word: int) -> None:
        """Store ``word`` at ``address`` of memory number ``memory``.

        Raises:
            InputError: the word is too wide, or the board's words are constants.
        """
        if not self.identification.writable:
            raise InputError(
                f"memory {memory} word {address}: constants of the bitstream; build with another "
                "--memory-style than rom to write them"
            )
        size = self.identification.word_bytes
        if not 0 <= word < 1 << 8 * size:
            raise InputError(f"memory {memory} word {address}: does not fit {size} bytes")
        self._exchange(Command.WRITE, word.to_bytes(size, "little") + _place(memory, address), 0)

    def read(self, memory: int, address: int) -> int:
        """The word at ``address`` of memory number ``memory``; the bits above it mean nothing."""
        reply = self._exchange(
            Command.READ, _place(memory, address), self.identification.word_bytes
        )
        return int.from_bytes(reply, "little")

    def detected(self) -> tuple[int, ...]:
        """The memories that have given a word of wrong parity since reset or since they were last
        written, by number.

        Raises:
            InputError: the board's memories have no parity.
        """
        identity = self.identification
        if not identity.parity:
            raise InputError("board: its memories have no parity; build with --parity")
        size = -(-identity.memories // 8)
        flags = int.from_bytes(self._exchange(Command.DETECTED, b"", size), "little")
        return tuple(number for number in range(identity.memories) if flags >> number & 1)

    def _exchange(self, command: Command, payload: bytes, size: int) -> bytes:
        """Send one request and return its reply's payload of ``size`` bytes."""
        self._transport.write(request(command, payload))
        return self._reply(command, size)

    def _reply(self, command: int, size: int) -> bytes:
        frame = self._transport.read(_STATUS)
        wanted = _STATUS + _CRC + (size if frame == bytes([Status.DONE]) else 0)
        frame += self._transport.read(wanted - len(frame))
        if len(frame) != wanted:
            raise ClaimError(
                f"board: {len(frame)} of {wanted} bytes came in reply to command {command}; "
                "check cable, port and baud rate"
            )
        if checksum(frame[:-_CRC]) != frame[-_CRC:]:
            raise ClaimError(f"board: damaged reply to command {command}; repeat the request")
        if frame[0] not in list(Status):
            raise ClaimError(f"board: unknown status {frame[0]} in reply to command {command}")
        if frame[0] != Status.DONE:
            raise RefusedError(command, Status(frame[0]))
        return frame[_STATUS:-_CRC]


def _place(memory: int, address: int) -> bytes:
    return memory.to_bytes(2, "little") + address.to_bytes(4, "little")


def _identification(reply: bytes) -> Identification:
    if reply[:2] != b"bp" or reply[2] != VERSION:
        raise ClaimError(
            f"board: it answers {reply[:3].hex()}, not 'bp' and protocol version {VERSION}; "
            "program a bitstream of this version"
        )
    return Identification(
        version=reply[2],
        input_bits=reply[3],
        elements=int.from_bytes(reply[4:6], "little"),
        classes=int.from_bytes(reply[6:8], "little"),
        logit_bytes=reply[8],
        logits_signed=bool(reply[9] & 1),
        word_bytes=int.from_bytes(reply[10:12], "little"),
        memories=int.from_bytes(reply[12:14], "little"),
        parity=bool(reply[9] & 2),
        writable=not reply[9] & 4,
        voting=bool(reply[9] & 8),
        digest=reply[14:22].hex(),
    )
