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

    assert read_rows(path, "text", "label", None).rows == [("你好", {"greet", "thanks"}), ("坏了", {"fault"})]


def test_tabs_are_understood(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("message\tintent\nhi, there\tgreet\n", encoding="utf-8")

    assert read_rows(path, "message", "intent", None).rows == [("hi, there", {"greet"})]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("semicolons", "text;label\n你好, 在吗;greet\n坏了;fault\n".encode()),
        ("bars and spaces in the header", " text | label \n你好, 在吗|greet\n坏了|fault\n".encode()),
        ("UTF-16 of a spreadsheet", "text\tlabel\r\n你好, 在吗\tgreet\r\n坏了\tfault\r\n".encode("utf-16")),
        ("GBK of a Chinese spreadsheet", 'text,label\r\n"你好, 在吗",greet\r\n坏了,fault\r\n'.encode("gbk")),
        ("empty lines first", b"\xef\xbb\xbf\n\n" + 'text,label\n"你好, 在吗",greet\n坏了,fault\n'.encode()),
        ("more columns", 'id,text,label,source\n1,"你好, 在吗",greet,x\n2,坏了,fault,y,too many\n'.encode()),
    ],
)
def test_files_of_many_makers_are_read(tmp_path, name, raw):
    path = tmp_path / "x.csv"
    path.write_bytes(raw)

    assert read_rows(path, "text", "label", None).rows == [("你好, 在吗", {"greet"}), ("坏了", {"fault"})]


def test_rows_without_text_or_label_are_counted_and_left_out(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(
        'text,label\n你好,greet\n,greet\n  ,greet\n坏了,\n,\n"two\u2028lines",fault\n', encoding="utf-8"
    )
    found = read_rows(path, "text", "label", None)

    assert found.rows == [("你好", {"greet"}), ("two\u2028lines", {"fault"})]
    assert found.skipped == {"no_text": 2, "no_label": 2}


def test_a_file_of_labels_that_nobody_knows_still_gets_its_report(tmp_path):
    """Nothing can be scored; what the rows were taken for is still said."""
    rows = [("坏了", frozenset(["billing"])), ("你好", frozenset(["smalltalk"]))]
    result, understood = evaluate_rows(parse, ["fault", "greet", "out_of_scope"], rows)
    write_report(tmp_path / "r.html", {"file": "f", "model": "m", **result}, understood, 10)

    assert (result["n_scored"], result["accuracy"], result["ece"]) == (0, None, None)
    assert result["unknown_labels"]["billing"] == {"n": 1, "understood_as": {"fault": 1}}
    assert "billing" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a,b\n1,2\n", "no column 'text'. Its columns: a, b. Remedy: name the right one with --text-column"),
        ("text,label\nx,\n", "no row with a text and a label"),
        ("", "no column"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_remedy(tmp_path, content, complaint):
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SettingsError, match=complaint):
        read_rows(path, "text", "label", None)


def test_missing_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"text,label\ncaf\xe9,a\n")
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
