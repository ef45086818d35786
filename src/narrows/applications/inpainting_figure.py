"""The picture of inpainting: originals, what was hidden, and what each way fills in."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

from narrows.applications.drawing import draw_images, draw_profiles
from narrows.applications.figures import image_shape_of
from narrows.applications.inpainting import inpainted
from narrows.applications.inpainting_comparison import Rivals, rival_fills
from narrows.data.scaling import Scaling
from narrows.data.source import DenseSource
from narrows.model import Model

__all__ = ["inpainting_figure"]

_DRAWN_RIVALS = ("PCA", "nearest")
_DRAWS = 16


def inpainting_figure(
    model: Model,
    rows: Tensor,
    hidden: np.ndarray,
    *,
    method: str = "auto",
    rivals: Rivals | None = None,
    image_shape: tuple[int, ...] | None = None,
    seed: int = 0,
) -> Figure:
    """Draw rows (n, n_features): original, hidden, filled in by the model and by its rivals, and
    the standard deviation of 16 fills, white where it is largest.

    Errors are those of a hidden value, in squared scaled units; hidden pixels are grey.
    """
    where = torch.from_numpy(np.array(hidden)).expand(len(rows), -1)
    generator = Generator().manual_seed(seed)
    blocks = list(
        inpainted(
            model, DenseSource(rows), hidden, method=method, n_draws=_DRAWS, generator=generator
        )
    )
    scaling = Scaling(
        model.scaling.kind, **{k: v.cpu() for k, v in model.scaling.tensors().items()}
    )
    truth = scaling.forward(rows)
    assert isinstance(truth, Tensor)
    ours = scaling.forward(torch.from_numpy(np.concatenate([fill for fill, _ in blocks])))
    assert isinstance(ours, Tensor)
    spread = torch.from_numpy(np.concatenate([std for _, std in blocks if std is not None]))
    low, high = float(truth.nan_to_num().amin()), float(truth.nan_to_num().amax())
    strips = [
        ("original", truth),
        ("hidden in grey", torch.where(where, (low + high) / 2, truth)),
        (_said("autoencoder", ours, truth, where), ours),
    ]
    if rivals is not None:
        for name, fill in rival_fills(rivals, scaling, rows, where):
            if name.startswith(_DRAWN_RIVALS) and "conditional" not in name:
                strips.append((_said(name, fill, truth, where), fill))
    widest = max(float(spread.amax()), 1e-12)
    strips.append(("deviation of the fill", low + (high - low) * spread / widest))
    labels, arrays = zip(*((name, strip.numpy()) for name, strip in strips), strict=True)
    shape = image_shape_of(model, image_shape)
    if shape is None:
        lines = labels[:1] + labels[2:-1], arrays[:1] + arrays[2:-1]
        return draw_profiles(
            *lines, names=model.schema.names, marked=(where | rows.isnan()).numpy()
        )
    return draw_images(labels, arrays, shape)


def _said(name: str, fill: Tensor, truth: Tensor, hidden: Tensor) -> str:
    asked = hidden & ~truth.isnan()
    if not bool(asked.any()):
        return name
    error = float((fill - truth)[asked].square().mean())
    return f"{name}\nsquared error of these {error:.3g}"
