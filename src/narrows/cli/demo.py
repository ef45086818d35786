"""narrows demo: learn codes for digits and for documents, small and offline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._options import PATH, json_option
from narrows.cli._outputs import one_line, print_json

if TYPE_CHECKING:
    from narrows.text import Document

__all__ = ["demo"]

EPOCHS = 30
HASHER_EPOCHS = 15
_WORDS, _HIDDEN, _HASHER_BATCH = 3000, (128,), 128
"""A small vocabulary and net show the same as large ones, in a third of the time."""

QUERIES = (
    "discrete Fourier transform",
    "random forest of decision trees",
    "low-pass filter design",
)

_MODULES = (
    "numpy.fft numpy.linalg numpy.ma numpy.polynomial numpy.random "
    "scipy.cluster scipy.fft scipy.integrate scipy.interpolate scipy.linalg scipy.ndimage "
    "scipy.optimize scipy.signal scipy.sparse scipy.spatial scipy.special scipy.stats "
    "sklearn.cluster sklearn.covariance sklearn.datasets sklearn.decomposition sklearn.ensemble "
    "sklearn.feature_extraction sklearn.gaussian_process sklearn.linear_model sklearn.manifold "
    "sklearn.metrics sklearn.model_selection sklearn.neighbors sklearn.preprocessing sklearn.svm "
    "sklearn.tree"
)
_SHORTEST = 300  # characters; the docstrings of aliases and stubs are shorter


@click.command(short_help="Encode digits in 8 numbers and documents in 32 bits, offline.")
@click.option("-o", "--output", type=PATH, default=Path("narrows-demo"), show_default=True,
              help="Folder for the picture, the models and the index.")  # fmt: skip
@json_option
def demo(output: Path, as_json: bool) -> None:
    """Learn codes for two data sets that are already installed.

    scikit-learn's 8 x 8 digits become 8 numbers, and the docstrings of NumPy, SciPy and
    scikit-learn become 32 bits. Print the errors, the retrieval precision and the answers to three
    queries; write a picture, both models and an index.
    """
    import time

    started = time.perf_counter()
    from narrows.errors import ResourceError

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{output}: cannot be created: {error.strerror}.") from error
    with _one_thread():
        results = _digits(output, say=not as_json)
        results["documents"] = _documents(output, say=not as_json)
    results["seconds"] = round(time.perf_counter() - started, 1)
    click.echo(f"The demo took {results['seconds']:.0f} s.", err=True)
    if as_json:
        print_json(results)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread.

    More threads do not speed up nets this small, and slow them down on a busy machine, because
    the threads wait for each other at every step.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _digits(output: Path, *, say: bool) -> dict[str, Any]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neighbors import KNeighborsClassifier

    from narrows import Autoencoder
    from narrows.data.array_sources import array_source
    from narrows.data.source import evenly_spaced_rows
    from narrows.figures.rows import reconstruction_figure
    from narrows.figures.saving import save_figure

    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    click.echo(f"{len(train)} digits of 8 x 8 pixels, 64 numbers each, to encode in 8.", err=True)
    net = Autoencoder(
        n_components=8, hidden=(256, 64), scale="unit", max_epochs=EPOCHS, patience=None,
        batch_size=64, learning_rate=6e-3, random_state=0, verbose=1,
    )  # fmt: skip
    net.fit(train)
    evaluation = net.evaluate(test)
    nearest = KNeighborsClassifier(5)
    on_codes = nearest.fit(net.transform(train), y_train).score(net.transform(test), y_test)
    on_pixels = nearest.fit(train, y_train).score(test, y_test)
    picture, model = output / "digits.png", output / "digits.safetensors"
    rows = evenly_spaced_rows(array_source(test[:12]), 12)
    save_figure(reconstruction_figure(net.model_, rows, image_shape=(8, 8)), picture)
    net.save(model)
    if say:
        click.echo(f"\n{len(test)} digits that the net was not trained on:\n")
        click.echo(evaluation.table())
        click.echo(
            f"\n5 nearest neighbors classify {on_codes:.1%} of them correctly by the 8 numbers, "
            f"{on_pixels:.1%} by all 64 pixels.\n"
        )
        click.echo(f"picture: {picture}\nmodel:   {model}\n")
    return {
        **evaluation.as_dict(),
        "nearest_neighbors_on_codes": on_codes,
        "nearest_neighbors_on_pixels": on_pixels,
        "picture": str(picture),
        "model": str(model),
    }


def _documents(output: Path, *, say: bool) -> dict[str, Any]:
    import numpy as np

    from narrows import SemanticHasher
    from narrows.applications.retrieval.comparison import compare_retrieval
    from narrows.estimators.autoencoders.fit import fit_autoencoder

    documents = _docstrings()
    texts = [document.text for document in documents]
    labels = np.array([document.labels[0] for document in documents])
    click.echo(
        f"{len(texts)} docstrings of NumPy, SciPy and scikit-learn, to encode in 32 bits.", err=True
    )
    hasher = SemanticHasher(
        32, n_neighbors=10, hidden=_HIDDEN, max_features=_WORDS, max_epochs=HASHER_EPOCHS,
        batch_size=_HASHER_BATCH, validation_fraction=0.0, random_state=0, verbose=int(say),
    )  # fmt: skip
    fit_autoencoder(hasher, texts)  # not fit, whose table of errors says little about bits
    comparison = compare_retrieval(
        hasher.hash(texts), hasher.vocabulary_.count(texts), labels, cutoffs=(1, 3, 7, 15, 31)
    )
    snippets = [{"snippet": one_line(text, 200)} for text in texts]
    model, index = output / "docs.safetensors", output / "docs.index"
    names = [document.id for document in documents]
    rows = hasher.make_index(texts, names, snippets, rerank=True, model_path=model.name)
    hasher.set_params(verbose=0).save(model)
    rows.save(index)
    answers = dict(zip(QUERIES, hasher.search(rows, list(QUERIES), 3, rerank=True), strict=True))
    if say:
        click.echo(
            "\nShare of retrieved docstrings that are of the same module as the query:\n\n"
            f"{comparison.table()}"
        )
        for query, hits in answers.items():
            click.echo(f"\n{query}:")
            for hit in hits:
                click.echo(f"  {hit.distance:>2} bits  {hit.name}")
        click.echo(f"\nmodel:   {model}\nindex:   {index}")
        click.echo(f'\nNext: narrows search {index} "the mean of a sample" --rerank')
    return {
        "retrieval": comparison.as_dict(),
        "answers": {query: [hit.name for hit in hits] for query, hits in answers.items()},
        "model": str(model),
        "index": str(index),
    }


def _docstrings() -> list[Document]:
    """Return the docstrings of installed classes and functions, labeled by their module."""
    import importlib
    import inspect

    from narrows.text import Document

    found: dict[str, Document] = {}
    seen: set[str] = set()
    for module_name in _MODULES.split():
        module = importlib.import_module(module_name)
        for name in sorted(getattr(module, "__all__", ())):
            member = vars(module).get(name)  # only what is loaded: a lazy name may fail to import
            if not (inspect.isclass(member) or callable(member)):
                continue
            text = inspect.getdoc(member) or ""
            if len(text) < _SHORTEST or text in seen:
                continue
            seen.add(text)
            full = f"{module_name}.{name}"
            found[full] = Document(full, text, (module_name,))
    return list(found.values())
