"""Take optimization steps, and keep the state between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.core.slots import Decoder, Labeled
from narrows.core.sparse import Rows
from narrows.core.terms import Trainable
from narrows.training.measured_precision import faster_precision
from narrows.training.precision import product_context, resolve_precision

__all__ = ["Augmentation", "Trainer"]

Augmentation = Any
"""A callable (x, image_shape, generator=...) -> x that makes new clean images."""


class Trainer:
    """An objective with its optimizer and random states.

    The terms are summed on the device (``sums``: objective, loss, penalty, samples, in float64), so
    that a step never waits for it. ``weight_decay`` is decoupled (Loshchilov, Hutter 2019): a step
    shrinks every matrix by the fraction rate x decay, whatever the loss. With ``momentum``, for
    Boltzmann machines, steps are gradient descent with momentum, and the decay is part of the
    gradient.

    ``objective`` returns ``Terms`` of (x, y); ``scaling.forward`` turns rows into x.
    """

    def __init__(
        self,
        objective: Trainable,
        scaling: Any,
        *,
        learning_rate: float,
        precision: str,
        device: torch.device,
        seed: int,
        weight_decay: float = 0.0,
        momentum: float | None = None,
        augmentation: Augmentation = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.objective = objective.to(device)
        self.scaling = scaling
        self.learning_rate = learning_rate
        self.precision = resolve_precision(precision, device, objective)
        self.device = device
        self.augmentation = augmentation
        self.image_shape = image_shape
        self.sampler = Generator().manual_seed(seed)
        self.noise = Generator(device).manual_seed(seed + 1)
        matrices = [p for p in objective.parameters() if p.ndim > 1]
        others = [p for p in objective.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others}]
        if momentum is None:
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                groups, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
            )
        else:
            self.optimizer = torch.optim.SGD(
                groups, lr=learning_rate, momentum=momentum, fused=True
            )
        self._decoders = [m for m in objective.modules() if isinstance(m, Decoder)]
        self.sums = torch.zeros(4, dtype=torch.float64, device=device)

    def _scaled(self, raw: Rows | Labeled) -> tuple[Rows, Tensor | None, Tensor | None]:
        """Return a batch's x, y and weights on the device."""
        batch = raw.to(self.device)
        if not isinstance(batch, Labeled):
            return self.scaling.forward(batch), None, None
        return self.scaling.forward(batch.rows), batch.y, batch.weights

    def step(self, raw: Rows | Labeled, *, factor: float, augment: bool = True) -> None:
        """Take an optimization step, at ``factor`` times the learning rate.

        If the precision is "auto", the first step measures it.
        """
        if self.precision == "auto":
            x, y, _ = self._scaled(raw)
            self.precision = faster_precision(self.objective, x, y, device=self.device)
        x, y, weights = self._scaled(raw)  # again, in the precision just chosen
        weighted = {} if weights is None else {"weights": weights}
        if augment and self.augmentation is not None:
            x = self.augmentation(x, self.image_shape, generator=self.noise)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * factor
        with product_context(self.precision, self.device):
            terms = self.objective(x, y, generator=self.noise, **weighted)
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        for decoder in self._decoders:
            decoder.before_step()
        self.optimizer.step()
        for decoder in self._decoders:
            decoder.after_step()
        parts = torch.stack([terms.total, terms.loss, terms.penalty, torch.ones_like(terms.loss)])
        self.sums.add_(parts.detach(), alpha=len(raw))

    @property
    def finite(self) -> bool:
        """Whether every loss, weight and moment so far is finite; waits for the device."""
        moments = (value for state in self.optimizer.state.values() for value in state.values())
        totals = [value.detach().sum() for value in (*self.objective.parameters(), *moments)]
        return bool(torch.isfinite(torch.stack([*self.sums, *totals])).all())

    def pop_means(self) -> tuple[float, float, float]:
        """Return the means of objective, loss and penalty since the last call, and reset them."""
        total, loss, penalty, n = self.sums.tolist()
        self.sums.zero_()
        return total / n, loss / n, penalty / n

    def continue_from(self, other: Trainer, *, random: bool) -> None:
        """Copy another trainer's optimizer state and, if ``random``, its random states."""
        for parameter in self.objective.parameters():
            self.optimizer.state[parameter] = {
                key: value.to(parameter.device, copy=True)
                for key, value in other.optimizer.state.get(parameter, {}).items()
            }
        if random:
            self.sampler.set_state(other.sampler.get_state())
        if random and self.noise.device == other.noise.device:
            self.noise.set_state(other.noise.get_state())

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that a resumed training needs to continue as if it had not stopped."""
        tensors = {f"net.{k}": v for k, v in self.objective.state_dict().items()}
        for i, parameter in enumerate(self.objective.parameters()):
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{i}.{key}"] = value
        tensors["random.noise"] = self.noise.get_state()
        tensors["sums"] = self.sums
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the tensors of ``state``."""
        net = {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
        self.objective.load_state_dict(net)
        for i, parameter in enumerate(self.objective.parameters()):
            prefix = f"optimizer.{i}."
            self.optimizer.state[parameter] = {
                key.removeprefix(prefix): value.to(parameter.device, copy=True)
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
        self.noise.set_state(tensors["random.noise"].clone())
        self.sums.copy_(tensors["sums"])
