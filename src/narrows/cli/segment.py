"""narrows segment: what every pixel is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import (
    PATH,
    check_outputs,
    data_argument,
    json_option,
    model_argument,
    one_line,
    print_json,
    rows_option,
)
from narrows.cli._data import data_path, open_data
from narrows.cli._row_names import in_figure, row_names

if TYPE_CHECKING:
    import numpy as np

    from narrows.writers.images import ImageFolder

__all__ = ["segment"]


@click.command(short_help="Masks of images, from a model with a segmenter.")
@model_argument
@data_argument
@rows_option("the masks", files=".npy (n, height, width) of integers or .csv, a line an image")
@click.option("--masks", type=PATH, help="The true masks: .npy, .npz or a folder of images in the "
              "same order; prints Dice and IoU.")  # fmt: skip
@click.option("--figure", type=PATH, help="Where to draw images under their masks.")
@click.option("--class-names", metavar="NAME,NAME,...", help="Names of the classes, in "
              "ascending order of their numbers; for the table and the figure.")  # fmt: skip
@click.option("-n", "--rows", type=click.IntRange(1, 40), default=8, show_default=True,
              help="Images in the figure, evenly spaced through the data.")  # fmt: skip
@json_option
def segment(
    model: Path,
    data: str,
    output: Path | ImageFolder | None,
    masks: Path | None,
    figure: Path | None,
    class_names: str | None,
    rows: int,
    as_json: bool,
) -> None:
    """Say the class of every pixel of DATA; MODEL is of `narrows head --task segment`.

    -o FOLDER/ writes a gray PNG an image, under the name of its own, in which a pixel's value is
    its class.
    """
    import numpy as np

    from narrows.applications.heads.segmentation import measure_masks
    from narrows.cli._heads import open_head
    from narrows.data.masks import read_mask_file
    from narrows.data.source import evenly_spaced
    from narrows.figures.saving import save_figure
    from narrows.figures.segmentation import segmentation_figure

    if output is None and masks is None and figure is None:
        raise click.UsageError("give -o, --masks, --figure, or several.")
    check_outputs(output, figure, model, data, masks)
    fitted = open_head(model, "segment")
    called_classes = _class_names(class_names, fitted.classes_.tolist())
    opened = open_data(data, fitted.autoencoder_)
    source = fitted.autoencoder_._validated_query(opened)[1]
    called = row_names(opened, output, figure)
    said = fitted.predict(source)
    image_shape = fitted.autoencoder_.model_.objective.encoder.image_shape
    sides = image_shape[0], image_shape[1]
    truth = (
        None if masks is None else read_mask_file(masks, len(said), sides, images=data_path(data))
    )
    results: dict[str, Any] = {"rows": len(said)}
    lines = []
    if truth is not None:
        overlap = measure_masks(said, truth, fitted.classes_, unknown=fitted.missing_label)
        results |= overlap.as_dict()
        if called_classes is not None:
            results["class_names"] = called_classes
        lines.append(overlap.table(called_classes))
    if output is not None:
        _write(output, said.reshape(len(said), *sides), data, called)
        results["output"] = str(output)
        lines.append(f"output: {output}")
    if figure is not None:
        at = evenly_spaced(len(said), rows).numpy()
        images = np.asarray(source.evenly(rows))
        drawn = segmentation_figure(
            images,
            said[at],
            image_shape=image_shape,
            classes=fitted.classes_.tolist(),
            names=in_figure(called, at.tolist()),
            truth=None if truth is None else truth[at],
            unknown=fitted.missing_label,
            class_names=called_classes,
        )
        save_figure(drawn, figure)
        results["figure"] = str(figure)
        lines.append(f"figure: {figure}")
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(lines))


def _class_names(given: str | None, classes: list[int]) -> list[str] | None:
    """Return the names of the classes, one each; None where none are given."""
    if given is None:
        return None
    names = [one_line(name, 60) for name in given.split(",")]
    if len(names) != len(classes):
        raise click.UsageError(
            f"--class-names: got {len(names)} names for {len(classes)} classes, "
            f"{', '.join(map(str, classes))}."
        )
    return names


def _write(
    output: Path | ImageFolder,
    masks: np.ndarray,
    data: str,
    called: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Write masks (n, height, width), named as rows are ``called``."""
    import numpy as np

    from narrows.errors import UsageError
    from narrows.writers.images import ImageFolder, write_images
    from narrows.writers.tables import is_table, write_array, write_rows

    bytes_hold = 0 <= masks.min() and masks.max() <= 255
    if isinstance(output, ImageFolder):
        if not bytes_hold:
            raise UsageError(
                f"{output}: a gray PNG holds classes from 0 to 255, got {masks.min()} to "
                f"{masks.max()}; name a file, .npy or .csv."
            )
        write_images(output, masks.astype(np.uint8), n_rows=len(masks), data=data, row_names=called)
    elif not is_table(output):
        write_array(output, masks.astype(np.uint8) if bytes_hold else masks)
    else:
        write_rows(output, [masks.reshape(len(masks), -1)], n_rows=len(masks), row_names=called)
