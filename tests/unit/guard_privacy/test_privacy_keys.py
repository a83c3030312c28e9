"""What keys say of the values under them, and what looks like a secret."""

from __future__ import annotations

import pytest

from collector_processor.guard.privacy import Category, Text
from collector_processor.guard.privacy.keys import category_of
from collector_processor.guard.privacy.placeholders import high_entropy, is_placeholder, is_reference
from collector_processor.guard.privacy.remembered import MAX_CHARACTERS, Remembered

TOLD = {
    Category.NAME: "first_name firstName FIRST_NAME customer.name passengers.name customerName Vorname apellidos 氏名",
    Category.USER: "user_id user.id userId enduser.id username customer.id patientId login",
    Category.ADDRESS: "address shippingAddress billing_address.zip address1 address.city street plz 住所 адрес",
    Category.CREDENTIAL: "password DB_PASSWORD apiKey x-api-key AWS_SECRET_ACCESS_KEY authToken dsn пароль",
    Category.PHONE: "phone phoneNumber mobile tel Telefonnummer 電話番号 هاتف",
    Category.NATIONAL_ID: "ssn nationalId passport_number steuer_id PESEL aadhaar マイナンバー",
    Category.BIRTH: "dob dateOfBirth birth_date Geburtsdatum 生年月日",
    Category.CARD: "card_number creditCard cc_number",
    None: "name agent.name tool.name file_name hostname id task_id agent.id trace_id ip_address email_address"
    " server.address max_tokens token_count next_page_token public_key tokens key city status model service.name",
}
PLACEHOLDERS = """password changeme <your-key> ${DB_PASSWORD} $TOKEN {{secret}} %(password)s ****** xxxxxxxx None
    your_token your-api-key-here <CREDENTIAL:k2:abcdefghijklmnop> <WITHHELD:failed> sk-xxxxxxxxxxxxxxxxxxxx"""


@pytest.mark.parametrize("category", TOLD)
def test_keys(category: Category | None) -> None:
    for key in TOLD[category].split():
        assert category_of(key) is category, key


@pytest.mark.parametrize("value", PLACEHOLDERS.split())
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)
    assert not high_entropy(value)


@pytest.mark.parametrize("value", ["hunter22", "correct-horse-battery", "S3cr3t!", "0f8fad5bd9cb469fa16570867728950e"])
def test_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)


def test_names_in_a_program_are_no_secrets() -> None:
    assert all(
        map(is_reference, ("settings.api_key", "os.environ['KEY']", "getpass()", "API_KEY", "str", "self._token"))
    )
    assert not any(map(is_reference, ("hunter22", "a8f5-f167", "9d4e1e23bd5b")))


def test_randomness() -> None:
    assert high_entropy("k8Jx2LmQ9pRt5VwZ")
    assert high_entropy("9d4e1e23bd5b727046a9e3b4b7db57bd")
    assert not high_entropy("aaaaaaaa11111111")
    assert not high_entropy("thequickbrownfoxjumps")
    assert not high_entropy("k8Jx2LmQ")


def test_clean_texts_are_remembered_in_two_generations() -> None:
    remembered = Remembered(size=2)
    texts = [Text("", str(number)) for number in range(5)]
    for text in texts:
        remembered.add(text)
    assert [text in remembered for text in texts] == [False, False, True, True, True]
    assert remembered.unmet([*texts, ("", "0")]) == texts[:2]
    remembered.add(Text("", "x" * (MAX_CHARACTERS + 1)))
    assert Text("", "x" * (MAX_CHARACTERS + 1)) not in remembered
