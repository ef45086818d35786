"""List what a model holds: its pieces, its rows, its words and how it was trained."""

from __future__ import annotations

from typing import Any

from narrows.model.model import Model
from narrows.text import Vocabulary

__all__ = ["most_frequent_words", "n_weights", "net_facts", "training_facts"]


def net_facts(model: Model) -> dict[str, Any]:
    """Return the pieces of a net, its features and its scaling, as JSON values by name."""
    return {
        "variant": model.variant,
        **model.parameters,
        "n_features": model.schema.n_features,
        "columns": model.schema.names,
        "kind": model.schema.kind,
        "image_shape": model.schema.image_shape,
        "scaling": model.scaling.kind,
    }


def training_facts(model: Model) -> dict[str, Any]:
    """Return how the net was trained, as JSON values by name; None where the record lacks it."""
    record = model.record
    epochs = record.get("epochs", ())
    return {
        "rows_trained_on": record.get("n_rows"),
        "rows_held_out": record.get("n_validation_rows"),
        "epochs": len(epochs),
        "best_epoch": record.get("best_epoch"),
        "stopped_early": record.get("stopped_early"),
        "batch_size": record.get("batch_size"),
        "learning_rate": record.get("learning_rate"),
        "n_neighbors": record.get("n_neighbors") or None,
        "neighbors_by": record.get("neighbors_by") if record.get("n_neighbors") else None,
        "precision": record.get("precision"),
        "seconds": round(sum(epoch["seconds"] for epoch in epochs), 2),
    }


def n_weights(model: Model) -> int:
    """Return the number of weights of the net."""
    return sum(weight.numel() for weight in model.objective.parameters())


def most_frequent_words(vocabulary: Vocabulary, n: int) -> list[str]:
    """Return the ``n`` words that occur in the most documents, the most frequent first."""
    order = (-vocabulary.document_frequencies).argsort(kind="stable")
    return [vocabulary.terms[place] for place in order[:n]]
