"""`kefu evaluate nlu` on files it has never seen, with a parser of a few lines."""

import json

import pytest

from bot.evaluation.labels import map_intents, read_map, split_label
from bot.evaluation.nlu import evaluate_rows, read_rows
from bot.evaluation.report import write_report
from bot.exceptions import SettingsError


def parse(text):
    """Understands two things and is honest about the rest."""
    name = "fault" if "坏" in text else "greet" if "你好" in text else "out_of_scope"
    return {
        "intent": {"name": name},
        "intent_ranking": [{"name": name, "confidence": 0.9}],
        "language": {"code": "zh-Hans"},
    }


def test_labels_that_nobody_knows_are_reported_and_not_scored():
    rows = [
        ("坏了", frozenset(["other_aftersales"])),
        ("你好", frozenset(["greet"])),
        ("咦", frozenset(["loyalty_tier"])),
    ]
    result, _ = evaluate_rows(parse, ["fault", "greet", "out_of_scope"], rows)

    assert (result["n"], result["n_scored"], result["accuracy"]) == (3, 2, 1.0)
    assert result["unknown_labels"] == {"loyalty_tier": {"n": 1, "understood_as": {"out_of_scope": 1}}}
    assert result["label_map"] == {"fault": "other_aftersales"}


def test_our_finer_intents_are_counted_under_the_files_coarser_ones():
    assert map_intents(["fault", "greet"], ["other_aftersales", "greet"]) == {
        "fault": "other_aftersales",
        "greet": "greet",
    }
    assert map_intents(["fault"], ["fault", "other_aftersales"]) == {"fault": "fault"}
    assert map_intents(["fault"], ["broken"], {"fault": "broken"}) == {"fault": "broken"}


def test_cells_may_name_several_labels_and_a_star():
    assert split_label("refund_request|return_request") == {"refund_request", "return_request"}
    assert split_label("policy_question*") == {"policy_question"}
    assert split_label(" ") == frozenset()


def test_a_file_is_read_with_its_second_label(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("\ufefftext,label,alt_label\n你好,greet,thanks\n坏了,fault,\n", encoding="utf-8")

    assert read_rows(path, "text", "label", None) == [("你好", {"greet", "thanks"}), ("坏了", {"fault"})]


def test_tabs_are_understood(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("message\tintent\nhi, there\tgreet\n", encoding="utf-8")

    assert read_rows(path, "message", "intent", None) == [("hi, there", {"greet"})]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a,b\n1,2\n", "no column 'text'. Its columns: a, b"),
        ("text,label\nx,\n", "no row with a label"),
        ("", "no column"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_remedy(tmp_path, content, complaint):
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SettingsError, match=complaint):
        read_rows(path, "text", "label", None)


def test_missing_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes("text,label\n你好,a\n".encode("gbk"))
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_rows(tmp_path / "x.csv", "text", "label", None)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_rows(tmp_path / "none.csv", "text", "label", None)


def test_a_label_map_must_be_a_map(tmp_path):
    (tmp_path / "map.yml").write_text("- fault\n")
    with pytest.raises(SettingsError, match="not a label map"):
        read_map(tmp_path / "map.yml")
    (tmp_path / "map.json").write_text(json.dumps({"fault": "broken"}))
    assert read_map(tmp_path / "map.json") == {"fault": "broken"}


def test_the_report_shows_the_mistakes_and_escapes_them(tmp_path):
    """A message is a shopper's text: it must not become markup."""
    rows = [("<script>alert(1)</script>", frozenset(["greet"])), ("你好", frozenset(["greet"]))]
    result, understood = evaluate_rows(parse, ["fault", "greet", "out_of_scope"], rows)
    write_report(tmp_path / "r.html", {"file": "f", "model": "m", **result}, understood, 10)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")

    assert "&lt;script&gt;" in page and "<script>" not in page
    assert page.count("data:image/png;base64,") == 4
