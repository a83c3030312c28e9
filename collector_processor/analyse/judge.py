"""The judge facet: a model judges a task by a rubric, several times, and the votes are compared.

Content:
    judge: model as configured; judgeReported: as the endpoint called it; rubric: its name and hash
    verdict: of the majority; overallScore: the median; agreement: the share of votes for that verdict;
    spread: between the highest and the lowest overall score
    votes: each verdict, overallScore, reasoning, criteria (name, score, reason)
    input: sha256 of what was shown, its bytes, and whether the conversation was a part of it
    cached: whether the votes were given to the same input before
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Sequence
from statistics import median
from typing import Annotated, Any, Final, Literal

import msgspec

from collector_processor.analyse.analyser import Clean, Finding
from collector_processor.analyse.chat import Chat, ChatError
from collector_processor.analyse.endpoint import REQUESTS_PER_VOTE
from collector_processor.analyse.material import Material
from collector_processor.analyse.prompt import Prompt, prompt_of
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet

REMEMBERED: Final = 256
"""Inputs whose votes are remembered, in memory: a record that changed nowhere it shows is not judged again."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Criterion(msgspec.Struct):
    """One criterion of the rubric."""

    name: str
    score: Share
    reason: str


class Vote(msgspec.Struct):
    """What the model has to answer."""

    criteria: list[Criterion]
    reasoning: str
    overall_score: Share
    verdict: Literal["pass", "fail", "unclear"]


class Judge:
    """Asks a model to judge. See Analyser.

    Args:
        chat: where.
        rubric: the prompt; its first line names it.
        votes: how many are asked for.
    """

    facet = Facet.JUDGE
    version = 1

    def __init__(self, chat: Chat, rubric: str, votes: int) -> None:
        self._chat = chat
        self._rubric = rubric
        self._votes = votes
        self._named = rubric_name(rubric)
        self._known: OrderedDict[str, Sequence[Vote]] = OrderedDict()

    def analyse(self, material: Material, clean: Clean) -> Finding:
        """See Analyser."""
        prompt = prompt_of(material, clean, self._chat.endpoint.max_bytes - len(self._rubric.encode()))
        digest = hashlib.sha256(f"{self._rubric}\0{prompt.text}".encode()).hexdigest()
        before = self._chat.calls
        votes, problem = self._known.get(digest), None
        cached = votes is not None
        if votes is None:
            votes, problem = self._vote(prompt, material.calls)
        else:
            self._known.move_to_end(digest)
        calls = self._chat.calls - before
        if not votes:
            assert problem is not None
            return Finding(SampleStatus.FAILED, {}, problem.reason, (*prompt.gaps, problem.detail), calls)
        content = self._content(votes, prompt, digest, cached=cached)
        if problem is not None:
            gaps = (*prompt.gaps, f"{len(votes)} of {self._votes} votes: {problem.detail}")
            return Finding(SampleStatus.PARTIAL, content, problem.reason, gaps, calls)
        self._remember(digest, votes)
        if prompt.gaps:
            return Finding(SampleStatus.PARTIAL, content, SampleReason.GAPS, prompt.gaps, calls)
        return Finding(SampleStatus.COMPLETE, content, calls=calls)

    def _vote(self, prompt: Prompt, granted: int) -> tuple[list[Vote], ChatError | None]:
        """Ask for the votes, within the granted requests; the last failure where one is missing."""
        votes: list[Vote] = []
        problem: ChatError | None = None
        until = self._chat.calls + granted
        for missing in range(self._votes, 0, -1):
            for _ in range(REQUESTS_PER_VOTE):
                left = until - self._chat.calls - (missing - 1)  # the other votes are to have one each
                try:
                    votes.append(self._chat.ask(self._rubric, prompt.text, Vote, "judgement", left))
                    break
                except ChatError as error:
                    problem = error
                    if error.reason is SampleReason.ENDPOINT_FAILED:
                        return votes, error
        return votes, problem if len(votes) < self._votes else None

    def _content(self, votes: Sequence[Vote], prompt: Prompt, digest: str, *, cached: bool) -> dict[str, Any]:
        scores = [vote.overall_score for vote in votes]
        (verdict, agreeing), *others = Counter(vote.verdict for vote in votes).most_common()
        tied = bool(others) and others[0][1] == agreeing
        return {
            "judge": self._chat.endpoint.model,
            "judgeReported": self._chat.model,
            "rubric": self._named,
            "verdict": "unclear" if tied else verdict,
            "overallScore": median(scores),
            "agreement": agreeing / len(votes),
            "spread": max(scores) - min(scores),
            "votes": [
                {
                    "verdict": vote.verdict,
                    "overallScore": vote.overall_score,
                    "reasoning": vote.reasoning,
                    "criteria": [msgspec.structs.asdict(criterion) for criterion in vote.criteria],
                }
                for vote in votes
            ],
            "input": {
                "sha256": digest,
                "bytes": len(prompt.text.encode()),
                "conversation": prompt.has_conversation,
            },
            "cached": cached,
        }

    def _remember(self, digest: str, votes: Sequence[Vote]) -> None:
        self._known[digest] = votes
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def rubric_name(rubric: str) -> str:
    """Return a rubric's first line, without the marks of a heading, and the beginning of its hash."""
    first = rubric.lstrip().partition("\n")[0].lstrip("# ").strip()[:60]
    return f"{first} {hashlib.sha256(rubric.encode()).hexdigest()[:12]}"
