"""What a command is to write, checked together before any work is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narrows.applications.image_output import ImageFolder

__all__ = ["check_outputs"]


def check_outputs(
    output: Path | ImageFolder | None, figure: Path | None, *inputs: str | Path | None
) -> None:
    """Refuse rows and a picture that cannot be written, are an input, or are one file.

    Raises
    ------
    ResourceError
        As ``check_target``.
    UsageError
        As ``check_target`` and ``check_figure_name``; if the picture would be among the images of
        the output, of which it could replace one or be read as one.
    """
    from narrows.applications.figures import check_figure_name
    from narrows.applications.image_output import ImageFolder, check_target
    from narrows.applications.output import check_writable
    from narrows.data.readers.folders import IMAGE_SUFFIXES
    from narrows.errors import UsageError

    given = [name for name in inputs if name is not None]
    if output is not None:
        check_target(output, *given)
    if figure is None:
        return
    check_writable(figure, *given)
    check_figure_name(figure)
    if output is None:
        return
    picture = Path(os.path.realpath(figure))
    if not isinstance(output, ImageFolder):
        if picture == Path(os.path.realpath(output)):
            raise UsageError(f"--figure {figure}: is the file of -o {output}; name another.")
    elif Path(os.path.realpath(output.path)) in picture.parents and any(
        path.suffix.lower() in IMAGE_SUFFIXES for path in (figure, picture)
    ):
        raise UsageError(
            f"--figure {figure}: lies in {output}, where it could replace an image or be taken "
            "for one; name it elsewhere."
        )
