"""narrows segment: what every pixel is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._common import (
    PATH,
    data_argument,
    json_option,
    model_argument,
    open_data,
    print_json,
)

__all__ = ["read_masks_file", "segment"]


@click.command(short_help="Masks of images, from a model with a segmenter.")
@model_argument
@data_argument
@click.option("-o", "--output", type=PATH, help="Where to write the masks: .npy (n, height, width) "
              "of integers, or .csv, a line an image.")  # fmt: skip
@click.option("--masks", type=PATH, help="The true masks: .npy, .npz or a folder of images in the "
              "same order; prints Dice and IoU.")  # fmt: skip
@click.option("--figure", type=PATH, help="Where to draw images under their masks.")
@click.option("-n", "--rows", type=click.IntRange(1, 40), default=8, show_default=True,
              help="Images in the figure, evenly spaced through the data.")  # fmt: skip
@json_option
def segment(
    model: Path,
    data: str,
    output: Path | None,
    masks: Path | None,
    figure: Path | None,
    rows: int,
    as_json: bool,
) -> None:
    """Say the class of every pixel of DATA; MODEL is of `narrows head --task segment`."""
    import numpy as np

    from narrows.applications.figures import check_figure_name, save_figure
    from narrows.applications.output import check_writable, write_array, write_rows
    from narrows.applications.segmentation import measure_masks
    from narrows.applications.segmentation_figure import segmentation_figure
    from narrows.cli._heads import open_head
    from narrows.data.source import evenly_spaced

    if output is None and masks is None and figure is None:
        raise click.UsageError("give -o, --masks, --figure, or several.")
    for path in (output, figure):
        if path is not None:
            check_writable(path, *filter(None, (model, data, masks)))
    if figure is not None:
        check_figure_name(figure)
    fitted = open_head(model, "segment")
    source = fitted.autoencoder_._asked(open_data(data))[1]
    said = fitted.predict(source)
    image_shape = fitted.autoencoder_.model_.objective.encoder.image_shape
    sides = image_shape[0], image_shape[1]
    truth = None if masks is None else read_masks_file(masks, len(said), sides)
    results: dict[str, Any] = {"rows": len(said)}
    lines = []
    if truth is not None:
        overlap = measure_masks(said, truth, fitted.classes_, unknown=fitted.missing_label)
        results |= overlap.as_dict()
        lines.append(overlap.table())
    if output is not None:
        if output.suffix == ".npy":
            bytes_hold = 0 <= said.min() and said.max() <= 255
            masks_said = said.reshape(len(said), *sides)
            write_array(output, masks_said.astype(np.uint8) if bytes_hold else masks_said)
        else:
            write_rows(output, [said], n_rows=len(said), names=None)
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
            truth=None if truth is None else truth[at],
        )
        save_figure(drawn, figure)
        results["figure"] = str(figure)
        lines.append(f"figure: {figure}")
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(lines))


def read_masks_file(path: Path, n_rows: int, sides: tuple[int, int]) -> Any:
    """Return the masks (n_rows, n_pixels), int64, of a file or a folder of images.

    Raises
    ------
    InvalidData
        If they are of another shape, hold other values than integers, or are colours.
    """
    import numpy as np

    from narrows.data import read
    from narrows.data.readers import read_npz
    from narrows.errors import InvalidData
    from narrows.estimators._targets import mask_values

    height, width = sides
    n_pixels = height * width
    source = read(path) if path.suffix.lower() != ".npz" else _of_archive(path, read_npz)
    masks = np.concatenate([np.asarray(block) for block in source.in_order(1024)])
    channels = (*(source.image_shape or ()), 1, 1, 1)[2]
    if channels > 1 and masks.shape[1] == n_pixels * channels:
        masks = _of_equal_channels(masks.reshape(len(masks), n_pixels, channels), path)
    shape = source.image_shape or sides  # flat rows say no shape
    if masks.shape != (n_rows, n_pixels) or _longer(shape)[:2] != _longer(sides):
        shown = " x ".join(map(str, source.image_shape or (masks.shape[1],)))
        raise InvalidData(
            f"{path}: {len(masks)} masks of {shown} pixels, expected {n_rows} of "
            f"{height} x {width}."
        )
    try:
        return mask_values(masks, n_rows, sides)
    except InvalidData as error:
        raise InvalidData(f"{path}: {str(error).removeprefix('y: ')}") from None


def _longer(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side > 1)


def _of_equal_channels(masks: Any, path: Path) -> Any:
    """Return the one mask that all channels of (n_rows, n_pixels, channels) hold."""
    from narrows.errors import InvalidData

    differ = (masks != masks[:, :, :1]).any(axis=(1, 2))
    if differ.any():
        raise InvalidData(
            f"{path}: mask {int(differ.argmax())} is of colours: its channels differ. A mask is "
            "one integer a pixel; write the classes in grey, or as .npy."
        )
    return masks[:, :, 0]


def _of_archive(path: Path, read_npz: Any) -> Any:
    """Read an archive's array `masks`, or else what it would be read as otherwise."""
    from narrows.errors import InvalidData

    try:
        return read_npz(path, key="masks")
    except InvalidData as error:
        if "no array 'masks'" not in str(error):
            raise
        return read_npz(path)
