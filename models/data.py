"""Data sets as integer arrays, read from the files their authors publish, never downloaded."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
# SHA-256 of the members of cifar-10-binary.tar.gz: the archive itself may be packed another way
_CIFAR = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


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
    packed = [p for p in folder.glob("cifar-10-binary.tar.*") if p.suffix in (".gz", ".xz")]
    records = _members(packed[0]) if packed else {}
    parts = []
    for file, sha256 in _CIFAR.items():
        raw = records.get(file) or _read(folder / "cifar-10-batches-bin" / file, "cifar10")
        if hashlib.sha256(raw).hexdigest() != sha256:
            raise InputError(f"{folder}: {file} is damaged (SHA-256 is not {sha256})")
        parts.append(np.frombuffer(raw, np.uint8).reshape(-1, 3073))
    train, test = np.concatenate(parts[:-1]), parts[-1]
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


def _members(archive: Path) -> dict[str, bytes]:
    """The data files inside the packed archive."""
    records = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if Path(member.name).name in _CIFAR and (stream := tar.extractfile(member)):
                    records[Path(member.name).name] = stream.read()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, OSError, EOFError) as error:
        raise InputError(f"{archive}: damaged ({error}); fetch it again") from None
    return records


def _npz(path: Path) -> Dataset:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: not an .npz; write it with numpy.savez(path, x=x, y=y)")
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not an .npz of arrays ({error})") from None
    x, y = _labelled(path, arrays, "x", "y")
    train_x, train_y = x, y
    if "train_x" in arrays:
        train_x, train_y = _labelled(path, arrays, "train_x", "train_y")
    if train_x.shape[1:] != x.shape[1:]:
        raise InputError(f"{path}: images of {x.shape[1:]} in x but {train_x.shape[1:]} in train_x")
    values = np.array([x.min(), x.max(), train_x.min(), train_x.max()])
    kind = IntType.holding(int(values.min()), int(values.max()))
    classes = int(max(y.max(), train_y.max())) + 1
    return Dataset(path.stem, kind, classes, train_x, train_y, x, y)


def _labelled(path: Path, arrays: dict[str, Any], x: str, y: str) -> tuple[Array, Array]:
    """The images ``x`` and labels ``y`` of an .npz, checked."""
    if missing := {x, y} - arrays.keys():
        raise InputError(
            f"{path}: holds {', '.join(arrays) or 'nothing'}; needs {' and '.join(sorted(missing))}"
        )
    images, labels = arrays[x], arrays[y]
    if images.dtype.kind not in "iu" or labels.dtype.kind not in "iu":
        raise InputError(f"{path}: {x} {images.dtype} and {y} {labels.dtype} must be integers")
    if images.ndim < 2 or not images.size or labels.shape != images.shape[:1]:
        raise InputError(
            f"{path}: {x} {images.shape} and {y} {labels.shape} must be (images, ...) and (images,)"
        )
    if labels.min() < 0 or labels.max() >= 1 << 15:
        raise InputError(f"{path}: {y} {labels.min()}..{labels.max()} must be classes 0, 1, 2, ...")
    if max(-int(images.min()), int(images.max())) >= 1 << 31:
        raise InputError(f"{path}: {x} {images.min()}..{images.max()} must fit 32 bits")
    return integers(images), integers(labels)


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InputError(
            f"{path}: missing; data set {name!r} is read from its published files there "
            "(set BITPROOF_DATA to the folder that holds them)"
        ) from None
