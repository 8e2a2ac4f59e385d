"""The default retriever: what it finds on a shop it has never seen, and what it must not return."""

import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import structlog

from bot import formats
from bot.exceptions import KnowledgeError
from bot.knowledge import encoders
from bot.knowledge.articles import parse_article
from bot.knowledge.base import default_cache
from bot.knowledge.encoders import EmbeddingCache, encoder
from bot.knowledge.evaluation import evaluate, read_questions
from bot.knowledge.hybrid import Fusion, HybridRetriever
from bot.knowledge.lexical import BM25Index, ConceptIndex
from bot.settings import get_settings

from .conftest import FIXTURES

WORDS = Fusion(weights={"bm25": 1.0})  # no encoder: quick


def chunks(*articles: str):
    return [c for n, text in enumerate(articles) for c in parse_article(text, Path(f"{n}.md")).chunks]


def article(article_id: str, language: str, text: str, **more: str) -> str:
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"---\nid: {article_id}\nlanguage: {language}\n{extra}---\n# {text}\n{text}\n"


def test_on_an_unseen_shop_the_right_chunk_is_among_five(other_shop, other_retriever):
    """The project's promise, on articles and questions nothing was tuned on."""
    questions = read_questions(FIXTURES / "questions_other_shop.jsonl")

    report = evaluate(other_retriever, other_shop.chunks, questions)

    assert report["all"]["recall_at_5"] >= 0.97
    assert report["zh"]["recall_at_1"] >= 0.85 and report["en"]["recall_at_1"] >= 0.77
    assert report["zh"]["recall_at_3"] >= 0.95 and report["en"]["recall_at_3"] >= 0.95
    assert (
        report["all"]["passage_accuracy"] >= 0.86
    )  # of one section; two that fit equally are quoted together


def test_hits_are_ordered_and_carry_their_scores(other_retriever):
    hits = other_retriever.search("how much is the deposit for a flute", limit=4)

    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].chunk.id == "rental/en#2"
    assert set(hits[0].dense) == {"use", "e5"} and set(hits[0].ranks) == {"bm25", "use", "e5"}
    assert 0 < hits[0].similarity <= 1.0001


def test_the_language_of_the_question_is_preferred(other_retriever):
    assert {hit.chunk.language for hit in other_retriever.search("押金多少")} == {"zh"}
    assert {hit.chunk.language for hit in other_retriever.search("押金多少", language="en")} == {"en"}


def test_an_article_without_translation_is_found_from_the_other_language():
    found = HybridRetriever(
        chunks(
            article("tuning", "zh", "钢琴调律"),
            article("tuning", "en", "Piano tuning"),
            article("parking", "en", "Parking in front of the shop"),
        )
    ).search("停车", language="zh", limit=3)

    assert {hit.chunk.id for hit in found} == {"tuning/zh#1", "parking/en#1"}


def test_chunks_chosen_by_a_database_are_all_readable():
    """Of the candidates none may have its translation beside it: that says nothing about the shop."""
    found = HybridRetriever(
        chunks(article("tuning", "zh", "钢琴调律"), article("parking", "en", "Parking")),
        fusion=WORDS,
        readable=True,
    ).search("停车", language="zh")

    assert {hit.chunk.id for hit in found} == {"tuning/zh#1", "parking/en#1"}


def test_a_shop_that_writes_one_language_answers_the_other():
    retriever = HybridRetriever(chunks(article("a", "en", "Returns take seven days")), fusion=WORDS)
    assert [hit.chunk.id for hit in retriever.search("退货")] == ["a/en#1"]


def test_expired_and_future_articles_and_other_products_are_left_out():
    retriever = HybridRetriever(
        chunks(
            article("old", "en", "Summer sale", valid_to="2026-08-31"),
            article("new", "en", "Summer sale", valid_from="2026-09-01"),
            article("kettle", "en", "Summer sale", products="[P1]"),
        ),
        fusion=WORDS,
    )

    def ids(**filters):
        return {hit.chunk.article_id for hit in retriever.search("summer sale", **filters)}

    assert ids(at=date(2026, 8, 31)) == {"old", "kettle"}
    assert ids(at=date(2026, 9, 1)) == {"new", "kettle"}
    assert ids(at=date(2026, 9, 1), product="P2") == {"new"}
    assert ids(at=date(2026, 9, 1), product="P1") == {"new", "kettle"}


@pytest.mark.parametrize(("zone", "found"), [("Pacific/Kiritimati", "new"), ("Pacific/Pago_Pago", "old")])
def test_an_article_holds_by_the_calendar_of_the_shop(monkeypatch, zone, found):
    """Between these two islands lie 25 hours: on the day that has begun on one, it is still the day before on the other."""
    begun = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    retriever = HybridRetriever(
        chunks(
            article("old", "en", "Summer sale", valid_to=str(begun - timedelta(days=1))),
            article("new", "en", "Summer sale", valid_from=str(begun)),
        ),
        fusion=WORDS,
    )
    monkeypatch.setattr(formats, "shop_timezone", lambda: ZoneInfo(zone))

    assert [hit.chunk.article_id for hit in retriever.search("summer sale")] == [found]


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_an_empty_question_finds_nothing(query):
    assert HybridRetriever(chunks(article("a", "en", "Text")), fusion=WORDS).search(query) == []


def test_a_question_of_stop_words_and_signs_is_answered_without_an_error():
    retriever = HybridRetriever(chunks(article("a", "en", "Text"), article("b", "zh", "文字")), fusion=WORDS)
    for query in ("the of and", "？？！", "😀", "0", "{}[]()\\", "的了吗"):
        assert len(retriever.search(query)) <= 5


def test_standard_fusion_follows_how_much_better_and_reciprocal_rank_only_the_order():
    scores = {
        "bm25": np.array([1.0, 0.9, 0.0], dtype=np.float32),
        "use": np.array([0.1, 0.9, 0.0], dtype=np.float32),
    }
    weights = {"bm25": 1.0, "use": 1.0}

    standard = Fusion(weights=weights).join(scores)
    by_rank = Fusion(weights=weights, method="reciprocal_rank").join(scores)

    assert standard.argmax() == 1
    assert by_rank[0] == pytest.approx(1 / 61 + 1 / 62) and by_rank[0] == pytest.approx(by_rank[1])


def test_bm25_ranks_the_rare_word_above_the_common_one():
    index = BM25Index(["a", "b", "c"], ["parcel locker", "parcel", "parcel"])
    assert index.scores("parcel locker").argmax() == 0
    assert not index.scores("zebra").any()


def test_an_index_without_any_word_scores_zero():
    assert not BM25Index(["", ""], ["", ""]).scores("anything").any()


def test_concepts_join_words_that_share_no_letter():
    index = ConceptIndex(["Who pays postage?", "Opening hours"], ["", ""])
    assert index.scores("邮费谁出").tolist()[0] > 0
    assert index.scores("邮费谁出").tolist()[1] == 0


class Counting:
    """An encoder that counts the texts it was given."""

    name = "counting"
    dimensions = 2

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts, kind):
        self.seen += texts
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_embeddings_are_computed_once_and_survive_a_restart(tmp_path):
    path, model = tmp_path / "deep" / "e.db", Counting()

    first = EmbeddingCache(path).encode(model, ["a", "bb", "a"], "passage")
    second = EmbeddingCache(path).encode(model, ["bb", "a"], "passage")
    EmbeddingCache(path).encode(model, ["a"], "query")

    assert model.seen == ["a", "bb", "a"]
    assert first[:, 0].tolist() == [1, 2, 1] and second[:, 0].tolist() == [2, 1]


def test_a_broken_cache_file_costs_time_and_nothing_else(tmp_path):
    path = tmp_path / "e.db"
    path.write_bytes(b"not a database, but long enough to look like one" * 10)
    assert EmbeddingCache(path).encode(Counting(), ["abc"], "query")[0].tolist() == [3, 1]


def test_a_damaged_cache_is_made_again_while_the_program_runs(tmp_path):
    path, model = tmp_path / "e.db", Counting()
    cache = EmbeddingCache(path)
    path.write_bytes(b"not a database, but long enough to look like one" * 10)

    cache.encode(model, ["abc"], "query")
    cache.encode(model, ["abc"], "query")

    assert model.seen == ["abc"]


@pytest.mark.parametrize("gone", ["file", "folder", "table"])
def test_a_cache_that_is_removed_while_the_program_runs_is_made_again(tmp_path, gone):
    path, model = tmp_path / "cache" / "e.db", Counting()
    cache = EmbeddingCache(path)
    if gone == "table":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE embeddings")
            connection.commit()
    else:
        path.unlink()
    if gone == "folder":
        for rest in path.parent.iterdir():
            rest.unlink()
        path.parent.rmdir()

    cache.encode(model, ["abc"], "query")
    cache.encode(model, ["abc"], "query")

    assert model.seen == ["abc"]


@pytest.mark.parametrize(
    "reason", ["database is locked", "database or disk is full", "attempt to write a readonly database"]
)
def test_a_cache_that_cannot_be_used_is_kept_and_reported_once(tmp_path, monkeypatch, reason):
    path = tmp_path / "e.db"
    EmbeddingCache(path).encode(Counting(), ["abc"], "query")
    before = path.read_bytes()

    def refuses(*_, **__):
        raise sqlite3.OperationalError(reason)

    monkeypatch.setattr(encoders.sqlite3, "connect", refuses)
    with structlog.testing.capture_logs() as logged:
        cache = EmbeddingCache(path)
        assert cache.encode(Counting(), ["abc"], "query")[0].tolist() == [3, 1]

    assert path.read_bytes() == before
    assert [(entry["event"], entry["reason"]) for entry in logged] == [("embeddings are not kept", reason)]


def test_a_cache_that_another_program_locks_is_left_alone(tmp_path, monkeypatch):
    path, model = tmp_path / "e.db", Counting()
    cache = EmbeddingCache(path)
    connect = sqlite3.connect
    monkeypatch.setattr(encoders.sqlite3, "connect", lambda path, timeout: connect(path, timeout=0))
    with closing(connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        cache.encode(model, ["abc"], "query")
        EmbeddingCache(path)
    cache.encode(model, ["abc"], "query")
    cache.encode(model, ["abc"], "query")

    assert model.seen == ["abc", "abc"]


def test_an_unknown_encoder_is_refused_with_the_known_ones():
    with pytest.raises(KnowledgeError, match="use, e5"):
        encoder("bert")


@pytest.mark.parametrize("name", ["use", "e5"])
def test_vectors_have_length_one_and_join_the_languages(name):
    model = encoder(name)
    vectors = model.encode(["how long does a refund take", "退款要多久", "chocolate ice cream"], "query")

    assert vectors.shape == (3, model.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_what_is_encoded_before_a_stop_is_kept(tmp_path, monkeypatch):
    class Stops(Counting):
        def encode(self, texts, kind):
            if "d" in texts:
                raise KeyboardInterrupt
            return super().encode(texts, kind)

    monkeypatch.setattr(encoders, "BATCH", 2)
    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(tmp_path / "e.db").encode(Stops(), ["a", "b", "c", "d"], "passage")
    again = Counting()
    EmbeddingCache(tmp_path / "e.db").encode(again, ["a", "b", "c", "d"], "passage")

    assert again.seen == ["c", "d"]


def test_embeddings_are_shared_between_data_folders_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    try:
        assert tmp_path not in default_cache().parents
        monkeypatch.setenv("KEFU_KNOWLEDGE__CACHE", str(tmp_path / "own.db"))
        get_settings.cache_clear()
        assert default_cache() == tmp_path / "own.db"
        monkeypatch.delenv("KEFU_KNOWLEDGE__CACHE")
        get_settings.cache_clear()
        monkeypatch.setattr("bot.knowledge.base.os.access", lambda *_: False)  # an installation read-only
        assert default_cache() == tmp_path / "cache" / "embeddings.db"
    finally:
        get_settings.cache_clear()
