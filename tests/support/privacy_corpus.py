# ruff: noqa: RUF001 - the corpus has texts of many scripts
"""A labelled corpus of what agents write: documents, logs, code and chat in several languages, from one seed.

Every sample knows where something sensitive was planted in it. Values are made here from the rules of their formats
(check digits by python-stdnum, telephone numbers by libphonenumber's examples), never taken from the patterns that are
to find them. Negatives look sensitive and are not.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import string
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

import phonenumbers
from stdnum import iban as stdnum_iban
from stdnum import luhn
from stdnum.be import nn as belgian
from stdnum.br import cpf as brazilian
from stdnum.ch import ssn as swiss
from stdnum.cl import rut as chilean
from stdnum.cn import ric as chinese
from stdnum.es import dni as spanish
from stdnum.es import nie as spanish_foreigner
from stdnum.fr import nir as french
from stdnum.it import codicefiscale as italian
from stdnum.kr import rrn as korean
from stdnum.mx import curp as mexican
from stdnum.pl import pesel as polish

from collector_processor.guard.privacy import Category


class Planted(NamedTuple):
    """Something sensitive: characters `start` to `end`, and the kind within its category."""

    start: int
    end: int
    category: Category
    kind: str


class Sample(NamedTuple):
    """One text with what is in it; nothing is planted in a negative."""

    text: str
    planted: tuple[Planted, ...]
    source: str


class Value(NamedTuple):
    text: str
    category: Category
    kind: str


# -- Values ----------------------------------------------------------------------------------------


def _listed(text: str) -> list[str]:
    return text.split()


FIRST = _listed(
    "Maria Jürgen Aiko Fatima Lucas Chloé Sven Priya Omar Zoë Mateus Ingrid Daniel Nadia Tomás Wei Oluchi Søren"
)
LAST = _listed(
    "Lopez Müller Tanaka Haddad Silva Dubois Lindqvist Sharma Farouk O'Brien Kowalski Rossi García-Pérez Nguyen Okafor"
)
DOMAINS = _listed(
    "corp.com mail.company.co.uk firma.de ejemplo-sa.es exemple.fr kaisha.co.jp mail.ru gmail.com startup.io uni.edu"
)
REGIONS = _listed("US GB DE FR ES IT JP BR IN SE CH NL PL AU MX KR ZA AE EG CN")
STREETS = (
    "742 Evergreen Terrace",
    "Hauptstraße 12",
    "Calle Mayor 45, 3º B",
    "12 rue de la Paix",
    "221B Baker Street",
    "Via Roma 7",
)

ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "l": string.ascii_letters,
    "b": string.ascii_letters + string.digits + "_-",
    "s": string.ascii_letters + string.digits + "+/",
    "h": "0123456789abcdef",
    "d": string.digits,
    "u": string.ascii_uppercase + string.digits,
    "t": string.ascii_uppercase + "234567",
    "v": string.ascii_lowercase + string.digits,
}
CREDENTIALS = {
    "aws-access-key-id": "AKIA{t16}|ASIA{t16}",
    "aws-bedrock-key": "ABSK{s120}",
    "google-api-key": "AIza{b35}",
    "google-oauth-client-secret": "GOCSPX-{b28}",
    "google-oauth-token": "ya29.{b60}",
    "google-oauth-refresh-token": "1//0{b60}",
    "azure-storage-key": "AccountKey=[{s86}==]",
    "azure-shared-access-signature": "https://acct.blob.core.windows.net/c?sv=2022-11-02&sig=[{a41}%2B%3D]",
    "azure-client-secret": "{a3}8Q~{a34}",
    "azure-devops-token": "{a76}AZDO{a4}",
    "github-token": "ghp_{a36}|gho_{a36}|ghs_{a36}|ghr_{a76}",
    "github-fine-grained-token": "github_pat_{a22}_{a59}",
    "gitlab-token": "glpat-{b20}|glrt-{b20}|gldt-{b20}",
    "slack-token": "xoxb-{d12}-{d12}-{a24}|xoxp-{d12}-{d12}-{d12}-{h32}",
    "slack-app-token": "xapp-1-{u11}-{d13}-{h64}",
    "slack-webhook": "https://hooks.slack.com/services/[T{u8}/B{u8}/{a24}]",
    "stripe-key": "sk_live_{a24}|rk_test_{a99}",
    "stripe-webhook-secret": "whsec_{a32}",
    "openai-key": "sk-proj-{b48}|sk-svcacct-{b48}",
    "openai-legacy-key": "sk-{a20}T3BlbkFJ{a20}",
    "anthropic-key": "sk-ant-api03-{b93}AA",
    "openrouter-key": "sk-or-v1-{h64}",
    "groq-key": "gsk_{a52}",
    "xai-key": "xai-{a80}",
    "perplexity-key": "pplx-{a48}",
    "replicate-token": "r8_{a37}",
    "huggingface-token": "hf_{l34}",
    "langsmith-key": "lsv2_pt_{h32}_{h10}",
    "langfuse-key": "sk-lf-{h8}-{h4}-{h4}-{h4}-{h12}",
    "tavily-key": "tvly-{a32}",
    "pinecone-key": "pcsk_{a6}_{a63}",
    "npm-token": "npm_{a36}",
    "pypi-token": "pypi-AgEIcHlwaS5vcmc{b70}",
    "rubygems-key": "rubygems_{h48}",
    "docker-token": "dckr_pat_{b27}",
    "twilio-key": "SK{h32}",
    "twilio-account": "AC{h32}",
    "sendgrid-key": "SG.{b22}.{b43}",
    "mailgun-key": "key-{h32}",
    "mailchimp-key": "{h32}-us13",
    "digitalocean-token": "dop_v1_{h64}",
    "shopify-token": "shpat_{h32}",
    "square-token": "EAAA{b60}",
    "telegram-bot-token": "{d9}:AA{b33}",
    "discord-token": "M{a25}.{b6}.{a38}",
    "databricks-token": "dapi{h32}",
    "grafana-token": "glsa_{a32}_{h8}",
    "newrelic-key": "NRAK-{u27}",
    "linear-key": "lin_api_{a40}",
    "notion-token": "secret_{a43}|ntn_{a46}",
    "airtable-token": "pat{a14}.{h64}",
    "atlassian-token": "ATATT3{b180}",
    "vault-token": "hvs.{b90}",
    "terraform-token": "{a14}.atlasv1.{b67}",
    "supabase-token": "sbp_{h40}",
    "figma-token": "figd_{b40}",
    "age-secret-key": "AGE-SECRET-KEY-1{u58}",
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\n{s64}\n{s64}\n{s20}==\n-----END RSA PRIVATE KEY-----"
    "|-----BEGIN OPENSSH PRIVATE KEY-----\n{s70}\n{s30}",
    "putty-private-key": "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"
    "Private-Lines: 1\n{s44}\nPrivate-MAC: {h64}",
    "json-web-token": "eyJhbGciOiJIUzI1NiJ9.eyJ{b40}.{b43}",
    "database-url-password": "postgresql://[svc_{v6}:{a16}]@db.internal:5432/app"
    "|mongodb+srv://[admin:{a12}]@cluster0.abcde.net",
    "url-password": "https://[deploy:{a16}]@git.company.com/app.git",
    "bearer-token": "Bearer [{a40}]",
    "basic-authorization": "Authorization: Basic [{s23}=]",
}
"""One or more forms of each credential: {a36} stands for 36 characters of an alphabet, brackets for the secret part."""


class Values:
    """Sensitive values, made by the rules of their formats."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def digits(self, count: int) -> str:
        return "".join(self.random.choices(string.digits, k=count))

    def name(self) -> Value:
        return Value(f"{self.pick(*FIRST)} {self.pick(*LAST)}", Category.NAME, "name")

    def user(self) -> Value:
        text = self.pick(
            f"u-{self.digits(8)}", f"{self.pick(*FIRST).lower()}_{self.digits(4)}", f"usr_{self.made('{v14}')}7"
        )
        return Value(text, Category.USER, "user")

    def address(self) -> Value:
        return Value(self.pick(*STREETS), Category.ADDRESS, "address")

    def birth(self) -> Value:
        day = f"{self.random.randrange(1940, 2010)}-{self.random.randrange(1, 13):02}-{self.random.randrange(1, 29):02}"
        return Value(day, Category.BIRTH, "birth")

    def path(self) -> Value:
        folders = "/".join(self.random.sample(["src", "app", "reports", "notes", "main"], 2))
        root = self.pick("/home/ada", "/Users/bob", "/var/data/acme", "/workspace", "~")
        text = self.pick(
            f"{root}/{folders}/{self.pick('parser', 'index')}.ts", f"C:\\Users\\bob\\{self.pick('plan', 'tax')}.xlsx"
        )
        return Value(text, Category.PATH, "path")

    def email(self) -> Value:
        local = self.pick(
            f"{self.pick(*FIRST)}.{self.pick(*LAST)}".lower(),
            f"{self.pick(*FIRST).lower()}{self.digits(3)}",
            f"x{self.digits(5)}+tag",
        )
        return Value(f"{local.replace(chr(39), '')}@{self.pick(*DOMAINS)}", Category.EMAIL, "email")

    def phone(self) -> Value:
        region = self.random.choice(REGIONS)
        kind = self.random.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
        number = phonenumbers.example_number_for_type(region, kind)
        assert number is not None
        form = self.random.choice([phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164])
        if region == "US" and self.random.random() < 0.5:
            form = phonenumbers.PhoneNumberFormat.NATIONAL
        return Value(phonenumbers.format_number(number, form), Category.PHONE, "phone")

    def iban(self) -> Value:
        country, bban = self.random.choice(
            [
                ("DE", self.digits(18)),
                ("GB", "WEST" + self.digits(14)),
                ("NL", "ABNA" + self.digits(10)),
                ("CH", self.digits(17)),
                ("AT", self.digits(16)),
                ("PL", self.digits(24)),
                ("SE", self.digits(20)),
            ]
        )
        code = country + stdnum_iban.calc_check_digits(f"{country}00{bban}") + bban
        assert stdnum_iban.is_valid(code, check_country=False)
        return Value(self.pick(code, " ".join(re.findall(".{1,4}", code))), Category.IBAN, "iban")

    def card(self) -> Value:
        prefix, size = self.random.choice(
            [("4", 16), ("51", 16), ("55", 16), ("37", 15), ("6011", 16), ("3530", 16), ("2221", 16)]
        )
        number = prefix + self.digits(size - len(prefix) - 1)
        number += luhn.calc_check_digit(number)
        groups = re.findall(".{1,4}", number) if size == 16 else [number[:4], number[4:10], number[10:]]
        return Value(self.pick(number, " ".join(groups), "-".join(groups)), Category.CARD, "card")

    def ip(self) -> Value:
        first = self.pick("52", "81", "185", "203", "217")
        middle, last = self.random.randrange(114, 250), self.random.randrange(1, 254)
        four = f"{first}.{self.random.randrange(1, 250)}.{middle}.{last}"
        six = f"2a02:{self.made('{h4}')}:{self.made('{h3}')}::{self.made('{h4}')}"
        return Value(self.pick(four, six), Category.IP, "ip")

    def national(self) -> Value:
        kind = self.random.choice(list(NATIONAL))
        return Value(NATIONAL[kind](self), Category.NATIONAL_ID, kind)

    def credential(self, kind: str | None = None) -> Value:
        kind = kind or self.random.choice(list(CREDENTIALS))
        return Value(self.made(self.random.choice(CREDENTIALS[kind].split("|"))), Category.CREDENTIAL, kind)

    def made(self, form: str) -> str:
        """Fill a form: {a36} becomes 36 characters of alphabet a, never letters alone where keys hold both."""

        def fill(slot: re.Match[str]) -> str:
            alphabet, count = ALPHABETS[slot[1]], int(slot[2])
            run = "".join(self.random.choices(alphabet, k=count))
            return run[:-2] + "7k"[: min(2, count)] if slot[1] in "ab" and count > 8 else run

        return re.sub(r"\{(\w)(\d+)\}", fill, form)

    def date(self, form: str) -> str:
        return form.format(
            y=self.random.randrange(1950, 2000), m=self.random.randrange(1, 13), d=self.random.randrange(1, 28)
        )

    def until_valid(self, make: Callable[[], str], is_valid: Callable[[str], bool]) -> str:
        while not is_valid(text := make()):
            pass
        return text


def _dni(values: Values) -> str:
    number = values.digits(8)
    return number + spanish.calc_check_digit(number)


def _ric(values: Values) -> str:
    number = "110101" + values.date("{y}{m:02}{d:02}") + values.digits(3)
    return number + chinese.calc_check_digit(number + "0")


def _curp(values: Values) -> str:
    number = "LOPM" + values.date("{y}{m:02}{d:02}")[2:] + "MDFRRR0"
    return number + mexican.calc_check_digit(number)


def _codice(values: Values) -> str:
    number = "RSSMRA" + values.digits(2) + "A" + f"{values.random.randrange(1, 29):02}" + "H501"
    return number + italian.calc_check_digit(number)


def _cpf(values: Values) -> str:
    number = values.digits(9)
    return brazilian.format(number + brazilian._calc_check_digits(number))


def _rut(values: Values) -> str:
    number = str(values.random.randrange(10_000_000, 25_000_000))
    return chilean.format(number + chilean.calc_check_digit(number))


def _nie(values: Values) -> str:
    number = values.pick("X", "Y", "Z") + values.digits(7)
    return number + spanish_foreigner.calc_check_digit(number)


def _nir(values: Values) -> str:
    number = values.pick("1", "2") + values.date("{y}{m:02}")[2:] + "75" + values.digits(6)
    return number + french.calc_check_digits(number)


def _ssn(values: Values) -> str:
    return (
        f"{values.random.randrange(100, 665)}-{values.random.randrange(10, 78)}-{values.random.randrange(1000, 9999)}"
    )


def _ahv(values: Values) -> str:
    return values.until_valid(lambda: f"756.{values.digits(4)}.{values.digits(4)}.{values.digits(2)}", swiss.is_valid)


def _rrn(values: Values) -> str:
    return values.until_valid(
        lambda: values.date("{y}{m:02}{d:02}")[2:] + "-" + values.pick("1", "2") + values.digits(6), korean.is_valid
    )


def _nn(values: Values) -> str:
    day = values.date("{y}{m:02}{d:02}")[2:]
    return values.until_valid(
        lambda: f"{day[:2]}.{day[2:4]}.{day[4:]}-{values.digits(3)}.{values.digits(2)}", belgian.is_valid
    )


def _personnummer(values: Values) -> str:
    number = values.date("{y}{m:02}{d:02}")[2:] + values.digits(3)
    return f"{number[:6]}-{number[6:]}{luhn.calc_check_digit(number)}"


def _hetu(values: Values) -> str:
    day = values.date("{d:02}{m:02}{y}")
    number = f"{values.random.randrange(2, 900):03}"
    check = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(day[:4] + day[6:] + number) % 31]
    return f"{day[:4]}{day[6:]}-{number}{check}"


def _pesel(values: Values) -> str:
    return "PESEL " + values.until_valid(lambda: values.date("{y}{m:02}{d:02}")[2:] + values.digits(5), polish.is_valid)


NATIONAL: dict[str, Callable[[Values], str]] = {
    "us-ssn": _ssn,
    "es-dni": _dni,
    "es-nie": _nie,
    "it-codice-fiscale": _codice,
    "fr-nir": _nir,
    "br-cpf": _cpf,
    "cl-rut": _rut,
    "cn-resident-id": _ric,
    "kr-rrn": _rrn,
    "mx-curp": _curp,
    "be-national-number": _nn,
    "ch-ahv": _ahv,
    "se-personnummer": _personnummer,
    "fi-hetu": _hetu,
    "pl-pesel": _pesel,
}

# -- Positives -------------------------------------------------------------------------------------

SHOWS_ITSELF = ("email", "phone", "iban", "card", "ip", "national", "credential")
"""What is found wherever it stands."""
PROSE = (
    "Please reach me at {} before Friday, thanks.",
    "I updated the record ({}) and closed the ticket.",
    "Bitte melden Sie sich unter {}, wir prüfen das für Sie.",
    "Der Kunde hat {} angegeben – stimmt das?",
    "Puede usar {} para confirmar la reserva, ¿verdad?",
    "Vous pouvez utiliser {} ; je l'ai noté dans le dossier.",
    "連絡先は {} です。よろしくお願いします。",
    "يرجى استخدام {} لتأكيد الطلب",
    "Используйте {} для подтверждения заказа.",
    "请使用 {} 确认订单。",
    "2024-05-15T15:00:00Z INFO request handled detail={} status=200 ms=12",
    '[2024-05-15 15:00:00,123] ERROR worker: could not parse "{}"',
    "# see {}\nvalue = load()  # cached\n",
    "const contact = '{}';\nexport default contact;",
    "| field | value |\n|---|---|\n| 1 | {} |",
    "- step 1: look up {}\n- step 2: answer",
    "Error: invalid argument: {}\n    at handler (index.js:10:5)",
    "<p>Sent to {}</p>",
)
UNDER_KEYS: tuple[tuple[str, str], ...] = (
    ("name", '{{"customer": {{"full_name": "{}", "tier": "gold"}}}}'),
    ("name", '{{"passengers": [{{"name": "{}", "seat": "12A"}}]}}'),
    ("name", "customer_name: {}\nstatus: open"),
    ("name", "Vorname und Nachname: {}"),
    ("user", '{{"user_id": "{}", "limit": 10}}'),
    ("user", "login ok user_id={} session=started"),
    ("user", "Sure, my user ID is {} as before."),
    ("address", '{{"shipping_address": "{}", "priority": 1}}'),
    ("address", '{{"address": {{"street": "{}", "country": "DE"}}}}'),
    ("address", "Street address: {}\n"),
    ("birth", '{{"date_of_birth": "{}"}}'),
    ("birth", "Date of birth: {}."),
    ("path", 'Traceback: File "{}", line 12, in main'),
    ("path", "wrote 3 files, the last one {}"),
    ("secret", '{{"password": "{}"}}'),
    ("secret", "export API_KEY={}\nrun"),
    ("secret", "client_secret: {}"),
    ("secret", "DB_PASSWORD='{}' ./start.sh"),
    ("secret", "X-Api-Key: {}\r\nAccept: */*"),
)


def positives(seed: int, count: int) -> Iterator[Sample]:
    """Give samples with one to three planted values each."""
    values = Values(seed)
    kinds = itertools.cycle(CREDENTIALS)
    forms = itertools.cycle(UNDER_KEYS)
    wanted = itertools.cycle(SHOWS_ITSELF)
    for number in range(count):
        if number % 4 == 3:
            yield _under_key(values, *next(forms))
            continue
        kind = next(wanted)
        made: Value = values.credential(next(kinds)) if kind == "credential" else getattr(values, kind)()
        if number % 4 == 2 and kind != "credential":
            yield _document(values, [made, values.email(), values.ip()])
        else:
            yield _planted(values.random.choice(PROSE), made, "prose")


def _under_key(values: Values, wanted: str, form: str) -> Sample:
    made = Value(values.made("{a24}"), Category.CREDENTIAL, "key") if wanted == "secret" else getattr(values, wanted)()
    text = json.dumps(made.text, ensure_ascii=False)[1:-1] if form.startswith("{{") else made.text
    return _planted(form, made._replace(text=text), "key", formatted=True)


def _planted(form: str, value: Value, source: str, *, formatted: bool = False) -> Sample:
    before, after = form.replace("{{", "{").replace("}}", "}").split("{}") if formatted else form.split("{}")
    shown, start, size = _bracketed(value.text)
    at = len(before) + start
    return Sample(before + shown + after, (Planted(at, at + size, value.category, value.kind),), source)


def _bracketed(text: str) -> tuple[str, int, int]:
    """Return a value as it is shown, and where its secret part is."""
    if "[" not in text:
        prefix = len("PESEL ") if text.startswith("PESEL ") else 0
        return text, prefix, len(text) - prefix
    start, end = text.index("["), text.index("]")
    return text[:start] + text[start + 1 : end] + text[end + 1 :], start, end - start - 1


def _document(values: Values, made: list[Value]) -> Sample:
    """A tool call's arguments as JSON, the values among harmless fields."""
    fields: dict[str, object] = {"action": "update", "limit": values.random.randrange(100)}
    fields |= {f"field_{number}": value.text for number, value in enumerate(made)}
    fields |= {"request_id": str(uuid.UUID(int=values.random.getrandbits(128))), "dry_run": False}
    text = json.dumps(fields, ensure_ascii=values.random.random() < 0.5)
    planted = []
    for value in made:
        written = json.dumps(value.text)[1:-1]
        written = written if written in text else value.text
        prefix = len("PESEL ") if written.startswith("PESEL ") else 0
        at = text.index(written) + prefix
        planted.append(Planted(at, at + len(written) - prefix, value.category, value.kind))
    return Sample(text, tuple(planted), "document")


# -- Negatives -------------------------------------------------------------------------------------

CODE = (
    (
        "def parse(self, token: str) -> Node:\n    if token is None:\n"
        "        raise ValueError('no token')\n    return self._nodes[token]\n"
    ),
    (
        "import { readFile } from 'node:fs/promises';\n"
        "export const load = async (name) => JSON.parse(await readFile(name));"
    ),
    "password = getpass.getpass('Password: ')\nif not check(password):\n    sys.exit(1)\n",
    "@dataclass\nclass Config:\n    api_key: str = os.environ['API_KEY']\n    max_tokens: int = 4096\n",
    (
        "SELECT u.id, count(*) FROM users u JOIN orders o ON o.user_id = u.id"
        " WHERE o.created_at > now() - interval '7 days'"
    ),
    "std::vector<int> v; for (auto& x : v) { x += 0xdeadbeef; } std::cout << abc::def << std::endl;",
    "#!/usr/bin/env python3\nfrom pathlib import Path\nprint(Path('/usr/lib/python3.11').exists())",
    (
        "diff --git a/src/app.ts b/src/app.ts\nindex 83db48f..bf269f4 100644\n--- a/src/app.ts\n"
        "+++ b/src/app.ts\n@@ -1,4 +1,4 @@\n-const a = 1;\n+const a = 2;"
    ),
    "token = next(tokens)\nkey = lambda row: row.name\nsecret_name = settings.secret_name\n",
    '{"name": "get_user_details", "parameters": {"type": "object", "properties": {"user_id": {"type": "string"}}}}',
    "router.get('/api/v1/users/:id', authorize, (req, res) => res.json(req.user));",
    "docker run -p 127.0.0.1:8080:80 -v ./data:/data nginx:1.25.3",
    'headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}',
    "pip install requests==2.31.0 numpy>=1.26,<2 torch~=2.1.0.1",
    'public static final String PASSWORD_FIELD = "password";\nprivate String token;\n',
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: ${DB_PASSWORD}\n",
    "width: 100%; margin: 0 auto; color: #1a2b3c; transform: translate(-50%, 50%) rotate(45deg);",
    "result = re.sub(r'\\b\\d{3}-\\d{2}-\\d{4}\\b', '[SSN]', text)",
)
PLACEHOLDERS = (
    "user@example.com",
    "your.name@example.org",
    "Set OPENAI_API_KEY=sk-your-key-here first.",
    "password: <your-password>",
    "API_KEY=${API_KEY}",
    "token: xxxxxxxxxxxxxxxx",
    "git clone git@github.com:org/repo.git",
    "Authorization: Bearer <token>",
    "postgres://user:password@localhost:5432/db",
    "logo@2x.png",
    "Call 555-0100 or dial extension 1234.",
    "https://example.com/path?page=2&sort=asc",
)
PLAIN = (
    "The routing confidence was 0.8712 and the reward 0.91230981234567.",
    "Section 1.2.3.4 of the report lists 12 items; see chapter 10.11.12.13 too.",
    "Chrome/120.0.0.0 Safari/537.36",
    "version 10.0.22621.3007 of the client",
    "listening on 0.0.0.0:8080, healthcheck 127.0.0.1, peers 10.1.2.3 and 192.168.1.20, docs 192.0.2.1",
    "fe80::1 and ::1 are local, 2001:db8::1 is for documentation",
    "Lorem ipsum dolor 4512 sit amet 90871 consectetur 3312 8890 1242 adipiscing 77.",
    "It took 12:34:56 and 1234.5678 ms; throughput 1,234,567.89 per s.",
    "The agent name is mender; the tool name is read_file; its address space is 64 bits.",
    "agent: sprinter, evaluator: rubric, model: gpt-4o-2024-08-06",
    "max_tokens: 4096, completion_tokens=512, token_count: 7",
    "Order 4421486 shipped on 2024-05-15 with 3 items, total 1,299.00 EUR.",
    "ISBN 978-3-16-148410-0, DOI 10.1000/182, RFC 2606, ISO 8601",
    "Flug HAT069 um 06:00, Preis 121 €; 早上好，今天天气很好。今日は良い天気ですね。",
    "مرحبا، كيف يمكنني مساعدتك اليوم؟",
    "mac 00:1b:44:11:3a:b7, color #ff00aa, temperature -12.5 °C",
    "matrix: 1 0 0 1 0 1 0 0 1; primes 2003 2011 2017 2027 2029 2039",
)


def negatives(seed: int, count: int) -> Iterator[Sample]:
    """Give samples without anything sensitive in them, however they look."""
    rnd = random.Random(seed)

    def hexadecimal(size: int) -> str:
        return f"{rnd.getrandbits(size * 4):0{size}x}"

    makers: tuple[Callable[[], str], ...] = (
        lambda: f"task {uuid.UUID(int=rnd.getrandbits(128))} done",
        lambda: f"trace_id={hexadecimal(32)} span_id={hexadecimal(16)}",
        lambda: f"commit {hexadecimal(40)} by the bot, digest sha256:{hexadecimal(64)}",
        lambda: json.dumps(
            {"ts": rnd.randrange(1_700_000_000_000_000_000, 1_800_000_000_000_000_000), "seq": rnd.randrange(10**6)}
        ),
        lambda: (
            f"started at {rnd.randrange(1_700_000_000, 1_800_000_000)},"
            f" ended {rnd.randrange(1_700_000_000_000, 1_800_000_000_000)} ms"
        ),
        lambda: f"package v{rnd.randrange(9)}.{rnd.randrange(40)}.{rnd.randrange(90)}-rc.{rnd.randrange(9)}",
        lambda: f"score {rnd.random()!r} loss {rnd.random() * 1e-5!r}",
        lambda: "data:image/png;base64," + base64.b64encode(rnd.randbytes(400)).decode(),
        lambda: f"call_{''.join(rnd.choices(ALPHABETS['a'], k=24))}",
        lambda: f'etag W/"{hexadecimal(8)}-{hexadecimal(12)}" retry {rnd.randrange(9)} of 9',
        lambda: rnd.choice(CODE),
        lambda: rnd.choice(PLACEHOLDERS),
        lambda: rnd.choice(PLAIN),
        lambda: json.dumps(
            {
                "name": rnd.choice(["read_file", "run_tests"]),
                "arguments": {"path": "src/app.ts", "line": rnd.randrange(900)},
            }
        ),
    )
    for number in range(count):
        yield Sample(makers[number % len(makers)](), (), "negative")
