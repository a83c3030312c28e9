"""Keys that say what stands under them: `first_name`, `shippingAddress.zip`, `AWS_SECRET_ACCESS_KEY`, `Vorname`.

A key is taken apart into words (camelCase, snake_case, dots and dashes alike), and its last words decide. Keys of
nested documents come as paths, so that `passengers.name` is a person's and `tool.name` is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from collector_processor.guard.privacy.vocabulary import Category, words

PEOPLE: Final = words(
    "customer client user enduser person passenger patient employee contact holder cardholder accountholder owner"
    " author sender recipient guest student teacher member subscriber beneficiary applicant driver doctor traveler"
    " traveller buyer seller payer payee spouse colleague friend resident tenant_user insured claimant citizen"
    " cliente kunde client utilisateur usuario paciente patientin"
)
"""Whose `name` is a person's, and whose `id` a user's."""

ENDINGS: Final[dict[Category, str]] = {
    Category.CREDENTIAL: (
        "password passwd pwd passphrase passcode passwort kennwort contraseña mot_de_passe senha secret secrets"
        " secret_key api_key api_keys api_token access_key access_key_id secret_access_key private_key signing_key"
        " encryption_key master_key shared_key account_key storage_key session_key ssh_key license_key service_key"
        " token access_token auth_token refresh_token id_token bearer_token session_token security_token personal_token"
        " credential credentials authorization x_api_key auth_key cookie set_cookie session_cookie connection_string"
        " conn_str dsn client_secret webhook_secret jwt otp totp cvv cvc cvv2 pin_code security_code"
    ),
    Category.CARD: "card_number credit_card debit_card cc_number credit_card_number card_no kartennummer",
    Category.IBAN: "iban",
    Category.NATIONAL_ID: (
        "ssn social_security social_security_number national_id national_identifier national_insurance_number"
        " personal_id identity_number identity_card tax_id tax_number tax_payer_id tin itin steuer_id steuer_idnr"
        " steuernummer steuer_identifikationsnummer sozialversicherungsnummer dni nie nif pesel cpf rut curp bsn"
        " burgerservicenummer personnummer cpr cpr_number hetu henkilotunnus nino nhs_number"
        " social_insurance_number tfn tax_file_number"
        " aadhaar aadhar my_number rrn nir insee numero_securite_sociale codice_fiscale passport passport_number"
        " passport_no drivers_license driver_license license_number fodselsnummer oib tckn kimlik_no ahv_nummer"
    ),
    Category.PHONE: (
        "phone phone_number phone_no telephone telephone_number tel tel_no mobile mobile_number mobile_phone cell"
        " cell_phone cellphone fax fax_number telefon telefonnummer telefono teléfono téléphone handy handynummer"
        " celular móvil whatsapp msisdn"
    ),
    Category.USER: (
        "user_id userid user_name username login login_name account_name enduser_id screen_name user_handle"
        " benutzername benutzer_id usuario_id patient_id customer_id customer_number employee_id member_id"
        " membership_number passenger_id student_id subscriber_id person_id contact_id kundennummer"
        " frequent_flyer_number"
    ),
    Category.NAME: (
        "first_name last_name full_name given_name family_name middle_name maiden_name surname forename nick_name"
        " legal_name real_name birth_name name_on_card cardholder account_holder customer_name client_name person_name"
        " passenger_name patient_name employee_name contact_name holder_name owner_name author_name sender_name"
        " recipient_name guest_name student_name member_name vorname nachname familienname nombre nombre_completo"
        " apellido apellidos prenom prénom nom_de_famille cognome sobrenome nome_completo"
    ),
    Category.BIRTH: (
        "dob date_of_birth birth_date birthdate birthday birth_day geburtsdatum geburtstag fecha_nacimiento"
        " fecha_de_nacimiento date_naissance date_de_naissance"
    ),
    Category.ADDRESS: (
        "address street street_address address_line street_name house_number postal_address home_address"
        " shipping_address billing_address mailing_address zip zip_code postal_code postcode plz postleitzahl adresse"
        " anschrift strasse straße hausnummer direccion dirección calle domicilio código_postal codigo_postal"
        " code_postal rue indirizzo endereço endereco"
    ),
}
"""Last words of keys, by what stands under them."""

NATIVE: Final[dict[Category, str]] = {
    Category.NAME: "氏名 姓名 名前 お名前 姓 имя фамилия фио الاسم الاسم_الكامل اسم_العميل 이름 성명",
    Category.PHONE: "電話 電話番号 电话 手机 手机号 телефон هاتف الهاتف رقم_الهاتف 전화 전화번호 휴대폰",
    Category.ADDRESS: "住所 地址 адрес العنوان 주소",
    Category.BIRTH: "生年月日 出生日期 дата_рождения تاريخ_الميلاد 생년월일",
    Category.NATIONAL_ID: "マイナンバー 身份证 身份证号 снилс паспорт 주민등록번호",
    Category.CREDENTIAL: "パスワード 密码 密碼 пароль كلمة_المرور 비밀번호",
    Category.USER: "ユーザー名 用户名 用户id логин",
}
"""The same in other scripts; taken whole, with spaces for underscores."""

_NOT_POSTAL: Final = words(
    "ip ipv4 ipv6 email mail e mac memory mem wallet contract host server bind listen remote peer local base web"
    " network socket virtual physical return loopback url endpoint node service"
)
_BELOW_ADDRESS: Final = words("line city town state province county region suburb district apt unit suite stadt ort")
_NOT_SECRET: Final = words("public max min num count n total page next previous prev eos bos pad stop sep cls")
_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-zß-öø-ÿ]+|[A-Z]+|[^\W\d_A-Za-zß-öø-ÿ]+")
_LONGEST: Final = 4
"""Words of the longest endings, but for those of a language that writes them as one."""

_BY_ENDING: Final = {
    ending.replace("_", ""): category
    for endings in (ENDINGS, NATIVE)
    for category, listed in endings.items()
    for ending in listed.split()
}


def words_of(key: str) -> list[str]:
    """Return a key's words in lower case, without its numbers."""
    return [word.lower() for word in _WORD.findall(key[-120:])]


@lru_cache(maxsize=8192)
def category_of(key: str) -> Category | None:
    """Return what a key says of the value under it; None where it says nothing."""
    said = words_of(key)
    if not said:
        return None
    last = said[-1]
    before = said[-2] if len(said) > 1 else ""
    if before and _singular(before) in PEOPLE:
        if last in ("name", "names"):
            return Category.NAME
        if last in ("id", "ids"):
            return Category.USER
    found = next(_found(said), None)
    match found:
        case Category.ADDRESS if last in ("address", "addresses") and before in _NOT_POSTAL:
            return None
        case Category.CREDENTIAL if before in _NOT_SECRET:
            return None
        case None if last in _BELOW_ADDRESS:
            above = [word for word in said[:-1] if _BY_ENDING.get(_singular(word)) is Category.ADDRESS]
            return Category.ADDRESS if above and not _NOT_POSTAL.intersection(said) else None
    return found


@lru_cache(maxsize=8192)
def is_about_people(key: str) -> bool:
    """Whether a document under this key is likely to be about a person."""
    return any(_singular(word) in PEOPLE for word in words_of(key))


def _found(said: list[str]) -> Iterator[Category]:
    for count in range(min(_LONGEST, len(said)), 0, -1):
        category = _BY_ENDING.get("".join(said[-count:]))
        if category is not None:
            yield category


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
