"""Damaged files of every dialect end in a graph or in one line; nothing else escapes."""

import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest import test_explain, test_finn, test_finn_layers
from tests.ingest.foreign import channels_last, larq, zoo
from tests.ingest.networks import dense

MODELS = [dense(bits=bits, layer=how) for bits in (1, 4) for how in ("gemm", "matmul")]
MODELS += [
    zoo(image=(2, 1, 4), input_type="u8"),
    zoo(image=(2, 1, 4), flatten=channels_last, input_type="u8"),
    test_explain.image(),
    *map(larq, range(3)),
    test_finn.other_dialect(),
    *map(test_finn_layers.network, range(2)),
]
SEEDS = [model.SerializeToString() for model in MODELS]
DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)
QUIET = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STATED = st.sampled_from([None, "u8", "s2"])
NUMBERS = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 24, 99, 2**31 - 1, 2**40, 2**63 - 1]
FLOATS = [float("nan"), float("inf"), -1.0, 0.0, 0.5, 1e-45, 3e38]
TEXTS = ["", "x", "Quant_0_out", "Identity", "Conv", "qonnx.custom_op.general", "FLOOR", "\n"]


@QUIET
@given(st.sampled_from(SEEDS), DAMAGE, STATED)
def test_damaged_bytes_end_in_a_graph_or_in_one_line(tmp_path, blob, damage, stated):
    bent = bytearray(blob)
    for where, byte in damage:
        bent[min(int(where * len(bent)), len(bent) - 1)] = byte
    expect_graph_or_line(tmp_path, bytes(bent), stated)


@QUIET
@given(st.sampled_from(SEEDS), st.floats(0, 1), STATED)
def test_cut_files_end_in_a_graph_or_in_one_line(tmp_path, blob, where, stated):
    expect_graph_or_line(tmp_path, blob[: int(where * len(blob))], stated)


@QUIET
@given(st.sampled_from(SEEDS), st.data())
def test_rewired_nodes_end_in_a_graph_or_in_one_line(tmp_path, blob, data):
    model = onnx.load_from_string(blob)
    names = ["", "x", *(o for n in model.graph.node for o in n.output)]
    names += [t.name for t in model.graph.initializer]
    ops = sorted({node.op_type for other in MODELS for node in other.graph.node})
    for _ in range(data.draw(st.integers(1, 2))):
        node = data.draw(st.sampled_from(list(model.graph.node)))
        match data.draw(st.integers(0, 3)):
            case 0 if node.input:
                place = data.draw(st.integers(0, len(node.input) - 1))
                node.input[place] = data.draw(st.sampled_from(names))
            case 1:
                node.op_type = data.draw(st.sampled_from(ops))
            case 2 if node.input:
                node.input.pop()
            case 3 if node.attribute:
                node.attribute.pop()
    expect_graph_or_line(tmp_path, model.SerializeToString(), data.draw(STATED))


@QUIET
@given(st.sampled_from(SEEDS), st.data())
def test_changed_fields_end_in_a_graph_or_in_one_line(tmp_path, blob, data):
    model = onnx.load_from_string(blob)
    for _ in range(data.draw(st.integers(1, 3))):
        change(model, data)
    expect_graph_or_line(tmp_path, model.SerializeToString(), data.draw(STATED))


def change(message, data):
    """Change, clear or double one field, somewhere inside."""
    there = message.ListFields()
    if not there:
        return
    field, value = data.draw(st.sampled_from(there))
    kind = field.cpp_type
    repeated = hasattr(value, "extend")
    action = data.draw(st.integers(0, 9))
    if kind == field.CPPTYPE_MESSAGE and action > 0:
        inner = data.draw(st.sampled_from(list(value))) if repeated else value
        if action == 1 and repeated:
            value.append(inner)
        elif action == 2 and repeated:
            value.remove(inner)
        else:
            change(inner, data)
    elif action == 0:
        message.ClearField(field.name)
    else:
        new = data.draw(st.sampled_from(_values(field)))
        if repeated:
            value[data.draw(st.integers(0, len(value) - 1))] = new
        else:
            setattr(message, field.name, new)


def _values(field):
    match field.cpp_type:
        case field.CPPTYPE_STRING if field.type == field.TYPE_BYTES:
            return [b"", b"\x00", b"\xff" * 7]
        case field.CPPTYPE_STRING:
            return TEXTS
        case field.CPPTYPE_FLOAT | field.CPPTYPE_DOUBLE:
            return FLOATS
        case field.CPPTYPE_ENUM:
            return [value.number for value in field.enum_type.values]
        case field.CPPTYPE_INT32:
            return [n for n in NUMBERS if abs(n) < 2**31]
        case field.CPPTYPE_UINT64:
            return [n for n in NUMBERS if n >= 0]
    return NUMBERS


def expect_graph_or_line(folder, blob, stated=None):
    path = folder / "net.onnx"
    path.write_bytes(blob)
    lowered, line = None, ""
    try:
        lowered = lower(path, input_type=stated)
    except InputError as error:
        line = str(error)
    assert (lowered is None) == bool(line)
    assert "\n" not in line
    if lowered is not None:
        assert lowered.graph.nodes[-1].name == "argmax"
        assert len(lowered.explained) == len(onnx.load_from_string(blob).graph.node)
        assert all(node.became for node in lowered.explained)


def test_every_seed_is_read(tmp_path):
    for blob in SEEDS:
        path = tmp_path / "net.onnx"
        path.write_bytes(blob)
        stated = (None, "u8", "s2")
        assert any(_reads(path, one) for one in stated)


def _reads(path, stated):
    try:
        return lower(path, input_type=stated).graph is not None
    except InputError:
        return False
