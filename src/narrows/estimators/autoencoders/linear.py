"""The linear autoencoder, with its subspace compared to PCA's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from narrows.applications.coding.certificate import certify
from narrows.core.pieces import name_of
from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented
from narrows.model.model import Model

__all__ = ["LinearAutoencoder"]

_CERTIFICATE = (
    "components_", "explained_variance_", "explained_variance_ratio_", "pca_angles_"
)  # fmt: skip


@documented
class LinearAutoencoder(AbstractAutoencoder):
    """Learn PCA's subspace by gradient descent, with an autoencoder without hidden layers.

    The net is trained by the ordinary loop, not solved. After training the code is rotated to
    orthonormal axes of decreasing variance, which leaves all reconstructions unchanged, and the
    angles between its subspace and PCA's are measured.

    Parameters
    ----------
    n_components : ...
    loss : {"squared_error", "bernoulli"} or a loss, default="squared_error"
        Reconstruction loss. "bernoulli", on data scaled to [0, 1], is logistic PCA, which is not
        compared to PCA.
    corruption : str, spec, corruption or None, default="identity"
        Corruption x -> x~ in training, such as "masking:0.25"; None for none.
    penalties : ...
    augmentation : ...
    scale : {"auto", "none", "unit", "center", "standard", "proportions", "tfidf"}, default="auto"
        Applied before f and undone after g. "auto" is "center", as in PCA, for squared error, and
        "unit" for losses that need [0, 1]. Errors are then in squared input units, while other
        autoencoders of tables measure them in standard deviations: give "standard" to all to
        compare them.
    max_epochs : ...
    batch_size : ...
    learning_rate : ...
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Orthonormal axes, largest variance first, in scaled units; signs as in scikit-learn's PCA.
    explained_variance_ : ndarray of shape (n_components,)
        Variance of each component of the code.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        The same as a fraction of the total variance.
    pca_angles_ : ndarray of shape (n_components,) or None
        Principal angles to PCA's subspace in degrees, largest first; all are near 0 if the two
        subspaces are the same. None for sparse X.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

    References
    ----------
    Baldi, Hornik (1989), "Neural networks and principal component analysis: learning from
    examples without local minima", Neural Networks 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import LinearAutoencoder
    >>> ae = LinearAutoencoder(n_components=5, random_state=0).fit(load_digits().data)
    >>> bool(ae.pca_angles_.max() < 1)
    True
    """

    _widest = 32

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        loss: Any = "squared_error",
        corruption: Any = "identity",
        penalties: Any = (),
        augmentation: Any = None,
        scale: str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float = 1e-2,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        precision: str = "float32",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def _choice(self) -> Choice:
        parameters = {"n_components": self._width(), **self._slots()}
        return Choice(
            "linear",
            parameters,
            centers=True,
            augmentation=self.augmentation,
            after_training=_compared_to_pca,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.loss == "auto":
            raise UsageError(
                "loss: must be named for LinearAutoencoder, got 'auto'; use 'squared_error'."
            )

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one pass over X at a constant learning rate, and drop the comparison to PCA."""
        super().partial_fit(X, y)
        for name in _CERTIFICATE:
            if hasattr(self, name):
                delattr(self, name)
        return self

    def _artefact_extra(self) -> dict[str, Any]:
        extra = super()._artefact_extra()
        if hasattr(self, "components_"):
            angles = self.pca_angles_
            extra["certificate"] = {
                "explained_variance": self.explained_variance_.tolist(),
                "explained_variance_ratio": self.explained_variance_ratio_.tolist(),
                "angles": None if angles is None else angles.tolist(),
            }
        return extra

    def _restore(self, model: Model, spec: dict[str, Any]) -> None:
        super()._restore(model, spec)
        certificate = spec.get("certificate")
        if certificate is not None:
            angles = certificate["angles"]
            self.components_ = model.objective.decoder.weights[0].detach().numpy().copy()
            self.explained_variance_, self.explained_variance_ratio_ = (
                np.array(certificate[name], dtype=np.float32)
                for name in ("explained_variance", "explained_variance_ratio")
            )
            self.pca_angles_ = None if angles is None else np.array(angles)


def _compared_to_pca(model: Model, training: Source, statistics: Statistics) -> dict[str, Any]:
    """Rotate the code to principal axes, and return the attributes that compare it to PCA.

    Return {} if there are no n_components orthonormal axes, or the objective is not PCA's.
    """
    if model.n_components > training.n_features or not _is_pca(model.parameters):
        return {}
    certificate = certify(model, training, statistics)
    return {
        "components_": certificate.components,
        "explained_variance_": certificate.explained_variance,
        "explained_variance_ratio_": certificate.explained_variance_ratio,
        "pca_angles_": certificate.angles,
    }


def _is_pca(parameters: Mapping[str, Any]) -> bool:
    loss = parameters["loss"]
    if name_of(loss) != "squared_error" or loss["link"] != "identity":
        return False
    corrupts = name_of(parameters.get("corruption", "identity")) != "identity"
    return not corrupts and not parameters.get("penalties")
