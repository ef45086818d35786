"""narrows segment: predict the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import data_path, names_in_figure, open_data, row_names
from narrows.cli._options import (
    PATH,
    FigureOptions,
    collected,
    data_argument,
    json_option,
    model_argument,
    row_output_option,
)
from narrows.cli._outputs import check_outputs, file_lines, one_line, print_results

if TYPE_CHECKING:
    import numpy as np

    from narrows.writers.images import ImageFolder

__all__ = ["segment", "write_masks"]


@click.command(short_help="Predict masks of images with a segmenter.")
@model_argument
@data_argument
@row_output_option(
    "the masks", files=".npy of integers (n, height, width), .csv or .tsv with one line per image"
)
@click.option("--masks", type=PATH, help="The true masks: .npy, .npz or a folder of images in the "
              "same order; prints Dice and IoU.")  # fmt: skip
@click.option("--figure", type=PATH, help="Where to draw images with their masks over them.")
@click.option("--class-names", metavar="NAME,NAME,...", help="Names of the classes in the "
              "table and the figure, in ascending order of their numbers.")  # fmt: skip
@click.option("-n", "--rows", type=click.IntRange(1, 40), default=8, show_default=True,
              help="Images in the figure, evenly spaced through the data.")  # fmt: skip
@collected("figure_options", FigureOptions)
@json_option
def segment(
    model: Path,
    data: str,
    output: Path | ImageFolder | None,
    figure_options: FigureOptions,
    masks: Path | None,
    class_names: str | None,
    as_json: bool,
) -> None:
    """Predict the class of every pixel of DATA; MODEL comes from `narrows head --task segment`.

    -o FOLDER/ writes a gray PNG for each image, named like it, whose pixel values are the classes.
    """
    import numpy as np

    from narrows.applications.heads.segmentation import measure_masks
    from narrows.cli._models import open_head
    from narrows.data.readers.masks import read_mask_file
    from narrows.data.source import evenly_spaced, evenly_spaced_rows
    from narrows.estimators.inputs import query_rows
    from narrows.figures.saving import save_figure
    from narrows.figures.segmentation import segmentation_figure

    figure, rows = figure_options.figure, figure_options.rows
    if output is None and masks is None and figure is None:
        raise click.UsageError("give at least one of -o, --masks and --figure.")
    check_outputs(output, figure, model, data, masks)
    fitted = open_head(model, "segment")
    class_labels = _class_names(class_names, fitted.classes_.tolist())
    opened = open_data(data, fitted.autoencoder_)
    source = query_rows(fitted.autoencoder_, opened)[1]
    named = row_names(opened, output, figure)
    predictions = fitted.predict(source)
    image_shape = fitted.autoencoder_.model_.objective.encoder.image_shape
    sides = image_shape[0], image_shape[1]
    truth = (
        None
        if masks is None
        else read_mask_file(masks, len(predictions), sides, images=data_path(data))
    )
    results: dict[str, Any] = {"rows": len(predictions)}
    lines = []
    if truth is not None:
        overlap = measure_masks(predictions, truth, fitted.classes_, unknown=fitted.missing_label)
        results |= overlap.as_dict()
        if class_labels is not None:
            results["class_names"] = class_labels
        lines.append(overlap.table(class_labels))
    if output is not None:
        write_masks(output, predictions.reshape(len(predictions), *sides), data, named)
        results |= {"output": str(output), "shape": [len(predictions), *sides]}
    if figure is not None:
        at = evenly_spaced(len(predictions), rows).numpy()
        images = np.asarray(evenly_spaced_rows(source, rows))
        drawn = segmentation_figure(
            images,
            predictions[at],
            image_shape=image_shape,
            classes=fitted.classes_.tolist(),
            names=names_in_figure(named, at.tolist()),
            truth=None if truth is None else truth[at],
            unknown=fitted.missing_label,
            class_names=class_labels,
        )
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    print_results(results, lines + file_lines(results), as_json=as_json)


def _class_names(given: str | None, classes: list[int]) -> list[str] | None:
    """Return the given names, one for each class; None if none are given."""
    if given is None:
        return None
    names = [one_line(name, 60) for name in given.split(",")]
    if len(names) != len(classes):
        raise click.UsageError(
            f"--class-names: got {len(names)} names for {len(classes)} classes, "
            f"{', '.join(map(str, classes))}."
        )
    return names


def write_masks(
    output: Path | ImageFolder,
    masks: np.ndarray,
    data: str,
    named: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Write masks (n, height, width), with the names of their rows if the format holds names."""
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
        write_images(output, masks.astype(np.uint8), n_rows=len(masks), data=data, row_names=named)
    elif not is_table(output):
        write_array(output, masks.astype(np.uint8) if bytes_hold else masks)
    else:
        write_rows(output, [masks.reshape(len(masks), -1)], n_rows=len(masks), row_names=named)
