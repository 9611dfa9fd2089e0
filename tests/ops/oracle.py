"""The meaning of a graph under faults, said once more: Python integers, one sample, plain loops.

It shares no code with ``flow``: it reads the fields of ops and types, and nothing else of them.
"""

from __future__ import annotations

from itertools import product


def run(graph, sample, faults=()):
    """Every edge of one ``sample`` (nested lists) as {index tuple: integer}, by edge name."""
    shapes = {graph.input: graph.input_edge.shape}
    kinds = {graph.input: graph.input_edge.type}
    values = {graph.input: {i: at(sample, i) for i in indices(graph.input_edge.shape)}}
    for node in graph.nodes:
        struck = [f for f in faults if f.node == node.name]
        inputs = [(values[n], shapes[n], kinds[n]) for n in node.inputs]
        found, shape, kind = MEANING[type(node.op).__name__](node.op, struck, *inputs)
        values[node.output], shapes[node.output], kinds[node.output] = found, shape, kind
    return values


def indices(shape):
    return list(product(*map(range, shape)))


def at(nested, index):
    for i in index:
        nested = nested[i]
    return int(nested)


def kept(total, kind):
    """What a two's complement or unsigned register of ``kind.bits`` keeps."""
    rest = total % 2**kind.bits
    return rest - 2**kind.bits if kind.signed and rest >= 2 ** (kind.bits - 1) else rest


def struck_value(value, kind, name, index, faults):
    """A stored value after the faults that strike it, through its bits."""
    bits = [int(value > 0)] if kind.bipolar else [value % 2**kind.bits >> b & 1
                                                  for b in range(kind.bits)]  # fmt: skip
    for fault in faults:
        if fault.parameter == name and tuple(fault.index) == index:
            new = {"flip": 1 - bits[fault.bit], "stuck0": 0, "stuck1": 1}
            bits[fault.bit] = new[str(fault.kind)]
    if kind.bipolar:
        return 1 if bits[0] else -1
    weights = [2**b for b in range(kind.bits)]
    if kind.signed:
        weights[-1] = -weights[-1]
    return sum(w for w, bit in zip(weights, bits, strict=True) if bit)


def stored(array, kind, name, faults):
    return {
        i: struck_value(at(array.tolist(), i), kind, name, i, faults) for i in indices(array.shape)
    }


def mat_vec(op, faults, source):
    values, shape, _ = source
    rows, columns = op.weights.shape
    kind, weights = op.weight_type, stored(op.weights, op.weight_type, "weights", faults)
    if str(op.decode) == "clamp" and kind.declared is not None:
        low, high = kind.declared
        weights = {i: min(max(w, low), high) for i, w in weights.items()}
    share, per_group = columns // op.positions, rows // op.groups
    found = {}
    for place in indices(shape[:-1]):
        for row in range(rows):
            total = 0
            for column in range(columns):
                position, channel = divmod(column, share)
                group = row // per_group
                read = (position * op.groups + group) * share + channel
                total += weights[row, column] * values[(*place, read)]
            if op.popcount:
                total = (total + columns) // 2
            found[(*place, row)] = kept(total, op.accumulator)
    return found, (*shape[:-1], rows), op.accumulator


def threshold(op, faults, source):
    values, shape, _ = source
    channels, steps = op.thresholds.shape
    table = stored(op.thresholds, op.threshold_type, "thresholds", faults)
    sign = {(c,): int(op.sign[c]) for c in range(channels)}
    if op.signs_stored:
        for fault in faults:
            if fault.parameter == "sign":
                turned = {"flip": -sign[fault.index], "stuck0": -1, "stuck1": 1}
                sign[fault.index] = turned[str(fault.kind)]
    found = {}
    for place in indices(shape):
        channel, x = place[-1], values[place]
        bank = [table[channel, step] for step in range(steps)]
        count = sum(x >= t for t in bank) if str(op.compare) == "count" else searched(bank, x)
        level = op.base + (count if sign[channel,] > 0 else steps - count)
        found[place] = 2 * level - 1 if op.output.bipolar else level
    return found, shape, op.output


def searched(bank, x):
    """Halving steps over 2**n - 1 places, of which those past the bank are never reached."""
    size = 1
    while size <= len(bank):
        size *= 2
    padded = [*bank, *[None] * (size - 1 - len(bank))]

    def below(low, high):
        if low == high:
            return low
        middle = (low + high) // 2
        probe = padded[middle]
        return below(middle + 1, high) if probe is not None and x >= probe else below(low, middle)

    return below(0, size - 1)


def arg_max(op, faults, source):
    values, shape, _ = source
    found = {}
    for place in indices(shape[:-1]):
        row = [values[(*place, c)] for c in range(shape[-1])]
        found[place] = row.index(max(row))
    return found, shape[:-1], None


def places(op, shape, dilation):
    """(output place, [(input row, input column) of each kernel tap in order])."""
    (kh, kw), (sh, sw), (dh, dw) = op.kernel, op.stride, dilation
    for r, top in enumerate(range(0, shape[0] - dh * (kh - 1), sh)):
        for c, left in enumerate(range(0, shape[1] - dw * (kw - 1), sw)):
            yield (r, c), [(top + i * dh, left + j * dw) for i in range(kh) for j in range(kw)]


def shape_of(found):
    return tuple(max(i[axis] for i in found) + 1 for axis in range(len(next(iter(found)))))


def window(op, faults, source):
    values, shape, kind = source
    found = {}
    for place, taps in places(op, shape, op.dilation):
        row = [values[(*tap, c)] for tap in taps for c in range(shape[2])]
        found |= {(*place, k): value for k, value in enumerate(row)}
    return found, shape_of(found), kind


def pool(op, shape, dilation, combine):
    return {
        (*place, c): combine(taps, c)
        for place, taps in places(op, shape, dilation)
        for c in range(shape[2])
    }


def max_pool(op, faults, source):
    values, shape, kind = source
    found = pool(op, shape, op.dilation, lambda taps, c: max(values[(*t, c)] for t in taps))
    return found, shape_of(found), kind


def sum_pool(op, faults, source):
    values, shape, _ = source
    register = op.accumulator
    found = pool(
        op, shape, (1, 1), lambda taps, c: kept(sum(values[(*t, c)] for t in taps), register)
    )
    return found, shape_of(found), register


def pad(op, faults, source):
    values, (height, width, channels), kind = source
    top, bottom, left, right = op.margins
    shape = (height + top + bottom, width + left + right, channels)
    found = {i: values.get((i[0] - top, i[1] - left, i[2]), op.value) for i in indices(shape)}
    return found, shape, kind


def add(op, faults, *sources):
    shape = sources[0][1]
    found = {}
    for place in indices(shape):
        pick = place[-1] if op.offset.size > 1 else 0
        total = int(op.offset[pick])
        for multipliers, (values, _, _) in zip(op.multipliers.tolist(), sources, strict=True):
            total += multipliers[place[-1] if len(multipliers) > 1 else 0] * values[place]
        found[place] = kept(total, op.accumulator)
    return found, shape, op.accumulator


def concat(op, faults, *sources):
    found, start = {}, 0
    for values, shape, _ in sources:
        found |= {(*i[:-1], start + i[-1]): value for i, value in values.items()}
        start += shape[-1]
    return found, (*sources[0][1][:-1], start), op.output


def reshape(op, faults, source):
    values, shape, kind = source
    order = [values[i] for i in indices(shape)]
    return dict(zip(indices(op.shape), order, strict=True)), tuple(op.shape), kind


def transpose(op, faults, source):
    values, shape, kind = source
    found = {tuple(i[axis] for axis in op.order): value for i, value in values.items()}
    return found, tuple(shape[axis] for axis in op.order), kind


MEANING = {
    "MatVec": mat_vec, "Threshold": threshold, "ArgMax": arg_max, "Window": window, "Pad": pad,
    "MaxPool": max_pool, "SumPool": sum_pool, "Add": add, "Concat": concat, "Reshape": reshape,
    "Transpose": transpose,
}  # fmt: skip
