"""Data sets are read exactly as published, or refused with the file's name."""

import gzip
import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

from flow.errors import InputError
from models import data
from models.data import load_dataset


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


def fingerprint(*arrays):
    return hashlib.sha256(b"".join(a.astype("<i8").tobytes() for a in arrays)).hexdigest()[:16]


def test_digits_are_raw_pixels_in_their_declared_range(digits):
    assert str(digits.type) == "u5[0..16]"
    assert digits.shape == (64,)
    assert digits.train_x.dtype == digits.train_y.dtype == np.int64
    assert (digits.train_x.min(), digits.train_x.max()) == (0, 16)
    assert digits.type.contains(digits.test_x)


def test_the_digits_split_never_changes(digits):
    assert len(digits.train_x) == 1437
    assert np.bincount(digits.test_y).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    assert fingerprint(digits.test_x, digits.test_y) == "9a135e3d11339a5e"
    assert fingerprint(digits.train_x, digits.train_y) == "1b32d37828094722"


def test_training_and_test_images_together_are_the_whole_set_once(digits):
    from sklearn.datasets import load_digits

    both = np.concatenate([digits.train_x, digits.test_x])
    assert sorted(map(bytes, both)) == sorted(map(bytes, load_digits().data.astype(np.int64)))


def idx_files(rng):
    """The four files of an MNIST-like set, with their arrays."""
    arrays = {}
    for stem, images in (("train", 5), ("t10k", 3)):
        arrays[f"{stem}-images-idx3-ubyte.gz"] = rng.integers(0, 256, (images, 28, 28), np.uint8)
        arrays[f"{stem}-labels-idx1-ubyte.gz"] = rng.integers(0, 10, images, np.uint8)
    files = {}
    for name, array in arrays.items():
        sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
        header = bytes([0, 0, 8, array.ndim]) + sizes
        files[name] = gzip.compress(header + array.tobytes(), mtime=0)
    return arrays, files


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A small MNIST whose checksums the reader takes for the published ones."""
    arrays, files = idx_files(np.random.default_rng(0))
    md5s = {name: hashlib.md5(raw).hexdigest() for name, raw in files.items()}
    monkeypatch.setattr(data, "_MNIST", md5s)
    (tmp_path / "mnist").mkdir()
    for name, raw in files.items():
        (tmp_path / "mnist" / name).write_bytes(raw)
    return tmp_path, arrays


def test_mnist_pixels_come_channels_last(mnist):
    root, arrays = mnist
    found = load_dataset("mnist", root=root)

    assert (str(found.type), found.shape, found.classes) == ("u8", (28, 28, 1), 10)
    np.testing.assert_array_equal(found.train_x[..., 0], arrays["train-images-idx3-ubyte.gz"])
    np.testing.assert_array_equal(found.train_y, arrays["train-labels-idx1-ubyte.gz"])
    np.testing.assert_array_equal(found.test_x[..., 0], arrays["t10k-images-idx3-ubyte.gz"])
    np.testing.assert_array_equal(found.test_y, arrays["t10k-labels-idx1-ubyte.gz"])


def test_one_flipped_bit_in_a_file_is_refused(mnist):
    root, _ = mnist
    path = root / "mnist" / "t10k-labels-idx1-ubyte.gz"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)

    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte\.gz: damaged \(MD5 is not"):
        load_dataset("mnist", root=root)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("fashion-mnist", "train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-batches-bin/data_batch_1.bin"),
    ],
)
def test_a_missing_file_is_named_with_the_place_where_it_goes(name, file, tmp_path):
    with pytest.raises(InputError) as caught:
        load_dataset(name, root=tmp_path)

    assert str(caught.value) == (
        f"{tmp_path / name / file}: missing; data set {name!r} is read from its published files "
        "there (set BITPROOF_DATA to the folder that holds them)"
    )


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Small CIFAR-10 records whose checksums the reader takes for the published ones."""
    rng = np.random.default_rng(0)
    rows = {name: rng.integers(0, 256, (4, 3073), np.uint8) for name in data._CIFAR}
    for row in rows.values():
        row[:, 0] %= 10
    sums = {name: hashlib.sha256(row.tobytes()).hexdigest() for name, row in rows.items()}
    monkeypatch.setattr(data, "_CIFAR", sums)
    (tmp_path / "cifar10").mkdir()
    return tmp_path, rows


def pack(path, rows):
    with tarfile.open(path, f"w:{path.suffix[1:]}") as tar:
        for name, row in rows.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = row.nbytes
            tar.addfile(entry, io.BytesIO(row.tobytes()))


@pytest.mark.parametrize("packing", ["gz", "xz", None])
def test_cifar_planes_become_channels(packing, cifar):
    root, rows = cifar
    if packing:
        pack(root / "cifar10" / f"cifar-10-binary.tar.{packing}", rows)
    else:
        (root / "cifar10" / "cifar-10-batches-bin").mkdir()
        for name, row in rows.items():
            (root / "cifar10" / "cifar-10-batches-bin" / name).write_bytes(row.tobytes())

    found = load_dataset("cifar10", root=root)

    assert (len(found.train_x), found.shape, str(found.type)) == (20, (32, 32, 3), "u8")
    test = rows["test_batch.bin"]
    np.testing.assert_array_equal(found.test_y, test[:, 0])
    np.testing.assert_array_equal(found.test_x[2, 7, 9], test[2, 1:].reshape(3, 32, 32)[:, 7, 9])
    np.testing.assert_array_equal(found.train_y[4:8], rows["data_batch_2.bin"][:, 0])


def test_damaged_cifar_is_refused(cifar):
    root, rows = cifar
    archive = root / "cifar10" / "cifar-10-binary.tar.xz"
    rows["test_batch.bin"][0, 0] ^= 1
    pack(archive, rows)
    with pytest.raises(InputError, match=r"test_batch\.bin is damaged \(SHA-256 is not"):
        load_dataset("cifar10", root=root)

    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cifar-10-binary\.tar\.xz: damaged"):
        load_dataset("cifar10", root=root)


def test_a_users_own_images(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.array([[-3, 4]]), y=np.array([2]))
    found = load_dataset(str(path), root=tmp_path)

    assert (found.name, str(found.type), found.classes) == ("mine", "s4", 3)
    np.testing.assert_array_equal(found.train_x, found.test_x)

    np.savez(path, x=np.array([[1]]), y=[0], train_x=np.array([[9], [8]]), train_y=[1, 4])
    found = load_dataset(str(path), root=tmp_path)
    assert (str(found.type), found.classes, found.train_y.tolist()) == ("u4", 5, [1, 4])


IMAGES = np.ones((2, 3), dtype=np.int64)
REFUSED = [
    ({"x": IMAGES}, "holds x; needs y"),
    ({}, "holds nothing; needs x and y"),
    ({"x": IMAGES * 0.5, "y": [0, 1]}, "x float64 and y int64 must be integers"),
    ({"x": IMAGES, "y": [0]}, "x (2, 3) and y (1,) must be (images, ...) and (images,)"),
    ({"x": IMAGES[:0], "y": IMAGES[:0, 0]}, "x (0, 3) and y (0,) must be"),
    ({"x": IMAGES, "y": [0, -1]}, "y -1..0 must be classes 0, 1, 2, ..."),
    ({"x": IMAGES << 40, "y": [0, 1]}, "must fit 32 bits"),
    ({"x": IMAGES, "y": [0, 1], "train_x": IMAGES}, "needs train_y"),
    (
        {"x": IMAGES, "y": [0, 1], "train_x": IMAGES[:, :2], "train_y": [0, 1]},
        "images of (3,) in x but (2,) in train_x",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_images_that_make_no_data_set_are_refused(arrays, message, tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError) as caught:
        load_dataset(str(path), root=tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no zip", pickle.dumps([1]), "cut", "pickled"])
def test_a_file_that_is_no_npz_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "mine.npz"
    if content == "pickled":
        np.savez(path, x=np.array([object()]), y=[0])
    elif content == "cut":
        np.savez(path, x=IMAGES, y=[0, 1])
        path.write_bytes(path.read_bytes().replace(b"NUMPY", b"NUMPI"))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"mine\.npz: not an \.npz") as caught:
        load_dataset(str(path), root=tmp_path)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"^data set 'digit': unknown; choose digits, mnist, "):
        load_dataset("digit", root=tmp_path)
    with pytest.raises(InputError, match=r"none\.npz: no such file$"):
        load_dataset("none.npz", root=tmp_path)
