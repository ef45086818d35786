"""CodeSegmenter: masks from an encoder's feature maps, with scikit-learn's interface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from narrows import Autoencoder, CodeSegmenter, ConvolutionalAutoencoder, load
from narrows.applications.heads.segmentation import measure_masks
from narrows.artefact import read_artefact, write_artefact
from narrows.errors import HeldOutClassWarning, InvalidData, ModelFileError, UsageError

SIDE = 12
TRAININGS = ("frozen", "fine_tuned", "joint")
QUICK = {"width": 8, "max_epochs": 25, "batch_size": 16, "random_state": 0}


def discs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 12, 12, 3) of a bright disc on noise, and their masks."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:SIDE, :SIDE]
    at = rng.uniform(3, SIDE - 3, (2, n, 1, 1))
    masks = (down - at[0]) ** 2 + (across - at[1]) ** 2 < rng.uniform(2, 3.5, (n, 1, 1)) ** 2
    images = 60 * rng.random((n, SIDE, SIDE, 3)) + 150 * masks[..., None]
    return images.astype(np.uint8), masks.astype(np.uint8)


@pytest.fixture(scope="module")
def autoencoder() -> ConvolutionalAutoencoder:
    ae = ConvolutionalAutoencoder(8, channels=(8, 12), max_epochs=3, random_state=0)
    return ae.fit(discs(200, 1)[0])


@pytest.fixture(scope="module")
def fitted(autoencoder) -> CodeSegmenter:
    return CodeSegmenter(autoencoder, **QUICK).fit(*discs(60, 2))


@parametrize_with_checks(
    [
        CodeSegmenter(
            ConvolutionalAutoencoder(2, channels=(3,), max_epochs=1, random_state=0),
            max_epochs=2,
            random_state=0,
        )
    ]
)
@pytest.mark.filterwarnings("ignore::narrows.errors.ImageShapeWarning")
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
def test_sklearn_contract(estimator, check):
    check(estimator)


def test_classes_come_from_the_training_masks(autoencoder):
    x, masks = discs(20, 2)
    new, new_masks = discs(6, 3)
    new_masks[0, 0, 0] = 7
    quick = {**QUICK, "max_epochs": 1}
    with pytest.raises(InvalidData, match=r"^validation_data: its y has classes .* lacks, \[7\]"):
        CodeSegmenter(autoencoder, **quick).fit(x, masks, validation_data=(new, new_masks))
    marked = CodeSegmenter(autoencoder, **quick, missing_label=7)
    assert marked.fit(x, masks, validation_data=(new, new_masks)).classes_.tolist() == [0, 1]
    split = CodeSegmenter(autoencoder, **quick, validation_fraction=0.2)
    held_out = split.fit(x, masks).held_out_rows_
    masks[held_out[0], 0, 0] = 7
    with pytest.warns(HeldOutClassWarning, match=r"all masks with class \[7\] are held out"):
        split.fit(x, masks)
    alone = np.zeros_like(masks)
    alone[held_out] = masks[held_out]
    with pytest.raises(UsageError, match=r"every training pixel has the class 0;"):
        split.fit(x, alone)


@pytest.mark.parametrize("training", TRAININGS)
def test_discs_are_segmented(training, autoencoder):
    segmenter = CodeSegmenter(autoencoder, training=training, **QUICK).fit(*discs(60, 2))
    assert segmenter.score(*discs(40, 3)) > 0.9


@pytest.mark.parametrize("training", TRAININGS)
def test_the_encoder_is_trained_unless_it_is_frozen(training, autoencoder):
    before = autoencoder.model_.objective.encoder.weights[0].clone()
    segmenter = CodeSegmenter(autoencoder, training=training, **QUICK).fit(*discs(20, 2))
    after = segmenter.autoencoder_.model_.objective.encoder.weights[0]
    assert torch.equal(before, after) == (training == "frozen")
    assert torch.equal(before, autoencoder.model_.objective.encoder.weights[0])


def test_every_pixel_has_probabilities(fitted):
    images, _ = discs(5, 3)
    p = fitted.predict_proba(images)
    assert p.shape == (5, SIDE * SIDE, 2)
    np.testing.assert_allclose(p.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(fitted.predict(images), p.argmax(axis=2))


def test_masks_of_any_shape_give_the_same_result(autoencoder):
    images, masks = discs(20, 2)
    flat = CodeSegmenter(autoencoder, **QUICK).fit(images.reshape(20, -1), masks.reshape(20, -1))
    square = CodeSegmenter(autoencoder, **QUICK).fit(images, masks.astype(bool))
    np.testing.assert_array_equal(flat.predict_proba(images), square.predict_proba(images))
    for axis in (1, 3):
        of_a_channel = np.expand_dims(masks, axis)
        fitted = CodeSegmenter(autoencoder, **QUICK).fit(images, of_a_channel)
        np.testing.assert_array_equal(fitted.predict_proba(images), flat.predict_proba(images))
        assert fitted.score(images, of_a_channel) == flat.score(images, masks)


def test_classes_keep_their_values(autoencoder):
    images, masks = discs(60, 2)
    segmenter = CodeSegmenter(autoencoder, **QUICK).fit(images, masks * np.uint8(255))
    assert segmenter.classes_.tolist() == [0, 255]
    assert set(np.unique(segmenter.predict(images))) == {0, 255}


def test_pixels_of_unknown_class_do_not_count(autoencoder):
    images, masks = discs(40, 2)
    known = masks.astype(int)
    known[:, :, 6:] = -1
    settings = {**QUICK, "flips": False, "missing_label": -1}
    trained = CodeSegmenter(autoencoder, **settings).fit(images, known)
    other = known.copy()
    assert trained.classes_.tolist() == [0, 1]
    other[:, :, 6:] = np.where(other[:, :, 6:] == -1, -1, 0)
    again = CodeSegmenter(autoencoder, **settings).fit(images, other)
    np.testing.assert_array_equal(trained.predict_proba(images), again.predict_proba(images))
    assert trained.evaluate(images, known).accuracy > 0.8


def test_three_classes_are_segmented(autoencoder):
    images, masks = discs(60, 2)
    three = masks.astype(int)
    three[::2] *= 2  # discs of another color are another class
    images[::2, ..., 0] = 0
    settings = {**QUICK, "max_epochs": 50}
    overlap = CodeSegmenter(autoencoder, **settings).fit(images, three).evaluate(images, three)
    assert overlap.classes == [0, 1, 2]
    assert min(overlap.dice) > 0.8


def test_flips_change_image_and_mask_together(autoencoder):
    """If images and masks were flipped independently, nothing could be learned."""
    segmenter = CodeSegmenter(autoencoder, **QUICK, flips=True).fit(*discs(60, 2))
    images, masks = discs(40, 3)
    assert segmenter.score(images[:, ::-1], masks[:, ::-1]) > 0.9


def test_a_loaded_segmenter_predicts_the_same(fitted, tmp_path):
    images, _ = discs(5, 3)
    fitted.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(fitted.predict_proba(images), again.predict_proba(images))
    np.testing.assert_array_equal(
        fitted.autoencoder_.transform(images), again.autoencoder_.transform(images)
    )


@pytest.mark.parametrize(
    "change",
    [{"widths": [9, 2]}, {"widths": [8, 3]}, {"classes": [1, 0]}, {"classes": [0, 1, 2]},
     {"classes": [0, "1"]}, {"layer": 7}],
    ids=str,
)  # fmt: skip
def test_a_file_whose_parts_do_not_fit_is_refused(change, fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    artefact = read_artefact(tmp_path / "m.safetensors", kind="model")
    artefact.spec["head"] |= change
    write_artefact(tmp_path / "n.safetensors", artefact)
    with pytest.raises(ModelFileError):
        load(tmp_path / "n.safetensors")


def test_overlap_matches_its_definition_on_sets():
    truth = np.array([[1, 1, 0, 0], [0, 0, 0, 0]])
    predicted = np.array([[1, 0, 0, 1], [0, 0, 0, 0]])
    overlap = measure_masks(predicted, truth, np.array([0, 1]))
    assert overlap.dice[1] == pytest.approx((2 * 1 / 4 + 1) / 2)
    assert overlap.iou[1] == pytest.approx((1 / 3 + 1) / 2)
    assert overlap.accuracy == pytest.approx(6 / 8)
    assert overlap.n_images == [2, 1]


def test_means_leave_out_classes_in_no_image():
    truth = np.array([[0, 0, 1, 1], [0, 0, 2, 2]])
    predicted = np.array([[0, 1, 1, 1], [0, 0, 2, 2]])
    overlap = measure_masks(predicted, truth, np.array([0, 1, 2, 3]))
    dice = [(2 / 3 + 1) / 2, (4 / 5 + 1) / 2, 1.0]
    assert overlap.dice[:3] == pytest.approx(dice) and np.isnan(overlap.dice[3])
    assert overlap.mean_dice == pytest.approx(np.mean(dice))
    assert overlap.foreground_dice == pytest.approx(np.mean(dice[1:]))
    iou = [(1 / 2 + 1) / 2, (2 / 3 + 1) / 2, 1.0]
    assert overlap.mean_iou == pytest.approx(np.mean(iou))
    assert overlap.foreground_iou == pytest.approx(np.mean(iou[1:]))
    assert overlap.as_dict()["dice"][3] is None
    table = overlap.table(["sky", "road", "car", "tree"])
    assert [line.split()[0] for line in table.splitlines()[1:5]] == ["sky", "road", "car", "tree"]
    assert "\nall classes" in table and "\nall but sky" in table
    assert "-: the class is in no image" in table


def test_a_class_outside_the_training_masks_is_refused(fitted):
    images, masks = discs(5, 3)
    with pytest.raises(InvalidData, match="is of class 255, which the segmenter was not fitted to"):
        fitted.evaluate(images, masks * np.uint8(255))


def test_an_encoder_without_maps_is_named():
    images, masks = discs(20, 2)
    dense = Autoencoder(4, hidden=(8,), max_epochs=1, random_state=0).fit(images)
    with pytest.raises(UsageError, match="autoencoder: 'plain' has no feature maps"):
        CodeSegmenter(dense).fit(images, masks)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((20, 7)), r"y: expected masks of shape \(20, 144\)"),
        (np.zeros(19), r"y: expected masks of shape \(20, 144\)"),
        (np.full((20, 144), 0.5), "y: masks must be integers; probabilities need a threshold"),
        (np.full((20, 144), np.nan), "y: masks must be integers"),
        (np.full((20, 144), "a"), "y: masks must be integers, got <U1"),
        (np.zeros((20, 144)), "y: every pixel has the class 0; masks need at least two"),
        (
            np.arange(20 * 144).reshape(20, 144) % 76,
            r"y: 76 classes of pixels \(0, 1, 2, 3, ... 75\), "
            "more than max_classes=32.*JPEG.*PNG or .npy.*masks > 127",
        ),
    ],
    ids=["width", "rows", "half", "nan", "text", "one class", "many"],
)
def test_an_error_names_invalid_masks(y, message, autoencoder):
    with pytest.raises((InvalidData, UsageError), match=message):
        CodeSegmenter(autoencoder).fit(discs(20, 2)[0], y)


def test_the_given_number_of_classes_is_allowed(autoencoder):
    images, _ = discs(20, 2)
    many = np.arange(20 * 144).reshape(20, 144) % 40
    with pytest.raises(InvalidData, match="y: 40 classes of pixels"):
        CodeSegmenter(autoencoder, max_epochs=1).fit(images, many)
    segmenter = CodeSegmenter(autoencoder, max_epochs=1, max_classes=40).fit(images, many)
    assert len(segmenter.classes_) == 40


@pytest.mark.parametrize(("taught", "given"), [(1, 255), (255, 1)])
def test_masks_with_other_class_numbers_are_refused_with_the_way_out(taught, given):
    truth = given * np.array([[0, 1, 1, 0]])
    with pytest.raises(
        InvalidData, match=rf"class {given}, .* give np.where\(masks == {given}, {taught}, 0\)"
    ):
        measure_masks(truth, truth, np.array([0, taught]))
    rewritten = np.where(truth == given, taught, 0)
    assert measure_masks(rewritten, rewritten, np.array([0, taught])).mean_dice == 1


def test_a_missing_label_that_is_the_only_other_class_causes_a_warning():
    predicted, truth = np.array([[0, 1, 1, 0]]), np.array([[0, 255, 255, 0]])
    with pytest.warns(UserWarning, match="no pixel is of class 1, and 255 is the label for pixels"):
        measure_masks(predicted, truth, np.array([0, 1]), unknown=255)


@pytest.mark.parametrize(
    "change",
    [{"width": 0}, {"missing_label": 0.5}, {"training": "melted"}, {"max_classes": 1}],
)
def test_an_error_names_the_invalid_argument(change, autoencoder):
    with pytest.raises(UsageError, match=next(iter(change))):
        CodeSegmenter(autoencoder, **change).fit(*discs(20, 2))
