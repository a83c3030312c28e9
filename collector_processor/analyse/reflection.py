"""The reflection facet: what an agent says of its own work, as it reported it, else as its model says when asked.

Content: `source` (`reported` or `asked`), and
    reported: `reflections`, a list of text, agent and spanId
    asked: model, prompt, and wentWell, wentWrong, wouldChange (lists of texts) and confidence (0 to 1)
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from collector_processor.analyse.analyser import Clean, Finding
from collector_processor.analyse.chat import Chat, ChatError
from collector_processor.analyse.judge import rubric_name
from collector_processor.analyse.material import Material
from collector_processor.analyse.prompt import prompt_of
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from otel_benchmark import attributes as a


class Reflection(msgspec.Struct, rename="camel"):
    """What the model has to answer."""

    went_well: list[str]
    went_wrong: list[str]
    would_change: list[str]
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]


class ReflectionAnalyser:
    """Takes what agents reported. See Analyser.

    Args:
        chat: the agent's model, asked where nothing was reported; None asks nobody.
        prompt: what it is asked.
    """

    facet = Facet.REFLECTION
    version = 1

    def __init__(self, chat: Chat | None, prompt: str) -> None:
        self._chat = chat
        self._prompt = prompt

    def analyse(self, material: Material, clean: Clean) -> Finding:
        """See Analyser."""
        reported = [
            {"text": text, "agent": span.attributes.get(a.GEN_AI_AGENT_NAME), "spanId": span.span_id}
            for span in material.spans
            if isinstance(text := span.attributes.get(a.SELF_REFLECTION), str) and text.strip()
        ]
        if reported:
            return Finding(SampleStatus.COMPLETE, {"source": "reported", "reflections": reported})
        if self._chat is not None:
            return self._asked(self._chat, material, clean)
        if material.gone:
            return Finding(SampleStatus.EMPTY, {}, SampleReason.INPUT_GONE)
        has_content = any(not a.CONTENT_ATTRIBUTES.isdisjoint(span.attributes) for span in material.spans)
        return Finding(SampleStatus.EMPTY, {}, SampleReason.NO_INPUT if has_content else SampleReason.CONTENT_OFF)

    def _asked(self, chat: Chat, material: Material, clean: Clean) -> Finding:
        prompt = prompt_of(material, clean, chat.endpoint.max_bytes - len(self._prompt.encode()))
        before = chat.calls
        try:
            answer = chat.ask(self._prompt, prompt.text, Reflection, "reflection", material.calls)
        except ChatError as error:
            gaps = (*prompt.gaps, error.detail)
            return Finding(SampleStatus.FAILED, {}, error.reason, gaps, chat.calls - before)
        content = {
            "source": "asked",
            "model": chat.endpoint.model,
            "prompt": rubric_name(self._prompt),
            **msgspec.to_builtins(answer),
        }
        calls = chat.calls - before
        if prompt.gaps:
            return Finding(SampleStatus.PARTIAL, content, SampleReason.GAPS, prompt.gaps, calls)
        return Finding(SampleStatus.COMPLETE, content, calls=calls)
