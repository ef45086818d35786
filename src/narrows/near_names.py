"""Find the name that a wrong one may stand for: a synonym, or the nearest spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache

__all__ = ["did_you_mean", "near_name"]

_CALLED_HERE = {
    # variants
    "ae": "plain", "autoencoder": "plain", "vanilla": "plain", "basic": "plain",
    "vae": "variational", "beta_vae": "variational", "bvae": "variational",
    "dae": "denoising", "sae": "sparse", "ksparse": "top_k", "k_sparse": "top_k",
    "cae": "convolutional conv", "cnn": "convolutional conv", "conv": "convolutional",
    "pca": "linear", "sdae": "stacked", "deep": "stacked", "dbn": "stacked",
    "vqvae": "vector_quantised", "vq_vae": "vector_quantised", "vq": "vector_quantised",
    "vector_quantized": "vector_quantised", "text": "document", "lsa": "document",
    "hash": "hashing", "hasher": "hashing", "semantic_hashing": "hashing", "mlp": "dense",
    "fc": "dense", "convnet": "conv",
    # activations
    "swish": "silu", "identity": "linear", "none": "linear", "logistic": "sigmoid",
    "rectifier": "relu", "leaky_relu": "relu", "elu": "silu", "mish": "silu", "softplus": "relu",
    # losses
    "mse": "squared_error", "l2_loss": "squared_error", "mean_squared_error": "squared_error",
    "sse": "squared_error", "gaussian_nll": "squared_error", "bce": "bernoulli",
    "binary_cross_entropy": "bernoulli", "binary_crossentropy": "bernoulli",
    "log_loss": "bernoulli", "cross_entropy": "multinomial", "softmax": "multinomial",
    "categorical_crossentropy": "multinomial", "poisson": "multinomial",
    # corruptions
    "dropout": "masking", "mask": "masking", "zero": "masking", "noise": "gaussian corruption",
    "normal": "gaussian", "gauss": "gaussian", "saltpepper": "salt_and_pepper",
    "salt_pepper": "salt_and_pepper", "nan": "missing", "cutout": "patches",
    # penalties
    "lasso": "l1", "ridge": "l2", "weightdecay": "weight_decay", "kl": "kl_sparsity",
    "kl_divergence": "kl_to_prior", "jacobian": "contractive",
    # scales
    "standardize": "standard", "standardise": "standard", "zscore": "standard",
    "z_score": "standard", "minmax": "unit", "min_max": "unit", "0_1": "unit",
    "normalize": "unit", "centre": "center", "tf_idf": "tfidf",
    # tasks, trainings, parts, presets
    "classifier": "classify", "classification": "classify", "regression": "regress",
    "regressor": "regress", "matching": "match", "segmentation": "segment",
    "finetune": "fine_tuned", "fine_tune": "fine_tuned", "fine_tuning": "fine_tuned",
    "freeze": "frozen", "full": "best", "quick": "fast", "small": "fast",
    # data sets and precisions
    "fashion": "fashion_mnist", "digits": "mnist", "fmnist": "fashion_mnist",
    "fp32": "float32", "float": "float32", "bf16": "bfloat16", "half": "bfloat16",
    # parameters and options
    "lr": "learning_rate", "eta": "learning_rate", "step_size": "learning_rate",
    "n_epochs": "max_epochs", "num_epochs": "max_epochs", "epochs": "max_epochs",
    "iterations": "max_epochs", "max_iter": "max_epochs", "n_iter": "max_epochs",
    "latent_dim": "n_components", "latent": "n_components", "dim": "n_components",
    "code_size": "n_components", "bottleneck": "n_components", "encoding_dim": "n_components",
    "hidden_layers": "hidden", "hidden_layer_sizes": "hidden", "layers": "hidden",
    "hidden_sizes": "hidden", "units": "hidden", "bs": "batch_size", "batch": "batch_size",
    "wd": "weight_decay", "l2": "weight_decay", "alpha_l2": "weight_decay",
    "val_split": "validation_fraction", "validation_split": "validation_fraction",
    "val_fraction": "validation_fraction", "test_size": "validation_fraction",
    "early_stopping": "patience", "n_iter_no_change": "patience",
    "random_seed": "random_state", "seed": "random_state", "rng": "random_state",
    "gpu": "device", "cuda": "device", "model": "variant", "type": "variant", "kind": "variant",
    "architecture": "variant", "out": "output", "save": "output", "outfile": "output",
    "noise_level": "corruption", "regularization": "penalties", "regularizer": "penalties",
    "normalization": "scale", "scaling": "scale", "act": "activation", "nonlinearity": "activation",
    "top_n": "top", "limit": "top", "threshold": "alpha", "outlier_fraction": "contamination",
    "fraction": "contamination", "plot": "figure", "fig": "figure", "picture": "figure",
    "image": "figure", "size": "image_shape", "shape": "image_shape", "silent": "quiet",
    "continue": "resume", "overwrite": "restart", "force": "restart", "y": "labels",
    "target": "labels", "targets": "labels", "topk": "k", "neighbors": "k", "count": "n",
}  # fmt: skip
"""What papers and other tools call things, and the name here; ignored where the name here is not
among the known ones."""


def near_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that is probably meant, or None.

    Capitals, hyphens and underscores make no difference.
    """
    by_plain: dict[str, str] = {}
    for one in known:
        by_plain.setdefault(_plain(one), one)
    wanted = _plain(str(name))
    if wanted in by_plain:
        return by_plain[wanted]
    for ours in _called_here().get(wanted, ()):
        if ours in by_plain:
            return by_plain[ours]
    near = difflib.get_close_matches(wanted, by_plain, n=1)
    return by_plain[near[0]] if near else None


def did_you_mean(name: object, known: Iterable[str], prefix: str = "") -> str:
    """Return " Did you mean 'NAME'?", or nothing if no known name is near."""
    near = near_name(name, known)
    return "" if near is None else f" Did you mean '{prefix}{near}'?"


@cache
def _called_here() -> dict[str, tuple[str, ...]]:
    """Return the synonyms by plain name, each with its plain names here, the likeliest first."""
    return {
        _plain(theirs): tuple(map(_plain, ours.split())) for theirs, ours in _CALLED_HERE.items()
    }


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")
