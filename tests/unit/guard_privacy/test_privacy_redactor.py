# ruff: noqa: RUF001 - texts of other scripts
"""What becomes of texts: what is replaced by what, what stays, and what is told of it."""

from __future__ import annotations

import json
import re
from base64 import b64encode

import pytest

from collector_processor.guard.privacy import Category, Detector, Finding, Redactor, Text


def shown(redactor: Redactor, *texts: str | tuple[str, str], names: tuple[str, ...] = ()) -> list[str]:
    """Redact, and show pseudonyms by their categories alone."""
    given = [Text("", text) if isinstance(text, str) else Text(*text) for text in texts]
    return [re.sub(r":k2:\w{16}", "", value) for value in redactor.texts(given, "acme", names).values]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("postgres://svc:hunter22@db:5432/x", "postgres://<CREDENTIAL>@db:5432/x"),
        ("redis://:p4ss/w0rd@cache:6379/0", "redis://<CREDENTIAL>@cache:6379/0"),
        ("git clone https://ada:tok3n@git.corp.com/x", "git clone https://<CREDENTIAL>@git.corp.com/x"),
        ("Server=db;User Id=sa;Password=Str0ng!Pw;", "Server=db;User Id=sa;Password=<CREDENTIAL>;"),
        ("Authorization: Basic YWRhOnMzY3IzdA==", "Authorization: Basic <CREDENTIAL>"),
        ("curl -H 'Authorization: Bearer abc123def456ghi789'", "curl -H 'Authorization: Bearer <CREDENTIAL>'"),
        ("Cookie: sid=31d4d96e407aad42; theme=dark\nHost: x", "Cookie: <CREDENTIAL>\nHost: x"),
        ("api_key = 'k3y-9f8e7d6c5b4a'", "api_key = '<CREDENTIAL>'"),
        ("the password is hunter22.", "the password is <CREDENTIAL>."),
        ("mailto:ada@corp.com?cc=bob@corp.com", "mailto:<EMAIL>?cc=<EMAIL>"),
        ("Ada <ada@corp.com>", "Ada <<EMAIL>>"),
        ("+1 415 555 2671 10:30", "<PHONE> 10:30"),
        ("Tel. 030 901820 oder (415) 555-2671", "Tel. <PHONE> oder <PHONE>"),
        ("IBAN DE89 3704 0044 0532 0130 00 and more", "IBAN <IBAN> and more"),
        ("order 1234 4111 1111 1111 1111", "order 1234 <CARD>"),
        ("paid by 4111111111111111.0. Version 4111111111111111.0.1", "paid by <CARD>. Version 4111111111111111.0.1"),
        ("from 52.95.110.1:443 via [2a02:26f0:12::5]", "from <IP>:443 via [<IP>]"),
        ("SSN 078-05-1120, BSN 111222333", "SSN <NATIONAL_ID>, BSN <NATIONAL_ID>"),
        ("/home/ada/app/src/index.ts:12", "/[PATH]/[FILE].ts:12"),
        ("~/notes/todo and C:\\Users\\Ada L\\plan.docx", "/[PATH]/[FILE] and /[PATH]/[FILE].docx"),
        ("Address: 12 Main Street, Springfield\nnext", "Address: <ADDRESS>\nnext"),
        ("氏名：田中太郎、電話：03-1234-5678", "氏名：<NAME>、電話：<PHONE>"),
        ("{'first_name': 'Ada', 'dob': '1990-04-05'}", "{'first_name': '<NAME>', 'dob': '<BIRTH>'}"),
    ],
)
def test_in_prose(redactor: Redactor, before: str, after: str) -> None:
    assert shown(redactor, before) == [after]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"user": {"id": 42, "name": "Ada"}}, {"user": {"id": "<USER>", "name": "<NAME>"}}),
        ({"tool": {"id": 42, "name": "grep"}}, {"tool": {"id": 42, "name": "grep"}}),
        ({"customers": [{"name": "Li"}, {"name": "Bo"}]}, {"customers": [{"name": "<NAME>"}, {"name": "<NAME>"}]}),
        ({"card": 4111111111111111}, {"card": "<CARD>"}),
        ({"charged": [4111111111111111.0, 12.0]}, {"charged": ["<CARD>", 12.0]}),
        (
            {"size": 4111111111111111.5, "at": 4111111111111112.0},
            {"size": 4111111111111111.5, "at": 4111111111111112.0},
        ),
        ({"password": "a b c"}, {"password": "<CREDENTIAL>"}),
        ({"password": None, "token": 5, "max_tokens": 9}, {"password": None, "token": 5, "max_tokens": 9}),
        ({"address": {"city": "Bonn", "zip": "53111"}}, {"address": {"city": "<ADDRESS>", "zip": "<ADDRESS>"}}),
        (
            {"ip_address": "10.0.0.1", "memory_address": "0x7ffe"},
            {"ip_address": "10.0.0.1", "memory_address": "0x7ffe"},
        ),
        ({"ada@corp.com": [1.5, True]}, {"<EMAIL>": [1.5, True]}),
        (['\u00e9 "quoted" ada@corp.com\n'], ['\u00e9 "quoted" <EMAIL>\n']),
        ({"in": json.dumps({"ssn": 78051120})}, {"in": json.dumps({"ssn": "<NATIONAL_ID>"})}),
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_in_documents(redactor: Redactor, before: object, after: object, ascii_only: bool) -> None:
    (value,) = shown(redactor, json.dumps(before, ensure_ascii=ascii_only))
    assert json.loads(value) == after


def test_a_document_keeps_every_other_byte(redactor: Redactor) -> None:
    before = '{ "n" : 1.50e3,\t"to":"ada@corp.com" ,"x":"\\u00e9\\/"  }'
    assert shown(redactor, before) == [before.replace("ada@corp.com", "<EMAIL>")]


def test_what_stood_under_a_key_is_found_again(redactor: Redactor) -> None:
    values = shown(
        redactor,
        ("arguments", '{"user_id": "mia_li_3668", "first_name": "Mia", "last_name": "Li", "dob": "1990-04-05"}'),
        "Mia Li (mia_li_3668, born 1990-04-05) thanks MIA LI; Mia's bag, not Miami or Lisbon",
        ("note", json.dumps({"summary": "Dear Mia Li"})),
    )
    assert values[1] == "<NAME> (<USER>, born <BIRTH>) thanks <NAME>; <NAME>'s bag, not Miami or Lisbon"
    assert json.loads(values[2]) == {"summary": "Dear <NAME>"}


def test_names_may_be_given(redactor: Redactor) -> None:
    assert shown(redactor, "ask Grace Hopper", names=("Grace Hopper",)) == ["ask <NAME>"]
    assert shown(redactor, "ask Grace Hopper") == ["ask Grace Hopper"]


def test_a_text_remembered_as_clean_is_still_searched_for_names(redactor: Redactor) -> None:
    assert shown(redactor, "by Turing") == ["by Turing"]
    assert shown(redactor, "by Turing", ("customer.name", "Turing")) == ["by <NAME>", "<NAME>"]


@pytest.mark.parametrize("hidden", ["by%20Grace%20Hopper", b64encode(b"a note by Hopper").decode()])
def test_so_is_one_that_hides_another_text(redactor: Redactor, hidden: str) -> None:
    told = (hidden, ("customer.name", "Grace Hopper"))
    fresh = shown(redactor, *told)
    assert shown(redactor, hidden) == [hidden]
    assert shown(redactor, *told) == fresh
    assert fresh[0] != hidden


def test_the_names_of_agents_and_tools_stay(redactor: Redactor) -> None:
    texts = [
        ("arbiter.agent.id", "mender"),
        ("gen_ai.agent.name", "Ada"),
        ("gen_ai.tool.name", "read_file"),
        ("arbiter.routing.selected.name", "Grace Hopper"),
        ("arbiter.evaluation.evaluator.name", "Rubric"),
        ("service.name", "arbiter"),
        ("client.address", "proxy.internal"),
        ("customer.address", "localhost"),
        ("arbiter.task.id", "t-1"),
        ("code.function.name", "Parser.parse"),
    ]
    assert shown(redactor, *texts) == [value for _, value in texts]


def test_a_key_and_a_form_that_agree_are_one_place(redactor: Redactor, detectors: dict[str, Detector]) -> None:
    text = Text("user.id", " ada@corp.com ")
    assert detectors["re2"].scan([text]).findings == [Finding(Category.EMAIL, "email", 0, "user.id", 1, 13)]
    assert shown(redactor, ("user.id", " ada@corp.com ")) == [" <EMAIL> "]


def test_findings_tell_where_and_never_what(detectors: dict[str, Detector]) -> None:
    texts = [Text("a", "nothing"), Text("b", "x ada@corp.com"), Text("c", '{"pin_code": "9981"}')]
    scanned = detectors["hyperscan"].scan(texts)
    assert scanned.findings == [
        Finding(Category.EMAIL, "email", 1, "b", 2, 14),
        Finding(Category.CREDENTIAL, "key", 2, "c", 14, 18),
    ]
    assert not any(secret in repr(scanned) for secret in ("ada", "9981"))
    assert [finding.category.secret for finding in scanned.findings] == [False, True]


def test_what_was_written_here_is_nothing_to_find(redactor: Redactor, detectors: dict[str, Detector]) -> None:
    texts = [
        Text("password", "hunter22"),
        Text("", "/home/ada/x.py"),
        Text("note", "Y29udGFjdDogYWRhQGNvcnAuY29tLCBwbGVhc2U="),
    ]
    values = redactor.texts(texts, "acme").values
    assert values[1:] == ["/[PATH]/[FILE].py", "<WITHHELD:encoded>"]
    again = [Text(text.key, value) for text, value in zip(texts, values, strict=True)]
    assert detectors["hyperscan"].scan(again) == ([], [])
    quoted = [
        Text("", json.dumps({"password": value, "phone": value, "national_id": f"{value} {value}"})) for value in values
    ]
    assert detectors["hyperscan"].scan(quoted) == ([], [])


def test_no_texts(redactor: Redactor, detectors: dict[str, Detector]) -> None:
    assert redactor.texts([], None) == ([], (), ())
    assert detectors["re2"].scan([]) == ([], [])
    assert redactor.texts([Text("", "")], None).values == [""]
