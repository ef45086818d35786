"""Compare, without labels, how well halves of documents find each other by several codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Generator, Tensor

from narrows.applications.printing import counted, shown_as_table
from narrows.applications.retrieval.baselines import lsa_codes, weighted
from narrows.applications.retrieval.halves import FoundHalves, find_halves, split_words
from narrows.applications.retrieval.lookup import index_codes
from narrows.core.sparse import SparseRows
from narrows.data.array_sources import SparseSource, joined
from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.model.coding import all_rows, errors
from narrows.model.model import Model
from narrows.model.training_rows import held_out_mask

__all__ = ["FEWEST", "HalvesComparison", "compare_halves", "compare_halves_of"]

FEWEST = 10
"""Fewer documents than this are not measured."""

_MEASURED, _FITTED = 2000, 20_000
"""At most this many documents, drawn at random, are measured, and the baselines fitted to."""

_MODEL = "this model"

_SAME = 1e-9
"""A smaller difference is rounding."""


@shown_as_table
@dataclass(frozen=True, repr=False)
class HalvesComparison:
    """How well halves of documents find each other by a model's codes, by LSA and by TF-IDF.

    Attributes
    ----------
    results : dict of str to FoundHalves
        By the name of the method, the model first; all of the same halves.
    rows : {"held_out", "training", "new"}
        Which documents were measured: held out of the training of the model, trained on, or others.
    n_fitted : int
        Number of other documents that the baselines were fitted to; with rows="training", of the
        same ones.
    n_short : int
        Number of documents that were left out because they have fewer than two known words.
    """

    results: dict[str, FoundHalves]
    rows: str
    n_fitted: int
    n_short: int

    def as_dict(self) -> dict[str, object]:
        methods = {name: result.as_dict() for name, result in self.results.items()}
        return {
            "rows": self.rows,
            "n_fitted": self.n_fitted,
            "n_short": self.n_short,
            "methods": methods,
        }

    def table(self) -> str:
        """Return lines to print: one per method, what the numbers mean, and advice."""
        width = max(len(name) for name in ["halves found", *self.results]) + 1
        lines = [f"{'halves found':<{width}}{'first':>8}{'in 10':>8}{'error':>8}{'1/rank':>8}"]
        for name, found in self.results.items():
            error = found.standard_errors[1]
            lines.append(
                f"{name:<{width}}{found.hit_at_1:>8.1%}{found.hit_at_10:>8.1%}"
                f"{f'+-{error:.1%}':>8}{found.reciprocal_rank:>8.3f}"
            )
        lines.append(self._meaning())
        if self.n_short:
            n = counted(self.n_short, "document")
            lines.append(f"{n} of fewer than two known words left out")
        return "\n".join([*lines, *self.advice()])

    def _meaning(self) -> str:
        n = next(iter(self.results.values())).n_rows
        kind = {"held_out": " held out of training", "training": ", all trained on", "new": ""}
        fitted = f"{self.n_fitted} others"
        if self.rows == "training":
            fitted = "these, too, so expect smaller shares on new documents"
        return (
            f"share of the halves whose other half is the nearest, or one of the ten nearest, of "
            f"{n}; the words of {n} documents{kind[self.rows]} were split in two at random; LSA "
            f"and TF-IDF were fitted to {fitted}"
        )

    def advice(self) -> list[str]:
        """Return a sentence about LSA and about TF-IDF if they rank the halves better.

        They do if their mean reciprocal rank is higher by more than its standard error.
        """
        (_, model), *others = self.results.items()
        ahead: dict[str, str] = {}
        for name, found in sorted(others, key=lambda pair: -pair[1].reciprocal_rank):
            lead, error = found.lead_over(model)
            if lead > max(error, _SAME):
                ahead.setdefault(name.partition(" ")[0], _sentence(name, found, model))
        return list(ahead.values())


def _sentence(name: str, found: FoundHalves, model: FoundHalves) -> str:
    """Return what a simple method finds, beside the model, and what to do."""
    kind, _, width = name.partition(" ")
    width = width.strip("()")
    if kind == "LSA":
        size = width if width.endswith("bits") else f"{width} numbers"
        method = f"LSA with {size}"
        way_out = (
            "to search documents like these, use it (TruncatedSVD of TF-IDF rows, in scikit-learn)"
        )
    else:
        method, way_out = f"TF-IDF with all {width} words", "search by words where they fit"
    return (
        f"{method} finds {found.hit_at_1:.0%} of the halves first and {found.hit_at_10:.0%} among "
        f"ten, this model {model.hit_at_1:.0%} and {model.hit_at_10:.0%}: {way_out}, widen the "
        "code (n_components, --code), or fit to more documents."
    )


def compare_halves(
    model: Model, training: Source, measured: Source, *, rows: str = "held_out", seed: int = 0
) -> HalvesComparison | None:
    """Compare the codes of a model of counts with LSA of their width and with TF-IDF.

    The words of each measured document are split at random in two halves, and the code of each
    half is to find the other one. LSA and TF-IDF of log(1 + count) are fitted to the training
    rows. For codes of bits there is also LSA of as many bits: 1 above the median of the training
    rows. Of many documents, samples are used.

    Parameters
    ----------
    model : Model
    training, measured : Source
        Documents to fit the baselines to, and those to measure, which are other ones unless
        ``rows`` is "training".
    rows : {"held_out", "training", "new"}
        As in ``HalvesComparison``.
    seed : int, default=0
        Of the halves and samples.

    Returns
    -------
    comparison : HalvesComparison or None
        None if the model does not read counts, if a row does not consist of counts, or if fewer
        than ``FEWEST`` documents have two words.
    """
    if not model.scaling.shares:
        return None
    counts, fitted = _sample(measured, _MEASURED, seed), _sample(training, _FITTED, seed)
    if not all(_whole(part) for part in (counts, fitted)):
        return None
    first, second, kept = split_words(counts, np.random.default_rng(seed))
    if len(kept) < FEWEST:
        return None
    codes = [index_codes(model, SparseSource(half)).codes for half in (first, second)]
    bits = isinstance(model.objective.encoder, BinaryEncoder)
    width = model.n_components
    results = {f"{_MODEL} ({width}{' bits' if bits else ''})": find_halves(*codes)}
    if width < min(fitted.shape):
        base, *lsa = lsa_codes(fitted, first, second, n_components=width, seed=seed)
        results[f"LSA ({width})"] = find_halves(*lsa)
        if bits:
            medians = np.median(base, axis=0)
            packed = [np.packbits(code > medians, axis=1) for code in lsa]
            results[f"LSA ({width} bits)"] = find_halves(*packed)
    _, *tfidf = weighted(fitted, first, second, weighting="log_tfidf")
    results[f"TF-IDF ({fitted.shape[1]})"] = find_halves(*tfidf)
    return HalvesComparison(results, rows, fitted.shape[0], counts.shape[0] - len(kept))


def compare_halves_of(model: Model, source: Source, *, seed: int = 0) -> HalvesComparison | None:
    """Compare codes as ``compare_halves`` does, on any rows.

    Of the rows of the fit, only those that were held out are measured. If none were held out, and
    these are as many rows as the fit had, they count as trained on. Of other rows a fifth, drawn at
    random, is measured, and the baselines are fitted to the rest.
    """
    if not model.scaling.shares:
        return None
    mask = held_out_mask(model, source, lambda: all_rows(errors(model, source)))
    if mask is not None:
        held_out = torch.from_numpy(mask)
        return compare_halves(model, source.where(~held_out), source.where(held_out), seed=seed)
    n, record = source.n_rows, model.record
    if n == record.get("n_rows") and not record.get("n_validation_rows"):
        return compare_halves(model, source, source, rows="training", seed=seed)
    drawn = torch.zeros(n, dtype=torch.bool)
    n_drawn = min(-(-n // 5), _MEASURED)
    drawn[torch.randperm(n, generator=Generator().manual_seed(seed))[:n_drawn]] = True
    if bool(drawn.all()):
        return None
    return compare_halves(model, source.where(~drawn), source.where(drawn), rows="new", seed=seed)


def _sample(source: Source, most: int, seed: int) -> Any:
    """Return at most so many rows of a source, drawn at random, as CSR."""
    if source.n_rows <= most:
        rows: SparseRows | Tensor = source.at(torch.arange(source.n_rows))
    else:
        rows = source.sample(most, generator=Generator().manual_seed(seed))
    return sp.csr_array(joined([rows]))


def _whole(counts: Any) -> bool:
    """Return whether the values of a CSR matrix are whole numbers >= 0."""
    values = counts.data
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values % 1 == 0).all())
