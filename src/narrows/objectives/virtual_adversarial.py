"""Virtual adversarial training: nearby rows get the same predictions.

    J(x, y) + E KL( p(. | x) || p(. | x + r) ),   r = argmax of the divergence, |r| <= radius

This is a contractive penalty on predictions instead of codes, in the worst direction only. It needs
no labels, so rows of unknown class shape the boundaries between classes too.

Miyato, Maeda, Koyama, Ishii (2018), "Virtual adversarial training: a regularization method for
supervised and semi-supervised learning", IEEE TPAMI 41.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from narrows._types import PerSample
from narrows.core.sparse import Rows
from narrows.core.terms import Terms, Trainable
from narrows.core.weights import fill_missing
from narrows.objectives.code_task import CodeTask

__all__ = ["SmoothTask", "worst_step"]

_PROBE = 0.1
"""Length of the random step at which the divergence is differentiated, in scaled units."""


class SmoothTask(Trainable):
    """A classification task plus the divergence between rows and their worst neighbors.

    Parameters
    ----------
    task : CodeTask
        A classification task. Its dropout and corruption do not apply to the divergence.
    radius : float
        Euclidean distance of the worst neighbor, in scaled units. Cost: two more passes of the
        encoder and their gradients.
    """

    def __init__(self, task: CodeTask, *, radius: float) -> None:
        super().__init__()
        self.task, self.radius = task, radius

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        terms = self.task(x, y, generator=generator, weights=weights)
        rows, _ = fill_missing(x, self.task.objective.corruption)
        assert isinstance(rows, Tensor)
        with torch.no_grad():
            here = self._log_probabilities(rows)
        step = worst_step(
            self._log_probabilities, rows, here, radius=self.radius, generator=generator
        )
        there = self._log_probabilities(rows + step)
        divergence = _divergence(here, there).mean()
        return Terms(terms.total + divergence, terms.loss, terms.penalty + divergence)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        return self.task.error(x, y)

    def _log_probabilities(self, x: Tensor) -> Tensor:
        return self.task.head_task.head(self.task.features(x)).log_softmax(dim=1)


def worst_step(
    log_probabilities: Callable[[Tensor], Tensor],
    x: Tensor,
    here: Tensor,
    *,
    radius: float,
    generator: Generator,
) -> Tensor:
    """Return the steps of length ``radius`` that change predictions most, (batch, features).

    They come from one step of power iteration on the second derivative of the divergence, from a
    random direction; ``here`` (batch, classes) are the log probabilities at x. Where no direction
    changes them, the step is 0.
    """
    direction = torch.empty_like(x).normal_(generator=generator)
    with torch.enable_grad():
        probe = (_PROBE * _unit(direction)).requires_grad_()
        divergence = _divergence(here, log_probabilities(x + probe)).sum()
        (slope,) = torch.autograd.grad(divergence, probe, allow_unused=True)
    # a quantized code has no gradient with respect to x
    return torch.zeros_like(x) if slope is None else radius * _unit(slope)


def _divergence(here: Tensor, there: Tensor) -> PerSample:
    """Return KL(p || q) of rows of log p and log q, (batch,), in nats."""
    return (here.exp() * (here - there)).sum(dim=1)


def _unit(steps: Tensor) -> Tensor:
    """Scale steps to length 1, without overflow of their squares; steps of 0 stay 0."""
    largest = steps.abs().amax(dim=1, keepdim=True)
    steps = steps / torch.where(largest > 0, largest, 1.0)
    lengths = steps.norm(dim=1, keepdim=True)
    return steps / torch.where(lengths > 0, lengths, 1.0)
