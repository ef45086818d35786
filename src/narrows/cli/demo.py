"""narrows demo: the lecture's first example, small and offline."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import PATH, json_option, print_json

__all__ = ["demo"]

EPOCHS = 100


@click.command(short_help="The digits in 8 numbers, offline, in under a minute.")
@click.option("-o", "--output", type=PATH, default=Path("narrows-demo"), show_default=True,
              help="Folder for the picture and the model.")  # fmt: skip
@json_option
def demo(output: Path, as_json: bool) -> None:
    """Learn scikit-learn's 8 x 8 digits in 8 numbers: a table, a picture and a saved model."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neighbors import KNeighborsClassifier

    from narrows.applications.figures import reconstruction_figure, save_figure
    from narrows.data.arrays import array_source
    from narrows.errors import ResourceError
    from narrows.estimators import Autoencoder

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{output}: cannot be made: {error.strerror}.") from error
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    click.echo(f"{len(train)} digits of 8 x 8 pixels: 64 numbers each, to be told in 8.", err=True)
    net = Autoencoder(
        n_components=8, hidden=(256, 64), scale="unit", max_epochs=EPOCHS, patience=None,
        learning_rate=4e-3, random_state=0, verbose=1,
    )  # fmt: skip
    net.fit(train)
    evaluation = net.evaluate(test)
    nearest = KNeighborsClassifier(5)
    on_codes = nearest.fit(net.transform(train), y_train).score(net.transform(test), y_test)
    on_pixels = nearest.fit(train, y_train).score(test, y_test)
    picture, model = output / "digits.png", output / "digits.safetensors"
    rows = array_source(test[:12]).evenly(12)
    save_figure(reconstruction_figure(net.model_, rows, image_shape=(8, 8)), picture)
    net.save(model)
    if as_json:
        print_json(
            {
                **evaluation.as_dict(),
                "nearest_neighbours_on_codes": on_codes,
                "nearest_neighbours_on_pixels": on_pixels,
                "picture": str(picture),
                "model": str(model),
            }
        )
        return
    click.echo(f"\n{len(test)} digits that it has not seen:\n")
    click.echo(evaluation.table())
    click.echo(
        f"\n5 nearest neighbours name {on_codes:.1%} of them right by the 8 numbers, "
        f"{on_pixels:.1%} by all 64 pixels.\n"
    )
    click.echo(f"picture: {picture}\nmodel:   {model}")
    click.echo(f"\nNext: narrows inspect {model}")
