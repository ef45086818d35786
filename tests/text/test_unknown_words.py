"""Documents without content are never hits; shares of unknown words are reported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts

from narrows import DocumentAutoencoder, SemanticHasher
from narrows.applications.generation.memorization import closest_rows
from narrows.cli import run as cli
from narrows.data.array_sources import SparseSource
from narrows.errors import EmptyDocumentWarning, UnknownWordsWarning, UsageError
from narrows.text import Analyzer, Vocabulary

BLANKS = ["", "   ", "zzz qqq xxx", "the of and"]


@pytest.fixture(scope="module", params=["numbers", "bits", "bits, re-ranked", "counts"])
def looked_up(request):
    """An estimator, whether to re-rank, and a function from texts to X."""
    texts, _ = topic_texts()
    if request.param.startswith("bits"):
        model = SemanticHasher(16, hidden=(8,), max_epochs=2, random_state=0).fit(texts)
        return model, "re-ranked" in request.param, list
    model = DocumentAutoencoder(4, hidden=(8,), max_epochs=2, random_state=0).fit(texts)
    return model, False, model.vocabulary_.count if request.param == "counts" else list


def test_documents_without_content_are_never_hits(looked_up):
    model, rerank, made = looked_up
    texts = [*BLANKS[:2], *topic_texts()[0][:20], *BLANKS[2:]]
    with pytest.warns(EmptyDocumentWarning, match="4 rows without a known word .* first '0'"):
        index = model.make_index(made(texts), rerank=rerank)
    assert len(index) == 20
    hits = model.search(index, made(topic_texts()[0][:3]), 24, rerank=rerank)
    for found in hits:
        assert sorted(int(hit.name) for hit in found) == list(range(2, 22))


def test_names_and_metadata_stay_with_their_rows_if_others_are_left_out(looked_up):
    model, rerank, made = looked_up
    texts = ["", *topic_texts()[0][:4]]
    names = ["blank", *"abcd"]
    with pytest.warns(EmptyDocumentWarning):
        index = model.make_index(made(texts), names, [{"name": n} for n in names], rerank=rerank)
    whole = model.make_index(made(texts[1:]), rerank=rerank)
    assert index.names == [*"abcd"]
    for name, other in zip("abcd", whole.names, strict=True):
        assert index.metadata(name) == {"name": name}
        np.testing.assert_array_equal(index.code(name), whole.code(other))


def test_names_are_counted_before_empty_rows_are_dropped(looked_up):
    model, _, made = looked_up
    with pytest.raises(UsageError, match="names: expected one per row, got 1 for 2"):
        model.make_index(made(["", topic_texts()[0][0]]), ["a"])


def test_a_query_without_content_has_no_hits_and_a_warning(looked_up):
    model, rerank, made = looked_up
    texts = topic_texts()[0][:10]
    index = model.make_index(made(texts), rerank=rerank)
    with pytest.warns(EmptyDocumentWarning, match="no hits for 4 queries .* the first .* 1"):
        answers = model.search(index, made([texts[0], *BLANKS]), 3, rerank=rerank)
    assert [len(hits) for hits in answers] == [3, 0, 0, 0, 0]


def test_an_index_of_empty_documents_is_empty(looked_up):
    model, _, made = looked_up
    with pytest.warns(EmptyDocumentWarning):
        index = model.make_index(made(BLANKS))
    assert len(index) == 0
    assert model.search(index, made(topic_texts()[0][:2]), 3) == [[], []]


@pytest.mark.parametrize("stemmer", [None, "porter"])
def test_stop_words_do_not_affect_the_share_of_unknown_words(stemmer):
    vocabulary, _ = Vocabulary.learn(["ship sail storm", "bread ship"], Analyzer(stemmer=stemmer))
    texts = ["the ship and the bread", "ship xyz", "ship xyz xyz abc", "", "the of"]
    shares = vocabulary.unknown_shares(texts)
    np.testing.assert_allclose(shares, [0, 0.5, 0.75, 1, 1])
    counts, unknown = vocabulary.count_all(texts)
    np.testing.assert_array_equal(counts.toarray(), vocabulary.count(texts).toarray())
    assert unknown.tolist() == [0, 1, 3, 0, 0]


def test_a_query_of_mostly_unknown_words_causes_a_warning(looked_up):
    model, rerank, made = looked_up
    if made is not list:
        pytest.skip("counts hold known words only")
    texts = topic_texts()[0]
    index = model.make_index(texts[:10], rerank=rerank)
    with pytest.warns(UnknownWordsWarning, match="75% of the words of a query are not in the"):
        answers = model.search(index, [f"{texts[0].split()[0]} ship xxx yyy zzz uuu vvv www"], 2)
    assert len(answers[0]) == 2
    with pytest.warns(UnknownWordsWarning, match="75% of the words of the documents"):
        model.make_index(["ship xxx yyy zzz"] * 2)


def test_empty_documents_are_never_the_closest_training_row():
    texts, _ = topic_texts()
    model = DocumentAutoencoder(4, hidden=(8,), max_epochs=2, random_state=0).fit(texts)
    counts = sp.csr_array(model.vocabulary_.count(["", texts[0], texts[1]]))
    uniform = torch.full((1, counts.shape[1]), 1 / counts.shape[1])
    source = SparseSource(counts)
    ((numbers, distances),) = closest_rows(model.model_, source, [(uniform, None)], 64)
    assert numbers[0] in (1, 2) and np.isfinite(distances).all()


# The command line


def run(*arguments) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A hasher, documents with three empty ones, and their index."""
    folder = tmp_path_factory.mktemp("unknown")
    texts, labels = topic_texts()
    SemanticHasher(16, hidden=(8,), max_epochs=2, random_state=0).fit(texts).save(
        folder / "h.safetensors"
    )
    rows = [*enumerate(texts[:20]), (20, ""), (21, "zzz qqq"), (22, "ship xxx")]
    lines = [json.dumps({"id": f"d{i}", "text": text, "label": str(labels[i])}) for i, text in rows]
    (folder / "docs.jsonl").write_text("\n".join(lines))
    (folder / "more.jsonl").write_text(json.dumps({"id": "m", "text": "ship xxx yyy zzz"}))
    index = folder / "docs.index"
    assert run("index", folder / "h.safetensors", folder / "docs.jsonl", "-o", index) == 0
    return folder


def test_narrows_index_leaves_out_documents_without_a_known_word(folder, tmp_path, capsys):
    arguments = [folder / "h.safetensors", folder / "docs.jsonl", "-o", tmp_path / "i.index"]
    assert run("index", *arguments, "--json") == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert (facts["rows"], facts["added"], facts["left_out"]) == (21, 21, 2)
    assert facts["unknown_share"] == round(0.5 / 21, 4)
    assert (
        "2 of 23 rows contain no word that the model knows and are left out; the first is 'd20'"
        in err
    )
    assert "the model does not know 2% of a document's words, on average." in err


def test_narrows_index_add_prints_the_share_of_unknown_words(folder, tmp_path, capsys):
    index = tmp_path / "i.index"
    index.write_bytes((folder / "docs.index").read_bytes())
    arguments = [folder / "h.safetensors", folder / "more.jsonl", "-o", index, "--add"]
    assert run("index", *arguments) == 0
    assert (
        "more.jsonl: the model does not know 75% of a document's words" in capsys.readouterr().err
    )


def test_narrows_search_prints_the_share_of_unknown_words(folder, capsys):
    arguments = [folder / "docs.index", "--model", folder / "h.safetensors", "-k", 30]
    assert run("search", *arguments, "ship xxx yyy", "--json") == 0
    out, err = capsys.readouterr()
    (answer,) = json.loads(out)["answers"]
    assert answer["unknown_share"] == 0.6667
    assert sorted(hit["id"] for hit in answer["hits"]) == sorted(f"d{i}" for i in [*range(20), 22])
    assert err == "'ship xxx yyy': the model does not know 67% of its words.\n"
    assert run("search", *arguments, "xxx", "--json") == 0
    assert json.loads(capsys.readouterr().out)["answers"] == [
        {"query": "xxx", "hits": [], "unknown_share": 1.0}
    ]


@pytest.mark.filterwarnings("ignore::narrows.errors.EmptyDocumentWarning")
def test_retrieval_is_measured_without_empty_documents(folder, capsys):
    arguments = [folder / "h.safetensors", folder / "docs.jsonl", "--retrieval"]
    assert run("evaluate", *arguments) == 0
    out, err = capsys.readouterr()
    assert "2 rows without a known word are left out" in err
    assert "mean over 3 queries (one row of 10, drawn at random) against 18 others" in out
