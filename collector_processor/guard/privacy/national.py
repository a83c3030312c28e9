"""National identity numbers, by python-stdnum.

Those whose form and check digits make a chance match rare are found wherever they stand; plain runs of digits only
after a word or under a key that says what they are (`keyed`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from stdnum.be import nn as belgian
from stdnum.br import cpf as brazilian
from stdnum.ch import ssn as swiss
from stdnum.cl import rut as chilean
from stdnum.cn import ric as chinese
from stdnum.es import dni as spanish
from stdnum.es import nie as spanish_foreigner
from stdnum.fi import hetu as finnish
from stdnum.fr import nir as french
from stdnum.it import codicefiscale as italian
from stdnum.kr import rrn as korean
from stdnum.mx import curp as mexican
from stdnum.se import personnummer as swedish
from stdnum.us import ssn as american

from collector_processor.guard.privacy.pattern import Pattern, Span
from collector_processor.guard.privacy.vocabulary import Category


class _Valid:
    """Accepts what a module of python-stdnum calls valid, if it is no part of a longer word or number."""

    def __init__(self, is_valid: Callable[[str], bool]) -> None:
        self._is_valid = is_valid

    def __call__(self, text: str, start: int, end: int) -> Span | None:
        before, after = text[start - 1 : start], text[end : end + 1]
        if before and (before.isalnum() or before in "_./-+"):
            return None
        if after and (after.isalnum() or after == "_" or (after in "./-" and text[end + 1 : end + 2].isalnum())):
            return None
        return (start, end) if self._is_valid(re.sub(r"[ ]", "", text[start:end])) else None


def _number(name: str, expression: bytes, is_valid: Callable[[str], bool], source: str) -> Pattern:
    return Pattern(name, Category.NATIONAL_ID, expression, source, _Valid(is_valid))


NATIONAL: Final = (
    _number(
        "us-ssn",
        rb"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b",
        american.is_valid,
        "stdnum.us.ssn: no check digit, a form of its own",
    ),
    _number("es-dni", rb"\b[0-9]{8}-?[A-Z]\b", spanish.is_valid, "stdnum.es.dni"),
    _number("es-nie", rb"\b[XYZ]-?[0-9]{7}-?[A-Z]\b", spanish_foreigner.is_valid, "stdnum.es.nie"),
    _number(
        "it-codice-fiscale",
        rb"\b[A-Z]{6}[ ]?[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[ ]?[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\b",
        italian.is_valid,
        "stdnum.it.codicefiscale",
    ),
    _number(
        "fr-nir",
        rb"\b[12][ ]?[0-9]{2}[ ]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ ]?(?:[0-9]{2}|2[AB])"
        rb"[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{2}\b",
        french.is_valid,
        "stdnum.fr.nir",
    ),
    _number("br-cpf", rb"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", brazilian.is_valid, "stdnum.br.cpf"),
    _number("cl-rut", rb"\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]\b", chilean.is_valid, "stdnum.cl.rut"),
    _number(
        "cn-resident-id",
        rb"\b[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{4}[0-9Xx]\b",
        chinese.is_valid,
        "stdnum.cn.ric",
    ),
    _number("kr-rrn", rb"\b[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]-[1-8][0-9]{6}\b", korean.is_valid, "stdnum.kr.rrn"),
    _number(
        "mx-curp",
        rb"\b[A-Z]{4}[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9][HM][A-Z]{5}[A-Z0-9][0-9]\b",
        mexican.is_valid,
        "stdnum.mx.curp",
    ),
    _number(
        "se-personnummer",
        rb"\b(?:19|20)?[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9][-+][0-9]{4}\b",
        swedish.is_valid,
        "stdnum.se.personnummer",
    ),
    _number(
        "fi-hetu",
        rb"\b[0-3][0-9](?:0[1-9]|1[0-2])[0-9]{2}[-+A][0-9]{3}[0-9A-FHJ-NPR-Y]\b",
        finnish.is_valid,
        "stdnum.fi.hetu",
    ),
    _number(
        "be-national-number", rb"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b", belgian.is_valid, "stdnum.be.nn"
    ),
    _number("ch-ahv", rb"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b", swiss.is_valid, "stdnum.ch.ssn"),
)
