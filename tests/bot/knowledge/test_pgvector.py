"""pgvector, against a real server: KEFU_TEST_PGVECTOR_URL names a database that may be emptied."""

import os
from datetime import date
from pathlib import Path

import pytest

from bot.exceptions import KnowledgeError
from bot.knowledge.articles import parse_article
from bot.knowledge.evaluation import evaluate, read_questions
from bot.knowledge.pgvector import PgVectorRetriever

from .conftest import FIXTURES

URL = os.environ.get("KEFU_TEST_PGVECTOR_URL")
needs_server = pytest.mark.skipif(
    URL is None, reason="KEFU_TEST_PGVECTOR_URL names no PostgreSQL with pgvector"
)


@pytest.fixture
def retriever():
    made = PgVectorRetriever(URL)
    yield made
    made.close()


@pytest.mark.services
@needs_server
def test_it_finds_what_the_default_finds(retriever, other_shop, other_retriever):
    retriever.index(other_shop.chunks)
    questions = read_questions(FIXTURES / "questions_other_shop.jsonl")

    # Rarity of a word is counted over the candidates, not over the whole table: close calls may differ.
    sample = questions[::3]
    same = sum(
        retriever.search(question.question, language=question.language)[0].chunk
        == other_retriever.search(question.question, language=question.language)[0].chunk
        for question in sample
    )
    assert same >= 0.85 * len(sample)
    assert evaluate(retriever, other_shop.chunks, questions)["all"]["recall_at_5"] >= 0.97


@pytest.mark.services
@needs_server
def test_filters_hold_in_the_database_and_a_new_index_replaces_the_old(retriever):
    def chunks(article_id, extra):
        source = f"---\nid: {article_id}\nlanguage: en\n{extra}\n---\n# Summer sale\nCheaper.\n"
        return parse_article(source, Path("a.md")).chunks

    retriever.index([*chunks("old", "valid_to: 2026-08-31"), *chunks("kettle", "products: [P1]")])
    assert {hit.chunk.article_id for hit in retriever.search("sale", at=date(2026, 8, 31))} == {
        "old",
        "kettle",
    }
    assert {hit.chunk.article_id for hit in retriever.search("sale", at=date(2026, 9, 1))} == {"kettle"}
    assert retriever.search("sale", at=date(2026, 9, 1), product="P2") == []
    assert retriever.search("  ") == []

    retriever.index(chunks("new", "risk: policy"))
    assert [(hit.chunk.article_id, hit.chunk.risk) for hit in retriever.search("old sale")] == [
        ("new", "policy")
    ]


def test_a_server_that_cannot_be_reached_is_named_with_the_remedy():
    with pytest.raises(KnowledgeError, match="Check the address"):
        PgVectorRetriever("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")


@pytest.mark.services
@needs_server
def test_the_table_says_what_it_holds(retriever):
    chunk = parse_article("---\nid: a\nlanguage: en\n---\n# Sale\nCheaper.\n", Path("a.md")).chunks
    retriever.index(chunk, "one")
    other = PgVectorRetriever(URL)
    other.index(chunk, "two")
    other.close()

    assert retriever.fingerprint() == "two"


@pytest.mark.services
@needs_server
def test_a_connection_the_server_ended_is_made_again(retriever):
    import psycopg2

    retriever.index(parse_article("---\nid: a\nlanguage: en\n---\n# Sale\nCheaper.\n", Path("a.md")).chunks)
    with psycopg2.connect(URL) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (retriever._connection.get_backend_pid(),))
    other.close()

    assert [hit.chunk.article_id for hit in retriever.search("sale")] == ["a"]


@pytest.mark.services
@needs_server
def test_the_setting_chooses_it(tmp_path):
    from bot.generator.service import retriever_of
    from bot.knowledge.base import Knowledge
    from bot.settings import KnowledgeSettings, Settings

    (tmp_path / "a.md").write_text("---\nid: set\nlanguage: en\n---\n# Sale\nCheaper.\n")
    found = retriever_of(Settings(knowledge=KnowledgeSettings(pgvector=URL)), Knowledge.load(tmp_path))

    assert isinstance(found, PgVectorRetriever)
    assert [hit.chunk.article_id for hit in found.search("sale")] == ["set"]
