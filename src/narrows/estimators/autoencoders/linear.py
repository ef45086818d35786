"""The linear autoencoder, with a certificate that its subspace is PCA's."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from narrows.applications.coding.certificate import Certificate, certify
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
    """An autoencoder without hidden layers: with squared error it finds PCA's subspace.

    Trained by the ordinary loop, not solved; after training the code is turned to orthonormal
    axes of decreasing variance, which leaves every reconstruction as it is, and the subspace is
    measured against PCA's.

    Parameters
    ----------
    n_components : int, default=10
        Width of the code, at most n_features.
    loss : {"squared_error", "bernoulli"} or a loss, default="squared_error"
        "bernoulli", on data taken to [0, 1], is logistic PCA; there is no certificate then.
    corruption : str, spec, corruption or None, default="identity"
        x -> x~ in training, such as "masking:0.25".
    penalties : ...
    augmentation : ...
    scale : {"auto", "none", "unit", "center", "standard", "proportions", "tfidf"}, default="auto"
        Done before f and undone after g. "auto" is "center", what PCA does, for squared error,
        and "unit" for the losses that need [0, 1]. Errors are then in squared input units, where
        those of other autoencoders of a table are in standard deviations: give "standard" to all
        to hold them against each other.
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
        Orthonormal axes, most variance first, in scaled units; signs as in scikit-learn's PCA.
    explained_variance_ : ndarray of shape (n_components,)
        Variance of each number of the code.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        The same as a share of the total variance.
    pca_angles_ : ndarray of shape (n_components,) or None
        Principal angles to PCA's subspace in degrees, largest first: all near 0 says that the
        two are the same. None for sparse X.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``.

    Raises
    ------
    ValueError
        At ``fit``, by the slot that owns the value.

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

    def __init__(
        self,
        n_components: int = 10,
        *,
        loss: Any = "squared_error",
        corruption: Any = "identity",
        penalties: Any = (),
        augmentation: Any = None,
        scale: str = "auto",
        max_epochs: int = 100,
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
        parameters = {"n_components": int(self.n_components), **self._slots()}
        return Choice("linear", parameters, centers=True)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.loss == "auto":
            raise UsageError("loss: must be named here, got 'auto'; use 'squared_error'.")

    def _finish(self, training: Source, statistics: Statistics) -> None:
        if self.n_components > training.n_features or not self._is_pca:
            return  # no n_components orthonormal axes there, or another claim
        self._set(certify(self.model_, training, statistics))

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Pass once over X at the constant learning rate; a certificate of before is dropped."""
        super().partial_fit(X, y)
        for name in _CERTIFICATE:
            if hasattr(self, name):
                delattr(self, name)
        return self

    @property
    def _is_pca(self) -> bool:
        loss = self.model_.parameters["loss"]
        if name_of(loss) != "squared_error" or loss["link"] != "identity":
            return False
        given = self.model_.parameters
        corrupts = name_of(given.get("corruption", "identity")) != "identity"
        return not corrupts and not given.get("penalties")

    def _set(self, certificate: Certificate) -> None:
        self.components_ = certificate.components
        self.explained_variance_ = certificate.explained_variance
        self.explained_variance_ratio_ = certificate.explained_variance_ratio
        self.pca_angles_ = certificate.angles

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

    def _restore(
        self, model: Model, spec: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        super()._restore(model, spec, tensors)
        held = spec.get("certificate")
        if held is not None:
            self._set(
                Certificate(
                    model.objective.decoder.weights[0].detach().numpy().copy(),
                    np.array(held["explained_variance"], dtype=np.float32),
                    np.array(held["explained_variance_ratio"], dtype=np.float32),
                    None if held["angles"] is None else np.array(held["angles"]),
                )
            )
