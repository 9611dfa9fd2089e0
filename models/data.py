"""Data sets as integer arrays, read from the files their authors publish, never downloaded."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.errors import InputError
from flow.ir import Array, IntType, integers

_SPLIT_SEED = 0  # of the digits split: 1,437 training and 360 test images, stratified by class

# MD5 as the authors publish them
_MNIST = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_FASHION = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_CIFAR = {f"data_batch_{i}.bin" for i in range(1, 6)} | {"test_batch.bin"}


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """Labelled images: x (images, *shape) within ``type``, channels last; y (images,) classes."""

    name: str
    type: IntType
    classes: int
    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.train_x.shape[1:]


def load_dataset(name: str, *, root: Path) -> Dataset:
    """``digits`` (embedded in scikit-learn), ``mnist``, ``fashion-mnist``, ``cifar10``, or a file
    ``*.npz`` with ``x`` and ``y`` (and optionally ``train_x``, ``train_y``).

    Raises:
        InputError: the name is unknown, or a file is missing, damaged or of the wrong content.
    """
    match name:
        case "digits":
            return _digits()
        case "mnist":
            return _idx(name, root / name, _MNIST)
        case "fashion-mnist":
            return _idx(name, root / name, _FASHION)
        case "cifar10":
            return _cifar(root / name)
    if name.endswith(".npz"):
        return _npz(Path(name))
    raise InputError(
        f"data set {name!r}: unknown; choose digits, mnist, fashion-mnist, cifar10 or a file.npz"
    )


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    parts = train_test_split(
        bunch.data.astype(np.int64),
        bunch.target,
        test_size=360,
        stratify=bunch.target,
        random_state=_SPLIT_SEED,
    )
    train_x, test_x, train_y, test_y = map(integers, parts)
    return Dataset("digits", IntType(5).within(0, 16), 10, train_x, train_y, test_x, test_y)


def _idx(name: str, folder: Path, checksums: dict[str, str]) -> Dataset:
    arrays = []
    for file, md5 in checksums.items():
        raw = _read(folder / file, name)
        if hashlib.md5(raw, usedforsecurity=False).hexdigest() != md5:
            raise InputError(f"{folder / file}: damaged (MD5 is not the published {md5})")
        data = gzip.decompress(raw)
        header = 16 if "images" in file else 8
        values = np.frombuffer(data, dtype=np.uint8, offset=header)
        arrays.append(values.reshape(-1, 28, 28, 1) if header == 16 else values)
    train_x, train_y, test_x, test_y = map(integers, arrays)
    return Dataset(name, IntType(8), 10, train_x, train_y, test_x, test_y)


def _cifar(folder: Path) -> Dataset:
    """The standard binary version: in a folder, or in its tar packed with gzip or xz."""
    records = {}
    packed = [p for p in folder.glob("cifar-10-binary.tar.*") if p.suffix in (".gz", ".xz")]
    if packed:
        try:
            with tarfile.open(packed[0]) as tar:
                for member in tar:
                    if Path(member.name).name in _CIFAR and (stream := tar.extractfile(member)):
                        records[Path(member.name).name] = stream.read()
        except (tarfile.TarError, lzma.LZMAError, OSError, EOFError) as error:
            raise InputError(f"{packed[0]}: damaged ({error}); fetch it again") from None
    else:
        for file in sorted(_CIFAR):
            records[file] = _read(folder / "cifar-10-batches-bin" / file, "cifar10")
    parts: dict[bool, list[Array]] = {True: [], False: []}
    for file in sorted(records):
        if len(records[file]) != 10_000 * 3073:
            raise InputError(f"{folder}: {file} has {len(records[file])} bytes, not 30,730,000")
        parts["test" in file].append(np.frombuffer(records[file], np.uint8).reshape(-1, 3073))
    if set(records) != _CIFAR:
        raise InputError(f"{folder}: {', '.join(sorted(_CIFAR - set(records)))} missing")
    train, test = (np.concatenate(parts[which]) for which in (False, True))
    images = [p[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for p in (train, test)]
    return Dataset(
        "cifar10",
        IntType(8),
        10,
        integers(images[0]),
        integers(train[:, 0]),
        integers(images[1]),
        integers(test[:, 0]),
    )


def _npz(path: Path) -> Dataset:
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not an .npz of arrays ({error})") from None
    if not {"x", "y"} <= arrays.keys():
        raise InputError(f"{path}: holds {', '.join(arrays) or 'nothing'}; needs x and y")
    train_x, train_y = arrays.get("train_x", arrays["x"]), arrays.get("train_y", arrays["y"])
    for x, y in ((arrays["x"], arrays["y"]), (train_x, train_y)):
        if x.dtype.kind not in "iu" or y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
            raise InputError(
                f"{path}: x {x.shape} {x.dtype} and y {y.shape} {y.dtype} must be integers, "
                "one label per image"
            )
    both = [arrays["x"], train_x]
    kind = IntType.holding(min(int(x.min()) for x in both), max(int(x.max()) for x in both))
    return Dataset(
        path.stem,
        kind,
        int(max(arrays["y"].max(), train_y.max())) + 1,
        *map(integers, (train_x, train_y, arrays["x"], arrays["y"])),
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InputError(
            f"{path}: missing; data set {name!r} is read from its published files there "
            "(set BITPROOF_DATA to the folder that holds them)"
        ) from None
