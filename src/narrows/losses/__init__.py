"""Losses: L(x, output), the fourth slot of the formula."""

from narrows.losses.bernoulli import Bernoulli
from narrows.losses.continuous_bernoulli import ContinuousBernoulli
from narrows.losses.multinomial import Multinomial
from narrows.losses.squared_error import SquaredError

__all__ = ["LOSSES", "Bernoulli", "ContinuousBernoulli", "Multinomial", "SquaredError"]

LOSSES = {"bernoulli": Bernoulli, "multinomial": Multinomial, "squared_error": SquaredError}
