"""Find named data sets in a local folder or download them, and verify them by SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from narrows.errors import InvalidData, ResourceError, UsageError, unknown_name

__all__ = ["DATASETS", "Dataset", "File", "fetch", "load_half", "load_images", "local_folder"]


@dataclass(frozen=True)
class File:
    """A file, the SHA-256 of the download, and the SHA-256 of its decompressed content.

    A copy that was decompressed and compressed again differs in the first digest only.
    """

    name: str
    sha256: str
    content_sha256: str


@dataclass(frozen=True)
class Dataset:
    name: str
    title: str
    license: str
    url: str
    files: tuple[File, ...]


_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _idx_files(downloads: Sequence[str], contents: Sequence[str]) -> tuple[File, ...]:
    return tuple(File(*parts) for parts in zip(_IDX, downloads, contents, strict=True))


_MNIST = Dataset(
    "mnist",
    "MNIST handwritten digits: 60,000 + 10,000 images of 28 x 28",
    "CC BY-SA 3.0 (LeCun, Cortes)",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    _idx_files(
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)

_FASHION_MNIST = Dataset(
    "fashion_mnist",
    "Fashion-MNIST articles of clothing: 60,000 + 10,000 images of 28 x 28",
    "MIT (Zalando SE)",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    _idx_files(
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
)

DATASETS = {dataset.name: dataset for dataset in (_FASHION_MNIST, _MNIST)}


def local_folder() -> Path | None:
    """Return the folder that NARROWS_DATA names, or None if it is not set.

    Raises
    ------
    UsageError
        If the folder does not exist.
    """
    named = os.environ.get("NARROWS_DATA")
    if named and not Path(named).is_dir():
        raise UsageError(f"NARROWS_DATA: {named} is not a folder; name one, or unset it.")
    return Path(named) if named else None


def fetch(name: str, *, folder: Path | None = None) -> dict[str, Path]:
    """Return the verified files of a data set, by file name.

    A file is taken from NARROWS_DATA if it exists there, else from ``folder`` (by default the
    user's cache), to which it is downloaded if it is missing.

    Raises
    ------
    UsageError
        If the data set is unknown.
    InvalidData
        If the content of a file is wrong.
    ResourceError
        If the download fails.
    """
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    dataset = DATASETS[name]
    return {file.name: _find(dataset, file, folder) for file in dataset.files}


def _find(dataset: Dataset, file: File, folder: Path | None) -> Path:
    local = local_folder()
    if local is not None:
        for path in (local / dataset.name / file.name, local / file.name):
            if path.exists():
                _verify(path, file)
                return path
    return _download(dataset, file, folder)


def _verify(path: Path, file: File) -> None:
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidData(f"{path}: damaged gzip: {error}.") from None
    if digest.hexdigest() != file.content_sha256:
        raise InvalidData(f"{path}: its content differs from {file.name}; download it again.")


def _download(dataset: Dataset, file: File, folder: Path | None) -> Path:
    import pooch

    target = folder or Path(pooch.os_cache("narrows"))
    try:
        path = pooch.retrieve(
            dataset.url + file.name,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=target / dataset.name,
        )
    except ValueError as error:
        raise InvalidData(f"{dataset.name}: {error}") from None
    except Exception as error:  # requests and urllib3 raise many kinds
        raise ResourceError(
            f"{dataset.name}: {dataset.url + file.name} could not be downloaded: "
            f"{type(error).__name__}; set NARROWS_DATA to a folder that holds {dataset.name}/."
        ) from error
    return Path(path)


def load_images(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images and labels, and test images and labels, as bytes.

    Images have shape (n, height * width), labels (n,).
    """
    return *load_half(name, "train"), *load_half(name, "test")


def load_half(name: str, half: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, height * width) and labels (n,) of "train" or "test", as bytes.

    The files of the other half are verified but not read.
    """
    from narrows.data.readers.idx import read_idx_array

    files = fetch(name)
    names = _IDX[:2] if half == "train" else _IDX[2:]
    images, labels = (read_idx_array(files[file]) for file in names)
    return images.reshape(len(images), -1), labels
