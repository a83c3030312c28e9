"""A model behind an OpenAI-compatible chat endpoint, asked for an answer in a given form.

The form is a `msgspec.Struct`: its JSON schema goes with the request, and an answer that doesn't fit it is no answer.
An endpoint that knows no schemas (HTTP 400) is asked again without one, from then on.
"""

from __future__ import annotations

import random
import re
import time
from typing import Any, Final, TypeVar

import msgspec

from collector_processor.analyse.endpoint import RETRIES, Endpoint
from collector_processor.model.samples import SampleReason

FIRST_PAUSE: Final = 1.0
LAST_PAUSE: Final = 30.0
MAX_ANSWER_BYTES: Final = 1 << 20
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class ChatError(Exception):
    """There is no answer; `reason` tells why, `detail` in words that quote nobody."""

    def __init__(self, reason: SampleReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None


class Chat:
    """Asks one endpoint. Not for several threads.

    Attributes:
        endpoint: which one.
        calls: requests that were made so far.
        model: what the endpoint called its model last.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.calls = 0
        self.model: str | None = None
        path = "/chat/completions"
        self._url = endpoint.url.rstrip("/").removesuffix(path) + path
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if endpoint.key:
            self._headers["authorization"] = f"Bearer {endpoint.key}"
        import urllib3  # noqa: PLC0415 - 3 MB that an analyst without an endpoint does without

        timeout = urllib3.Timeout(connect=min(10.0, endpoint.timeout), read=endpoint.timeout)
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, timeout=timeout, retries=False)
        self._knows_schemas = True

    def ask(self, system: str, user: str, form: type[_Answer], name: str, granted: int) -> _Answer:
        """Return an answer.

        Args:
            system: what the model is to do.
            user: what it is to look at.
            form: what it has to answer.
            name: of that form, as the endpoint is told it.
            granted: requests that may be made for it.

        Raises:
            ChatError: BUDGET, ENDPOINT_FAILED or BAD_ANSWER.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        body: dict[str, Any] = {"model": self.endpoint.model, "messages": messages}
        schema = {"name": name, "strict": True, "schema": _schema(form)}
        until = self.calls + granted
        if self._knows_schemas:
            status, content = self._request(
                body | {"response_format": {"type": "json_schema", "json_schema": schema}}, until
            )
            self._knows_schemas = status != 400
        if not self._knows_schemas:
            status, content = self._request(body, until)
        if not 200 <= status < 300:
            raise ChatError(SampleReason.ENDPOINT_FAILED, f"HTTP {status}")
        return self._read(content, form)

    def _request(self, body: dict[str, Any], until: int) -> tuple[int, bytes]:
        """Send one request, again where its refusal may pass, while there are requests left."""
        import urllib3  # noqa: PLC0415 - as above

        encoded = msgspec.json.encode(body)
        pause = FIRST_PAUSE
        for attempt in range(RETRIES + 1):
            if self.calls >= until:
                raise ChatError(SampleReason.BUDGET, "no requests are left")
            self.calls += 1
            try:
                response = self._pool.request(
                    "POST", self._url, body=encoded, headers=self._headers, redirect=False, preload_content=False
                )
                try:
                    content = response.read(MAX_ANSWER_BYTES)
                    whole = not response.read(1)
                finally:
                    response.close()
            except urllib3.exceptions.HTTPError as error:
                if attempt == RETRIES or self.calls >= until:
                    raise ChatError(SampleReason.ENDPOINT_FAILED, type(error).__name__) from error
                after = None
            else:
                if not whole:
                    raise ChatError(SampleReason.BAD_ANSWER, f"more than {MAX_ANSWER_BYTES} bytes")
                if response.status not in _PASSING or attempt == RETRIES or self.calls >= until:
                    return response.status, content
                after = response.headers.get("retry-after", "")
            wait = float(after) if after and after.isascii() and after.isdigit() else pause * random.uniform(0.5, 1.0)  # noqa: S311  # spreads senders
            time.sleep(min(wait, LAST_PAUSE))
            pause = min(pause * 2, LAST_PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _read(self, content: bytes, form: type[_Answer]) -> _Answer:
        try:
            completion = msgspec.json.decode(content, type=_Completion)
            said = completion.choices[0].message.content or ""
        except (msgspec.DecodeError, IndexError) as error:
            raise ChatError(SampleReason.BAD_ANSWER, "no chat completion") from error
        self.model = completion.model
        fenced = _FENCE.fullmatch(said)
        try:
            return msgspec.json.decode(fenced[1] if fenced else said, type=form)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ChatError(SampleReason.BAD_ANSWER, "not in the asked form") from error


def _schema(form: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a form's JSON schema as strict endpoints want it: all fields required, none added, no bounds."""
    _, parts = msgspec.json.schema_components([form], ref_template="#/$defs/{name}")
    defined = {name: _strict(part) for name, part in parts.items()}
    root = defined.pop(form.__name__)
    return root | {"$defs": defined} if defined else root


def _strict(part: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in part.items() if name not in {"title", "default", "minimum", "maximum"}}
    if "properties" in kept:
        kept["properties"] = {name: _strict(value) for name, value in kept["properties"].items()}
        kept |= {"required": [*kept["properties"]], "additionalProperties": False}
    return kept
