"""Documents on the command line: fit, index, search, retrieval and maps."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import scipy.sparse as sp
from PIL import Image
from topics import topic_texts

from narrows import load
from narrows.cli import run as cli
from narrows.cli._outputs import one_line

SMALL = ["--hidden", "32", "--epochs", "15", "--batch-size", "16", "--seed", "0", "-q"]


def run(*arguments) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with docs.jsonl, a hasher, a code of 2 and an index of the hasher's."""
    folder = tmp_path_factory.mktemp("documents")
    texts, labels = topic_texts()
    lines = [json.dumps({"id": f"d{i}", "text": text, "label": str(label)})
             for i, (text, label) in enumerate(zip(texts, labels, strict=True))]  # fmt: skip
    (folder / "docs.jsonl").write_text("\n".join(lines))
    docs, hasher = folder / "docs.jsonl", folder / "h.safetensors"
    assert run("fit", docs, "--variant", "hashing", "--code", 16, *SMALL, "-o", hasher) == 0
    plane = folder / "plane.safetensors"
    assert run("fit", docs, "--variant", "document", "--code", 2, *SMALL, "-o", plane) == 0
    assert run("index", hasher, docs, "-o", folder / "docs.index", "--rerank") == 0
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    """The same folder, for a test to change."""
    return shutil.copytree(folder, tmp_path / "copy")


def width_of(picture) -> int:
    with Image.open(picture) as image:
        return image.size[0]


def found(capsys) -> list[dict]:
    return json.loads(capsys.readouterr().out)["answers"][0]["hits"]


def test_inspect_prints_the_words_of_a_model(folder, capsys):
    assert run("inspect", folder / "h.safetensors", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    vocabulary = load(folder / "h.safetensors").vocabulary_
    assert (facts["words"], facts["documents_counted"]) == (len(vocabulary), 120)
    assert facts["most_frequent_words"].split(", ")[0] in vocabulary.terms
    assert facts["n_neighbors"] == 10
    assert run("inspect", folder / "h.safetensors") == 0
    assert "most_frequent_words" in capsys.readouterr().out


def test_search_finds_texts_of_the_querys_topic(folder, capsys):
    assert run("search", folder / "docs.index", "the sailing ship in a storm", "-k", 5) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "id\tdistance\ttext"
    labels = dict(zip([f"d{i}" for i in range(120)], topic_texts()[1], strict=True))
    assert len(lines) == 5
    for line in lines:
        name, distance, snippet = line.split("\t")
        assert labels[name] == "sea" and int(distance) <= 16 and len(snippet) > 20


@pytest.mark.parametrize("rerank", [[], ["--rerank"]])
def test_like_a_row_leaves_the_row_out(folder, capsys, rerank):
    assert run("search", folder / "docs.index", "--like", "d3", "-k", 4, "--json", *rerank) == 0
    hits = found(capsys)
    assert len(hits) == 4 and "d3" not in [hit["id"] for hit in hits]


def test_a_batch_of_queries_comes_from_a_file(folder, tmp_path, capsys):
    (tmp_path / "q.txt").write_text("bread and butter\n\n  \nthe moon\n")
    queries = tmp_path / "q.txt"
    assert run("search", folder / "docs.index", "--queries", queries, "-k", 1, "--json") == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [answer["query"] for answer in answers] == ["bread and butter", "the moon"]
    assert run("search", folder / "docs.index", "--queries", folder / "docs.jsonl", "-k", 1) == 0
    assert capsys.readouterr().out.count(":\n") == 120


def test_a_query_without_a_known_word_finds_nothing_and_warns(folder, tmp_path, capsys):
    assert run("search", folder / "docs.index", "qqq", "-k", 1) == 0
    out, err = capsys.readouterr()
    assert out == "" and err == "'qqq': no word that the model knows.\n"
    (tmp_path / "q.txt").write_text("ship\nqqq\n")
    arguments = ["--queries", tmp_path / "q.txt", "-k", 1, "--json"]
    assert run("search", folder / "docs.index", *arguments) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [len(answer["hits"]) for answer in answers] == [1, 0]


def test_rows_without_a_label_are_left_out(folder, tmp_path, capsys):
    lines = [json.loads(line) for line in (folder / "docs.jsonl").read_text().splitlines()]
    for line in lines[::2]:
        line["label"] = []
    (tmp_path / "half.jsonl").write_text("\n".join(map(json.dumps, lines)))
    arguments = ["evaluate", folder / "h.safetensors", tmp_path / "half.jsonl", "--retrieval"]
    assert run(*arguments) == 0
    out, err = capsys.readouterr()
    assert "60 rows without a label are left out" in err
    assert "mean over 6 queries (one row of 10, drawn at random) against 54 others" in out


def test_the_command_searches_an_index_made_in_python(folder, capsys):
    hasher = load(folder / "h.safetensors")
    texts, _ = topic_texts()
    hasher.make_index(texts, model_path="h.safetensors").save(folder / "py.index")
    assert run("search", folder / "py.index", "ship", "-k", 1) == 0
    hasher.make_index(texts).save(folder / "alone.index")
    capsys.readouterr()
    assert run("search", folder / "alone.index", "ship", "-k", 1) == 4
    assert "does not hold the path of its model; give it with --model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of QUERY, --like and --queries"),
        (["a", "--like", "d1"], "give one of QUERY, --like and --queries"),
        (["ship", "-k", "0"], "k: must be"),
        (["--like", "nobody"], "'nobody' is not in the index"),
    ],
)
def test_an_impossible_search_is_a_usage_error(folder, capsys, arguments, message):
    assert run("search", folder / "docs.index", *arguments) == 2
    assert message in capsys.readouterr().err


def test_another_models_index_is_refused(folder, capsys):
    index = folder / "docs.index"
    assert run("search", index, "ship", "--model", folder / "plane.safetensors") == 4
    assert "made with another model" in capsys.readouterr().err


def test_a_model_that_has_moved_must_be_given(copy, capsys):
    (copy / "h.safetensors").rename(copy / "moved.safetensors")
    assert run("search", copy / "docs.index", "ship") == 4
    assert "give it with --model" in capsys.readouterr().err
    assert run("search", copy / "docs.index", "ship", "--model", copy / "moved.safetensors") == 0


def test_an_index_moves_with_its_model(copy, capsys):
    assert run("search", copy / "docs.index", "ship", "-k", 1) == 0


def test_rows_are_added_deleted_and_verified(copy, capsys):
    index = copy / "docs.index"
    more = copy / "more.jsonl"
    more.write_text(json.dumps({"id": "new", "text": "anchor harbour tide gull reef wave"}))
    assert run("index", copy / "h.safetensors", more, "-o", index, "--add") == 0
    assert "121 codes" in capsys.readouterr().out
    assert run("search", index, "--like", "new", "-k", 1) == 0
    assert run("index", copy / "h.safetensors", more, "-o", index, "--add") == 2
    assert "'new' is in the index already" in capsys.readouterr().err
    assert run("index", "-o", index, "--delete", "new", "--delete", "d0") == 0
    assert "119 codes" in capsys.readouterr().out
    assert run("index", "-o", index, "--verify") == 0
    assert "sound" in capsys.readouterr().out


def test_an_index_is_not_overwritten_by_default(copy, capsys):
    arguments = ["index", copy / "h.safetensors", copy / "docs.jsonl", "-o", copy / "docs.index"]
    assert run(*arguments) == 2
    assert "--add adds to it, --replace replaces it" in capsys.readouterr().err
    assert run(*arguments, "--replace") == 0


def test_a_damaged_index_is_refused_with_its_exit_code(copy, capsys):
    data = bytearray((copy / "docs.index").read_bytes())
    data[-5] ^= 4
    (copy / "docs.index").write_bytes(data)
    assert run("search", copy / "docs.index", "ship") == 4
    assert run("index", "-o", copy / "docs.index", "--verify") == 4


def test_an_index_of_float_codes_uses_the_cosine(folder, tmp_path, capsys):
    index = tmp_path / "plane.index"
    assert run("index", folder / "plane.safetensors", folder / "docs.jsonl", "-o", index) == 0
    assert "2 numbers" in capsys.readouterr().out
    assert run("search", index, "--like", "d1", "-k", 3, "--json") == 0
    assert all(0 <= hit["distance"] < 0.1 for hit in found(capsys))
    for query in (["ship"], ["--like", "d1"]):
        assert run("search", index, *query, "--rerank") == 2
        assert "rerank" in capsys.readouterr().err
    again = ["index", folder / "plane.safetensors", folder / "docs.jsonl", "-o", index, "--replace"]
    assert run(*again, "--rerank") == 2
    assert "codes of numbers are sorted by cosine already" in capsys.readouterr().err


def test_rows_of_numbers_are_indexed_by_their_position(tmp_path, rng, capsys):
    np.save(tmp_path / "x.npy", rng.normal(size=(50, 6)).astype(np.float32))
    model, index = tmp_path / "m.safetensors", tmp_path / "x.index"
    data = tmp_path / "x.npy"
    assert run("fit", data, "--variant", "hashing", "--code", 8, *SMALL, "-o", model) == 0
    assert run("index", model, data, "-o", index) == 0
    assert run("search", index, "--queries", data, "-k", 1) == 0
    assert run("search", index, "a text") == 3
    assert "the model reads no texts" in capsys.readouterr().err


def test_retrieval_uses_the_documents_own_labels(folder, tmp_path, capsys):
    picture = tmp_path / "curve.png"
    arguments = ["evaluate", folder / "h.safetensors", folder / "docs.jsonl", "--retrieval"]
    assert run(*arguments, "--figure", picture) == 0
    out = capsys.readouterr().out
    assert "this model (16 bits)" in out and "LSA" in out and "TF-IDF" in out
    assert width_of(picture) > 300
    assert run(*arguments, "--json") == 0
    methods = json.loads(capsys.readouterr().out)["retrieval"]["methods"]
    assert next(iter(methods.values()))["precision"][0] > 0.9


def test_a_map_is_drawn_beside_pca_and_lsa(folder, tmp_path, capsys):
    picture = tmp_path / "map.png"
    plane, docs = folder / "plane.safetensors", folder / "docs.jsonl"
    assert run("evaluate", plane, docs, "--map", picture) == 0
    out = capsys.readouterr().out
    assert "PCA of log(1 + count)" in out and "this model" in out
    assert width_of(picture) > 600


def test_a_map_needs_a_code_of_two_numbers(folder, tmp_path, capsys):
    arguments = ["evaluate", folder / "h.safetensors", folder / "docs.jsonl"]
    assert run(*arguments, "--map", tmp_path / "map.png") == 2
    assert "fit one of 2 (--code 2)" in capsys.readouterr().err


def test_retrieval_without_labels_asks_for_them(tmp_path, capsys):
    counts = sp.random_array((60, 30), density=0.5, format="csr", rng=0).astype(np.float32)
    sp.save_npz(tmp_path / "c.npz", counts)
    model = tmp_path / "m.safetensors"
    assert run("fit", tmp_path / "c.npz", "--variant", "document", *SMALL, "-o", model) == 0
    assert run("evaluate", model, tmp_path / "c.npz", "--retrieval") == 2
    assert "need --labels" in capsys.readouterr().err


def test_columns_are_named_after_the_file(folder, tmp_path, capsys):
    (tmp_path / "d.csv").write_text("key,body,topic\n" + "".join(
        f"k{i},{text},{label}\n"
        for i, (text, label) in enumerate(zip(*topic_texts(20), strict=True))
    ))  # fmt: skip
    data = f"{tmp_path / 'd.csv'}:text=body,id=key,label=topic"
    assert run("index", folder / "h.safetensors", data, "-o", tmp_path / "d.index") == 0
    assert run("search", tmp_path / "d.index", "--like", "k3", "-k", 1) == 0
    assert run("evaluate", folder / "h.safetensors", data, "--retrieval") == 0
    capsys.readouterr()
    assert run("index", folder / "h.safetensors", f"{data},x=y", "-o", tmp_path / "e.index") == 2
    assert "unknown name 'x'; choose from drop, features, first, " in capsys.readouterr().err


def test_a_table_of_numbers_is_not_documents(tmp_path, folder, capsys):
    rows = np.random.default_rng(0).normal(size=(30, 3))
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="a,b,c", comments="")
    command = ["fit", tmp_path / "t.csv", "--variant", "document", "-o", tmp_path / "m", "-q"]
    assert run(*command) == 3
    error = capsys.readouterr().err
    assert "(--variant document) is for texts and word counts" in error
    assert "(--variant plain)" in error and "standard" not in error


def test_a_table_with_an_unusual_text_column_gets_advice_to_name_it(tmp_path, capsys):
    (tmp_path / "unusual.csv").write_text("title,body\nA,some words here\nB,and more of them\n")
    data = tmp_path / "unusual.csv"
    assert run("fit", data, "--variant", "hashing", "-o", tmp_path / "m.safetensors") == 3
    assert (
        f"If a column holds texts to learn from, name it: {data}:text=COLUMN."
        in capsys.readouterr().err
    )


def test_texts_given_to_a_numeric_variant_name_the_text_variants(folder, tmp_path, capsys):
    assert run("fit", folder / "docs.jsonl", "-o", tmp_path / "m.safetensors") == 3
    assert "--variant document" in capsys.readouterr().err


def test_texts_for_a_detector_get_advice_to_encode_first(folder, tmp_path, capsys):
    docs, codes, out = folder / "docs.jsonl", tmp_path / "codes.npy", tmp_path / "d"
    for like in ([], ["--like", folder / "plane.safetensors"]):
        assert run("detector", docs, *like, "-o", out) == 3
        advice = f"narrows encode MODEL {docs} -o codes.npy and narrows detector codes.npy -o FILE"
        assert advice in capsys.readouterr().err
    assert run("encode", folder / "plane.safetensors", docs, "-o", codes) == 0
    assert run("detector", codes, "--set", "n_folds=2", "--set", "trim=0", "-q", "-o", out) == 0


def test_control_characters_are_not_printed():
    text = "a\x1b[31mred\x07 \u202eevil\u202c <script>alert(1)</script>\n\tend"
    assert one_line(text, 100) == "a[31mred evil <script>alert(1)</script> end"


def test_long_texts_are_cut_with_a_mark():
    assert one_line("word " * 100, 20) == "word word word word…"


def test_reranked_hits_show_the_cosine_that_orders_them(folder, capsys):
    assert run("search", folder / "docs.index", "--like", "d3", "-k", 4, "--rerank") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:3] == ["id", "distance", "cosine"]
    cosines = [float(line.split("\t")[2]) for line in lines]
    assert len(cosines) == 4 and cosines == sorted(cosines, reverse=True)
