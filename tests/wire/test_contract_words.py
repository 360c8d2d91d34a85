"""The contract of searches for words, alone and beside a vector."""

from __future__ import annotations

import math

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pytest

TEXTS = ["the quick brown fox", "a lazy dog", "the dog and the fox", "nothing of that", "FOX fox fox"]


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((5, 16)).astype(np.float32)


@pytest.fixture
def texts(client, dataset, points) -> str:
    """Five rows with words; row i has points[i]."""
    fc.put(client, dataset, fc.vector_table(points, text=TEXTS))
    return dataset


def test_words_alone_are_ranked_by_bm25(client, texts):
    hits = fc.search(client, texts, [], 10, text_query="Fox", alpha=0)
    assert [row for row, _ in hits] == [4, 0, 2]
    rarity = math.log(1 + (5 - 3 + 0.5) / 3.5)
    mean = sum(len(text.split()) for text in TEXTS) / 5
    for row, score in hits:
        tf = TEXTS[row].lower().split().count("fox")
        norm = 1.2 * (0.25 + 0.75 * len(TEXTS[row].split()) / mean)
        assert score == pytest.approx(rarity * 2.2 * tf / (tf + norm), rel=1e-5)


def test_fused_scores_are_reciprocal_ranks(client, texts, points):
    hits = fc.search(client, texts, points[3], 5, text_query="dog")
    assert hits[0][0] in (1, 2) and hits[0][1] > 1 / 61
    alone = fc.search(client, texts, [], 5, text_query="dog", alpha=0.5)
    assert [score for _, score in alone] == pytest.approx([1 / 61, 1 / 62])


def test_words_obey_filters_deletes_and_replacements(client, raw, texts, points):
    only = fc.search(
        client, texts, [], 5, text_query="fox", alpha=0, filters=[{"field": "id", "operator": "<", "value": 3}]
    )
    assert sorted(row for row, _ in only) == [0, 2]
    fc.put(client, texts, fc.vector_table(points[:1], text=["a word anew"]))
    raw.do_action("delete", {"dataset": texts, "id": 4}).expect("OK")
    assert [row for row, _ in fc.search(client, texts, [], 5, text_query="fox", alpha=0)] == [2]
    assert [row for row, _ in fc.search(client, texts, [], 5, text_query="anew", alpha=0)] == [0]


def test_weighted_fusion_leans_to_what_alpha_says(client, texts, points):
    def first(alpha):
        return fc.search(client, texts, points[3], 1, text_query="lazy", alpha=alpha, fusion="weighted")[0][0]

    assert first(0.9) == 3
    assert first(0.1) == 1
    assert fc.search(client, texts, points[3], 1, text_query="lazy", alpha=-1)[0][0] == 1, "one word weighs more"


def test_hybrid_action_answers_as_the_contract_shows(client, texts, points):
    body = {"dataset": texts, "vector": points[0].tolist(), "k": 2, "text_query": "quick", "alpha": 0.5, "filters": {}}
    rows = fc.action_json(client, "HybridSearch", body)
    assert rows[0] == {"ID": 0, "Distance": 0, "Score": pytest.approx(2 / 61), "Metadata": None, "Vector": None}
    assert len(rows) == 2


def test_bad_searches_for_words_are_refused(client, raw, texts, points):
    raw.search(dataset=texts, k=3, text_query="fox", alpha=2).expect("INVALID_ARGUMENT")
    raw.search(dataset=texts, k=3, text_query="fox", fusion="magic").expect("INVALID_ARGUMENT")
    raw.search(dataset=texts, k=3, text_query="fox", vector=points[0].tolist(), radius=1).expect("INVALID_ARGUMENT")
    fc.put(client, texts + "-numbers", fc.vector_table(points))
    raw.search(dataset=texts + "-numbers", k=3, text_query="fox", alpha=0).expect("FAILED_PRECONDITION", "text")


def test_an_unknown_stemmer_refuses_the_dataset(client, raw, dataset, points):
    table = fc.vector_table(points, text=TEXTS).replace_schema_metadata({"longbow.text.stemmer": "klingon"})
    with pytest.raises(pa.ArrowInvalid, match="klingon.*english"):
        fc.put(client, dataset, table)
    raw.search(dataset=dataset, k=3, text_query="fox").expect("NOT_FOUND")


def test_stemmed_words_are_found_by_other_forms(client, dataset, points):
    table = fc.vector_table(points, text=TEXTS).replace_schema_metadata({"longbow.text.stemmer": "english"})
    fc.put(client, dataset, table)
    assert [row for row, _ in fc.search(client, dataset, [], 5, text_query="laziness", alpha=0)] == [1]
