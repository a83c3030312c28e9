"""Research: finding the documentation that a few remembered words come from.

The library is real: the documentation of the functions and classes of some standard modules, as this interpreter
carries it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from collector_processor.demo.arbiter.model import Files
from collector_processor.demo.arbiter.policy import Manner, Note, Policy, Report, Use

ANSWER = "answer.json"
QUESTION = "question.json"
MODULES = ("bisect", "calendar", "colorsys", "csv", "heapq", "shutil", "statistics", "string", "textwrap")
SIZES = {"trivial": (5, 0), "standard": (5, 3), "complex": (4, 6)}
"""By complexity: how many words come from the document, and how many from elsewhere."""


@cache
def library() -> Mapping[str, str]:
    """Documents by name, such as `statistics.median`."""
    documents = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in sorted(getattr(module, "__all__", dir(module))):
            text = inspect.getdoc(getattr(module, name, None)) or ""
            if not name.startswith("_") and len(words(text)) >= 12:
                documents[f"{module_name}.{name}"] = text
    return documents


def words(text: str) -> list[str]:
    """Lower-case words of at least three letters, in order."""
    return re.findall(r"[a-z]{3,}", text.lower())


@cache
def index() -> Mapping[str, tuple[str, ...]]:
    """Names of the documents that contain a word, by word."""
    found: dict[str, list[str]] = {}
    for name, text in library().items():
        for word in set(words(text)):
            found.setdefault(word, []).append(name)
    return {word: tuple(names) for word, names in found.items()}


@dataclass(frozen=True, slots=True)
class Lookup:
    """Name the document that most of the words come from. `archived`: it lies in an archive that is closed."""

    wanted: str
    query: tuple[str, ...]
    archived: bool = False

    def files(self) -> Files:
        """The question."""
        return {QUESTION: json.dumps({"words": self.query, "archived": self.archived})}

    def check(self, files: Files) -> float:
        """1 for the right document, 0.6 for its neighbour in the same module, else 0."""
        try:
            answer = str(json.loads(files.get(ANSWER, "{}")).get("document", ""))
        except (ValueError, AttributeError):
            return 0.0
        if answer == self.wanted:
            return 1.0
        return 0.6 if answer.partition(".")[0] == self.wanted.partition(".")[0] else 0.0


def draw_lookup(complexity: str, random: Random, *, archived: bool = False) -> Lookup:
    """Remember some words of a document, and, for a harder question, words of others among them."""
    own, foreign = SIZES[complexity]
    wanted = random.choice(sorted(library()))
    vocabulary = sorted(set(words(library()[wanted])))
    query = random.sample(vocabulary, min(own, len(vocabulary)))
    for _ in range(foreign):
        query.append(random.choice(words(library()[random.choice(sorted(library()))])))
    random.shuffle(query)
    return Lookup(wanted, tuple(query), archived)


def look_up(manner: Manner) -> Policy:
    """Search the library word by word, rank the documents, read the best, and answer."""
    question = yield Use("read_file", {"path": QUESTION})
    content = json.loads(str(question.data["text"]))
    if content["archived"]:
        yield Use("open_archive", {"shelf": content["words"][0]})
    query = content["words"] if manner.ranking != "first" else content["words"][:2]
    scores: Counter[str] = Counter()
    for word in query:
        found = yield Use("search_library", {"word": word})
        documents = found.data["documents"]
        for document in documents:
            weight = math.log(1 + len(library()) / len(documents)) if manner.ranking == "weighted" else 1.0
            scores[document] += weight  # type: ignore[assignment]  # a Counter adds floats as well
    ranked = scores.most_common(2)
    if not ranked:
        return Report(success=False, failure_reason="none of the words stands in the library")
    best, score = ranked[0]
    yield Note(f"{best} scores {score:.1f}, the next {ranked[1][1] if len(ranked) > 1 else 0:.1f}.")
    if manner.ranking != "first":
        yield Use("read_document", {"name": best})
    yield Use("write_file", {"path": ANSWER, "text": json.dumps({"document": best})})
    if len(ranked) > 1 and ranked[1][1] == score:
        return Report(
            success=False,
            partial_success=True,
            failure_reason=f"{best} and {ranked[1][0]} fit equally well",
            reflection="The words I searched for don't tell two documents apart.",
        )
    return Report(success=True, reflection=f"{best} leads by {score - (ranked[1:] or [('', 0)])[0][1]:.1f}.")
