"""The demo shop's help pages: its articles, as a shopper who follows a citation reads them.

A real shop has pages of its own; `generator.article_url` says where.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt

from bot.knowledge.articles import Article
from bot.knowledge.base import Knowledge, folder_state
from bot.message import Language
from bot.orders.shop.page import page_template

PATH = "/help/{article}?lang={language}#{anchor}"  # below the shop's address, as `generator.article_url` wants it


def help_page(folder: Path, article_id: str, language: Language) -> str | None:
    """An article as HTML, in the other language when it has no translation; None when there is none.

    Raises:
        KnowledgeError: the articles cannot be read.
    """
    articles = _articles(folder, tuple(folder_state(folder)))
    article = articles.get((article_id, language)) or articles.get(
        (article_id, "en" if language == "zh" else "zh")
    )
    if article is None:
        return None
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")  # raw HTML is shown, not run
    sections = [(one.anchor, one.heading, markdown.render(one.text)) for one in article.chunks]
    return page_template("help.html").render(title=article.title, lang=article.language, sections=sections)


@lru_cache(maxsize=1)
def _articles(folder: Path, _state: tuple[object, ...]) -> dict[tuple[str, str], Article]:
    """By id and language, read again when a file has changed."""
    return {(one.id, one.language): one for one in Knowledge.load(folder).articles}
