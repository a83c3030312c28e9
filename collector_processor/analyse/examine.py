"""One piece of work, from raw parts to a sample: decoded, analysed, cleaned. Whatever fails costs it alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import msgspec

from collector_processor.analyse.analyser import Analyser, Clean, Finding
from collector_processor.analyse.cleaning import sweep
from collector_processor.analyse.material import Work
from collector_processor.analyse.otlp import read
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

_encode: Final = msgspec.json.Encoder().encode


def examine(work: Work, analysers: Mapping[Facet, Analyser], clean: Clean, max_bytes: int) -> Sample:
    """Analyse one facet of one task.

    Args:
        work: what to look at.
        analysers: by facet; one that is not there has no endpoint.
        clean: the privacy pass.
        max_bytes: of the content; more is TOO_LARGE.
    """
    began = time.perf_counter()
    analyser = analysers.get(work.facet)
    if analyser is None:
        return Sample(work.facet, work.facet, SampleStatus.EMPTY, SampleReason.ENDPOINT_MISSING)
    name = f"{work.facet}/{analyser.version}"
    calls = 0
    try:
        material = read(work)
        finding = analyser.analyse(material, clean)
        calls = finding.calls
        swept = sweep(finding.content, material, clean)
        content = _encode(swept.content)
    except MemoryError:
        return Sample(work.facet, name, SampleStatus.FAILED, SampleReason.OUT_OF_MEMORY, calls=calls)
    except Exception as error:  # noqa: BLE001  # an analyser's fault costs this sample; its words may quote a task
        log.warning("analyse: an analyser failed", facet=work.facet, error=type(error).__name__)
        return Sample(work.facet, name, SampleStatus.FAILED, SampleReason.CRASHED, calls=calls)
    finding = _withheld(finding, swept.withheld)
    seconds = time.perf_counter() - began
    if len(content) > max_bytes:
        gaps = (f"{len(content)} bytes, {max_bytes} allowed",)
        return Sample(
            work.facet, name, SampleStatus.FAILED, SampleReason.TOO_LARGE, gaps=gaps, seconds=seconds, calls=calls
        )
    return Sample(work.facet, name, finding.status, finding.reason, content, finding.gaps, seconds, calls)


def _withheld(finding: Finding, texts: int) -> Finding:
    """Tell of texts that could not be searched; a reason that the analyser gave stays."""
    if not texts:
        return finding
    gaps = (*finding.gaps, f"{texts} texts can't be searched for personal data and were withheld")
    if finding.status is SampleStatus.COMPLETE:
        return finding._replace(status=SampleStatus.PARTIAL, reason=SampleReason.WITHHELD, gaps=gaps)
    return finding._replace(gaps=gaps)
