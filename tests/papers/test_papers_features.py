"""The papers on pretrained features, on few images, and their generated data sets."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from sklearn.svm import SVC

from narrows import CodeMatcher
from narrows.cli.choosing import Study
from narrows.estimators.parameters import seed_from
from papers import module, table


@pytest.fixture(scope="module")
def generators() -> ModuleType:
    return module("vincent2010_table3/generators.py")


def test_stacked_layers_and_svms_are_compared_with_the_published_numbers(data_folder, tmp_path):
    rows = {row["problem"]: row for row in table("vincent2010-table3", tmp_path)["rows"]}
    assert rows["basic"]["published"]["SDAE-3"] == 2.84
    assert rows["rect"]["published"]["SVM-rbf"] == 2.15
    assert all(rows["basic"][m] < 30 for m in ("SDAE-3", "SAE-3", "no pretraining"))
    assert rows["basic"]["SVM-rbf"] < 25


def test_features_of_one_layer_classify_digits(data_folder, tmp_path):
    rows = {row["features"]: row for row in table("rifai2011-contractive", tmp_path)["rows"]}
    assert set(rows) == {"plain", "denoising", "contractive", "random start"}
    assert rows["contractive"]["published frozen"] == 1.82
    assert all(rows[kind]["frozen"] < 30 for kind in ("plain", "denoising", "contractive"))
    assert rows["contractive"]["fine-tuned"] < rows["contractive"]["frozen"]
    assert rows["random start"]["fine-tuned"] < 30 and rows["random start"]["frozen"] is None


def test_few_labels_classify_digits(data_folder, tmp_path):
    rows = {row["method"]: row for row in table("kingma2014-few-labels", tmp_path)["rows"]}
    assert rows["label propagation on code"]["50"] < 60
    assert rows["SVM on pixels"]["50"] < 60


def test_pairs_of_unseen_classes_are_matched_from_codes_and_from_pixels(data_folder, tmp_path):
    result = table("fashion-matching", tmp_path)
    rows = {row["method"]: row for row in result["rows"]}
    assert rows["matcher on a code of 6 numbers"]["all"] > 0.75
    assert rows["matcher on a code of 6 numbers"]["all"] > rows["distance on pixels"]["no labels"]
    assert 0 < rows["matcher on a code of 6 numbers"]["pooled all"] < 0.25


def test_every_class_is_left_out_three_times():
    unseen = module("fashion_matching/run.py").unseen
    assert (np.bincount(np.concatenate([unseen(split, 0) for split in range(10)])) == 3).all()


def test_the_papers_matcher_equals_a_frozen_code_matcher(autoencoder, rows):
    """On one code: the same distances and the same odds."""
    run = module("fashion_matching/run.py")
    y = np.arange(450) % 9
    fitted = CodeMatcher(autoencoder, random_state=0).fit(rows, y)
    seed = seed_from(0)
    codes = autoencoder.transform(rows)
    embedded, odds = run.matcher(codes, codes, seed)(np.arange(450), y)
    np.testing.assert_allclose(embedded, fitted.transform(rows), atol=1e-5)
    assert odds.intercept == pytest.approx(fitted.intercept_, rel=1e-4)
    assert odds.slope == pytest.approx(fitted.slope_, rel=1e-4)


def test_the_svm_matches_scikit_learns_at_the_best_held_out_parameters(rng):
    """Compare the kernel computed in blocks with SVC's own, on four clusters."""
    x = rng.normal(size=(300, 20)).astype(np.float32)
    y = (x[:, 0] > 0) + 2 * (x[:, 1] * x[:, 2] > 0)
    study = Study(lambda: (x[200:], y[200:]), choices=["SVM"])
    tuned = module("vincent2010_table3/svm.py").tuned_svm(
        study, x[:150], y[:150], x[150:200], y[150:200]
    )
    svc = SVC(C=tuned.svm.C, gamma=tuned.gamma).fit(x[:150], y[:150])
    assert tuned.error(*study.test()) == pytest.approx(1 - svc.score(*study.test()), abs=0.02)


@pytest.mark.parametrize("name", ["rect", "convex"])
def test_generated_images_repeat_with_their_seed(generators, name):
    first, again, other = (generators.PROBLEMS[name](30, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    assert first[0].shape == (30, 784) and first[0].dtype == np.uint8


def test_a_rectangles_class_says_whether_it_is_wide(generators):
    images, classes = generators.rect(200, seed=0)
    for image, wide in zip(images.reshape(-1, 28, 28), classes, strict=True):
        down, across = np.nonzero(image)
        assert (np.ptp(across) > np.ptp(down)) == bool(wide)
        assert image[down.min(), across.min()] == image[down.max(), across.max()] == 255


def test_only_convex_regions_fill_their_hull(generators):
    images, classes = generators.convex(60, seed=0)
    assert classes.sum() == 30
    shares = []
    for image in images.reshape(-1, 28, 28):
        corners = np.argwhere(image)
        corners = np.concatenate([corners + step for step in ([0, 0], [0, 1], [1, 0], [1, 1])])
        shares.append((image > 0).sum() / ConvexHull(corners).volume)
    share = np.array(shares)
    assert share[classes == 1].min() > 0.8
    assert share[classes == 0].mean() < 0.8


def test_rotated_and_noisy_digits_keep_their_class(data_folder, generators):
    plain, classes = generators.basic(50, seed=0)
    turned, same = generators.rot(50, seed=0)
    noisy, _ = generators.bg_rand(50, seed=0)
    np.testing.assert_array_equal(classes, same)
    assert (noisy >= plain).all()
    assert 0.8 < turned.sum() / plain.sum() < 1.1
    assert not np.array_equal(turned, plain)


# a net of few steps has a code in which labels are not propagated
@pytest.mark.filterwarnings("ignore::narrows.errors.PropagationWarning")
def test_few_labels_compares_codes_with_pixels_and_training_from_scratch(data_folder, tmp_path):
    rows = {row["method"]: row for row in table("code-few-labels", tmp_path)["rows"]}
    assert set(rows) == {
        "SVM on pixels", "net from scratch", "code, frozen", "second layer, frozen",
        "SVM on the code", "code, fine-tuned", "code, joint", "pixels, labels propagated",
        "code, frozen, labels propagated", "code, fine-tuned, labels propagated",
        "code, joint, labels propagated",
    }  # fmt: skip
    assert all(row["50"] < 75 for row in rows.values())


def test_learning_curves_reach_their_target(data_folder, tmp_path):
    rows = table("code-convergence", tmp_path)["rows"]
    assert len(rows) == 2 * 2 * 5
    assert all(0 < row["epochs to 95% of its own final accuracy"] <= 3 for row in rows)
    raw = [row for row in rows if row["input"] == "784 pixels"]
    assert all(0 < row["epochs to the target"] <= 3 for row in raw)
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_nuclei_are_segmented_by_three_trainings(data_folder, tmp_path):
    rows = table("nuclei-segmentation", tmp_path)["rows"]
    assert [row["net"] for row in rows] == [
        "pretrained, frozen", "pretrained, fine-tuned", "from scratch",
    ]  # fmt: skip
    assert all(0 <= row["IoU 20%"] <= row["Dice 20%"] <= 1 for row in rows)
    assert (tmp_path / "masks-0.2.png").stat().st_size > 5_000
