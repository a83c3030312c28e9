# ruff: noqa: RUF001 - look-alikes are what is tested
"""Text that hides, misleads or exhausts: what can be read is read, the rest is withheld, and effort stays in bounds."""

from __future__ import annotations

import base64
import json
import re
from time import process_time
from urllib.parse import quote

import pytest

from collector_processor.guard.privacy import Category, Detector, Keyring, Limits, Reason, Redactor, Text, decoders

MAIL = "ada.lovelace@corp.com"
CARD = "4539578763621486"
FULL_WIDTH = str.maketrans({chr(plain): chr(plain + 0xFEE0) for plain in range(0x21, 0x7F)})
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
HIDDEN = {
    "zero width": "ada.love\u200blace@\u200dcorp.\ufeffcom",
    "soft hyphen": "ada.love\u00adlace@corp.com",
    "right to left": "ada.lovelace\u202e@corp.com",
    "variation selector": "ada.love\ufe0flace@corp.com",
    "control characters": "ada.love\x07lace@corp.com",
    "NUL": "ada.love\0lace@corp.com",
    "full width": MAIL.translate(FULL_WIDTH),
    "percent": quote(MAIL, safe="").replace("l", "%6C"),
    "percent, whole": "".join(f"%{byte:02X}" for byte in MAIL.encode()),
    "percent, twice": quote(quote(MAIL, safe="")),
    "unicode escapes": "".join(f"\\u{ord(character):04x}" for character in MAIL),
    "one unicode escape": MAIL.replace("@", "\\u0040"),
    "hexadecimal escapes": MAIL.replace("@", "\\x40"),
    "entities": MAIL.replace("@", "&#64;").replace(".", "&#x2e;"),
    "base64": base64.b64encode(f"contact: {MAIL}, please".encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(f"¿contact? {MAIL} ~~~".encode()).decode(),
    "base64, twice": base64.b64encode(base64.b64encode(f"contact: {MAIL}, please".encode())).decode(),
    "nested documents": json.dumps({"a": json.dumps({"b": json.dumps([MAIL.replace("@", "\u0040")])})}),
    "escaped in a document": '{"to": "' + "".join(f"\\u{ord(character):04x}" for character in MAIL) + '"}',
    "a document in base64": base64.b64encode(json.dumps({"mail": MAIL}).encode()).decode(),
    "a key of a document": json.dumps({MAIL: 1}),
    "a key that comes twice": f'{{"to": "{MAIL}", "to": "nobody"}}',
    "a shortened document": json.dumps({"note": "x", "to": MAIL})[:-2],
    "a shortened base64": base64.b64encode(f"contact: {MAIL}, please".encode()).decode()[:-3],
}


@pytest.mark.parametrize("how", list(HIDDEN))
def test_a_hidden_address_is_found(detector: Detector, keyring: Keyring, how: str) -> None:
    text = f"before {HIDDEN[how]} after" if "document" not in how and "twice" not in how else HIDDEN[how]
    (finding,) = detector.scan([Text("", text)]).findings
    assert finding.category is Category.EMAIL
    redacted = Redactor(keyring, detector).texts([Text("", text)], "acme")
    pseudonym = keyring.pseudonym(MAIL, Category.EMAIL, "acme")
    assert pseudonym in redacted.values[0] or ("base64" in how and "<WITHHELD:encoded>" in redacted.values[0])
    assert "lovelace" not in redacted.values[0]


@pytest.mark.parametrize("table", [FULL_WIDTH, ARABIC])
def test_digits_of_other_scripts(redactor: Redactor, keyring: Keyring, table: dict[int, str]) -> None:
    (value,) = redactor.texts([Text("", f"الرقم {CARD.translate(table)} شكرا")], "acme").values
    assert value == f"الرقم {keyring.pseudonym(CARD, Category.CARD, 'acme')} شكرا"


def test_letters_that_are_not_looked_at_look_like_no_other() -> None:
    plain = re.compile(f"[{decoders._PLAIN}]+")
    letters = [chr(number) for number in range(0x80, 0x10000) if plain.fullmatch(chr(number))]
    assert len(letters) > 30_000
    assert [letter for letter in letters if decoders._folded(letter) is not None] == []


def test_letters_of_other_scripts_belong_to_an_address(redactor: Redactor) -> None:
    (value,) = redactor.texts([Text("", "an аdа@corp.com und jürgen@müller.de, 请联系bob@corp.com谢谢")], None).values
    assert value.count("<EMAIL:") == 3
    assert value.startswith("an <EMAIL:")
    assert value.endswith("谢谢")


def test_an_image_is_no_text(detector: Detector) -> None:
    image = base64.b64encode(bytes(range(256)) * 40).decode()
    assert detector.scan([Text("", f"data:image/png;base64,{image}")]).findings == []


# -- What can't be read ----------------------------------------------------------------------------


def withheld(redactor: Redactor, text: str) -> Reason:
    redacted = redactor.texts([Text("note", text), Text("note", "fine")], "acme")
    (refused,) = redacted.withheld
    assert (refused.number, refused.key) == (0, "note")
    assert redacted.values == [f"<WITHHELD:{refused.reason.value}>", "fine"]
    return refused.reason


def test_a_lone_surrogate(redactor: Redactor) -> None:
    assert withheld(redactor, "bytes \udce4\udcff here") is Reason.UNREADABLE


def test_an_over_long_text(keyring: Keyring) -> None:
    redactor = Redactor(keyring, Detector(Limits(characters=1000)))
    assert withheld(redactor, "x " * 501) is Reason.TOO_LONG
    assert redactor.texts([Text("", "x " * 500)], None).withheld == ()


def test_documents_in_documents(redactor: Redactor) -> None:
    text = MAIL
    for _ in range(7):
        text = json.dumps({"content": text})
    assert withheld(redactor, text) is Reason.TOO_DEEP


def test_brackets_in_brackets(redactor: Redactor) -> None:
    assert withheld(redactor, "[" * 50_000 + json.dumps(MAIL) + "]" * 50_000) is Reason.TOO_DEEP


def test_more_to_check_than_a_text_is_worth(keyring: Keyring) -> None:
    redactor = Redactor(keyring, Detector(Limits(effort=4)))
    assert withheld(redactor, "4000 " * 20_000) is Reason.TOO_MUCH


def test_more_names_than_can_be_looked_for(redactor: Redactor) -> None:
    people = json.dumps(
        [{"first_name": f"Name{chr(97 + number % 26)}{'x' * (number // 26)}"} for number in range(2000)]
    )
    redacted = redactor.texts([Text("", people), Text("", "fine")], None)
    assert {each.reason for each in redacted.withheld} == {Reason.TOO_MUCH}
    assert "Name" not in "".join(redacted.values)


def test_detection_that_raises(
    keyring: Keyring, detectors: dict[str, Detector], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector()
    inspect = detector.inspect

    def fragile(texts, names=()):
        if any("poison" in text.value for text in texts):
            raise ZeroDivisionError(texts[0].value)
        return inspect(texts, names)

    monkeypatch.setattr(detector, "inspect", fragile)
    redactor = Redactor(keyring, detector)
    texts = [Text("a", "by Turing"), Text("b", "poison"), Text("c", MAIL), Text("customer.name", "Turing")]
    redacted = redactor.texts(texts, "acme")
    name = keyring.pseudonym("Turing", Category.NAME, "acme")
    mail = keyring.pseudonym(MAIL, Category.EMAIL, "acme")
    assert redacted.values == [f"by {name}", "<WITHHELD:failed>", mail, name]
    assert redacted.withheld == [(1, "b", Reason.FAILED, "ZeroDivisionError")]
    assert [finding.number for finding in redacted.findings] == [0, 2, 3]
    monkeypatch.setattr(detector, "inspect", lambda texts, names=(): 1 / 0)
    assert redactor.texts(texts, "acme").values == ["<WITHHELD:failed>"] * 4


def test_only_the_encoded_part_is_withheld(redactor: Redactor) -> None:
    redacted = redactor.texts([Text("note", f"see {HIDDEN['base64']} there")], "acme")
    assert redacted.values == ["see <WITHHELD:encoded> there"]
    assert [each.reason for each in redacted.withheld] == [Reason.ENCODED]


# -- Effort ----------------------------------------------------------------------------------------

EXHAUSTING = {
    "one line of one letter": "a",
    "at signs": "@",
    "almost addresses": "a.b-c+d@e.f-",
    "dots": ".",
    "digits": "7",
    "digits in groups": "4111 ",
    "numbers and dots": "1.2.",
    "colons": "2a02:",
    "slashes": "/a",
    "backslashes": "\\",
    "quotes": '"',
    "brackets": "[",
    "escapes": "\\u0041",
    "percents": "%41",
    "angles": "<EMAIL:k2:",
    "keys": "password: ",
    "key after key": "password",
    "names": "first_name: Ada ",
    "base64": "QUFB",
    "private keys": "-----BEGIN PRIVATE KEY-----",
    "tokens": "eyJhbGciOiJI.",
    "urls": "http://a:",
    "zero width": "\u200b",
    "kana": "名前は",
    "mixed scripts": "aя٣名",
    "addresses": "ada@corp.com ",
    "cards": "4539578763621486 ",
}


@pytest.mark.parametrize("what", list(EXHAUSTING))
def test_effort_grows_with_the_text(patient: Detector, what: str) -> None:
    pattern = EXHAUSTING[what]
    seconds = []
    for size in (5_000, 50_000):
        text = pattern * (size // len(pattern))
        best = float("inf")
        for _ in range(2):
            began = process_time()
            patient.scan([Text("", text)])
            best = min(best, process_time() - began)
        seconds.append(best)
    # Ten times the text; a quadratic search would take a hundred times as long. The constant forgives small times.
    assert seconds[1] <= 40 * seconds[0] + 0.05, seconds


def test_ten_megabytes_in_one_line(patient: Detector) -> None:
    line = ("the quick brown fox 12345 jumps over " * 300_000)[:10_000_000] + MAIL
    findings = patient.scan([Text("", line)]).findings
    assert [(finding.start, finding.end) for finding in findings] == [(10_000_000, 10_000_000 + len(MAIL))]
