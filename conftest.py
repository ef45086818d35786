"""Before anything of Narrows is imported: named axes are checked where arrays are annotated."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

import narrows._types

# the ranks that annotate arrays; the checker has no use for the rest
_CHECKED = (
    "narrows.augmentations",
    "narrows.baseline",
    "narrows.code_task",
    "narrows.corruptions",
    "narrows.decoders",
    "narrows.encoders",
    "narrows.losses",
    "narrows.objective",
    "narrows.penalties",
    "narrows.slots",
    "narrows.targets",
    "narrows.terms",
    "narrows.variants",
    "narrows.virtual_adversarial",
    "narrows.weighting",
)
_typed = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeError))
_axes = jaxtyping.jaxtyped("context")
_ARRAYS = {*narrows._types.__all__}


def _is_array(annotation: Any) -> bool:
    """Whether an annotation names arrays: of a dataclass these alone are checked, as jaxtyping
    does."""
    return bool(_ARRAYS & {*re.findall(r"\w+", str(annotation))})


def _jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    """Stand in for jaxtyping's own, which binds and checks every argument twice over a call.

    A step of a small net spent a quarter of its time there.
    """

    def decorate(checked: Any) -> Any:
        if inspect.isclass(checked):
            if "__dataclass_fields__" in vars(checked):
                told = checked.__init__.__annotations__
                checked.__init__.__annotations__ = {k: v for k, v in told.items() if _is_array(v)}
                checked.__init__ = decorate(checked.__init__)
            return checked
        typed = _typed(checked)
        if typed is checked:
            return checked

        @functools.wraps(checked)
        def with_axes(*args: Any, **kwargs: Any) -> Any:
            with _axes:
                return typed(*args, **kwargs)

        return with_axes

    return decorate


jaxtyping.jaxtyped = _jaxtyped
jaxtyping.install_import_hook(_CHECKED, "beartype.beartype")
