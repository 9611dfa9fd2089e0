"""The host's driver against a board of a few lines of Python."""

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.errors import ClaimError, InputError
from sim.host import Board, Command, RefusedError, Status, checksum, request

DIGEST = "00112233445566778899"


class Loopback:
    """Answers each request at once with what ``answers`` holds for its command."""

    def __init__(self, **answers):
        self.sent = []
        self._answers = {"IDENTIFY": self.identification()} | answers
        self._waiting = b""

    @staticmethod
    def identification(*, version=2, magic=b"bp", flags=1):
        sizes = [version, 5, 3, 0, 2, 0, 2, flags, 4, 0, 10, 0]
        return b"\0" + magic + bytes(sizes) + bytes.fromhex(DIGEST)[:8]

    def write(self, data):
        self.sent.append(data)
        assert binascii.crc_hqx(data, 0xFFFF) == 0
        reply = self._answers[Command(data[0]).name]
        self._waiting += reply + checksum(reply)

    def read(self, count):
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


def test_the_identification_is_read():
    identity = Board(Loopback()).identification
    assert (identity.elements, identity.input_bits, identity.classes) == (3, 5, 2)
    assert (identity.logit_bytes, identity.logits_signed) == (2, True)
    assert (identity.word_bytes, identity.memories, identity.parity) == (4, 10, False)
    assert identity.writable
    assert identity.digest == DIGEST[:16]


def test_another_network_is_refused():
    board = Board(Loopback())
    board.expect(DIGEST)
    with pytest.raises(InputError, match=r"^board: it carries graph 0011223344556677, not ffff"):
        board.expect("f" * 64)


def test_a_run_is_one_byte_per_element_and_signed_logits():
    port = Loopback(RUN=b"\0\1" + (1234).to_bytes(4, "little") + b"\xfe\xff\x03\x00")
    result = Board(port).run([31, 0, 7])
    assert (result.label, result.cycles, result.logits) == (1, 1234, (-2, 3))
    assert port.sent[-1] == request(Command.RUN, b"\x1f\x00\x07")


def test_a_word_is_followed_by_its_place():
    port = Loopback(WRITE=b"\0", READ=b"\0\x78\x56\x34\x12")
    board = Board(port)
    board.write(0x0105, 0x01020304, 0x0A0B0C0D)
    assert port.sent[-1][1:-2] == bytes.fromhex("0d0c0b0a 0501 04030201")
    assert board.read(1, 5) == 0x12345678
    assert port.sent[-1][1:-2] == bytes.fromhex("0100 05000000")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([1, 2], "image: 2 elements where 3 are wanted"),
        ([0, 32, 0], "image: codes must be 0 .. 31"),
    ],
)
def test_an_impossible_image_is_never_sent(image, message):
    port = Loopback()
    board = Board(port)
    with pytest.raises(InputError, match=f"^{message}$"):
        board.run(image)
    assert len(port.sent) == 1


def test_a_word_too_wide_is_never_sent():
    board = Board(Loopback())
    with pytest.raises(InputError, match=r"^memory 0 word 1: does not fit 4 bytes$"):
        board.write(0, 1, 1 << 32)


def test_a_refusal_names_command_and_status():
    board = Board(Loopback(READ=b"\5"))
    with pytest.raises(RefusedError, match=r"refused command 4 with status 5 \(no_memory\)$") as no:
        board.read(9, 0)
    assert no.value.status is Status.NO_MEMORY


def test_memories_that_report_are_named_by_number():
    protected = Loopback.identification(flags=3)
    board = Board(Loopback(IDENTIFY=protected, DETECTED=b"\0\x81\x02"))
    assert board.detected() == (0, 7, 9)


def test_a_board_of_constants_is_read_and_never_written():
    port = Loopback(IDENTIFY=Loopback.identification(flags=5), READ=b"\0\x78\x56\x34\x12")
    board = Board(port)
    assert board.read(1, 5) == 0x12345678
    with pytest.raises(InputError, match=r"^memory 1 word 5: constants of the bitstream; build wi"):
        board.write(1, 5, 0)
    assert len(port.sent) == 2


def test_a_board_without_parity_is_not_asked():
    port = Loopback()
    with pytest.raises(InputError, match=r"^board: its memories have no parity; build with"):
        Board(port).detected()
    assert len(port.sent) == 1


def test_a_silent_board_is_an_error():
    with pytest.raises(ClaimError, match=r"^board: 0 of 3 bytes came in reply to command 1; check"):
        Board(type("Silent", (Loopback,), {"read": lambda self, count: b""})())


@pytest.mark.parametrize("changed", [{"version": 1}, {"magic": b"xx"}])
def test_another_protocol_is_an_error(changed):
    with pytest.raises(ClaimError, match="program a bitstream of this version"):
        Board(Loopback(IDENTIFY=Loopback.identification(**changed)))


@given(st.integers(0, 8 * 24 - 1))
def test_no_single_changed_bit_passes_for_a_reply(bit):
    class Noise(Loopback):
        def write(self, data):
            super().write(data)
            damaged = bytearray(self._waiting)
            damaged[bit // 8] ^= 1 << bit % 8
            self._waiting = bytes(damaged)

    with pytest.raises(ClaimError):
        Board(Noise())
