"""The callables that the environment names, wrapped as soon as their modules are imported.

A target that can't be wrapped costs one warning that says why; the host runs on.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from typing import TYPE_CHECKING, Final

from wrapt import register_post_import_hook
from wrapt.importer import ImportHookFinder  # type: ignore[import-untyped]  # wrapt types its main module only

from otel_benchmark.environment import TARGETS
from otel_benchmark.patches import Patches, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from otel_benchmark.environment import Target

logger = logging.getLogger(__name__)

MISSING_AFTER_S: Final = 30.0
"""A long-running host is told after this time of modules that don't exist, a short one when it exits."""


_RUNS_AS_MAIN: Final = (
    "%s: %s can't be wrapped from outside, since __main__ runs while it is imported; "
    "move it into a module, or decorate it with otel_benchmark"
)


class Targets:
    """Wraps the named callables now or at import; `remove` undoes it."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._patches = Patches()
        self._pending: dict[str, list[Target]] = {}
        self._active = True
        self._timer: threading.Timer | None = None
        for target in targets:
            if target.module == "__main__":
                logger.warning(_RUNS_AS_MAIN, TARGETS[target.kind], target)
            else:
                self._pending.setdefault(target.module, []).append(target)

    def install(self) -> None:
        """Wrap what is imported already, and watch for the import of the rest."""
        for module in list(self._pending):
            register_post_import_hook(self._hook(module), module)
        if self._pending:
            atexit.register(self.report_missing)
            self._timer = threading.Timer(MISSING_AFTER_S, self.report_missing)
            self._timer.daemon = True
            self._timer.name = "otel-benchmark-targets"
            self._timer.start()

    def remove(self) -> None:
        """Put the originals back; imports that are still to come are left alone."""
        self._active = False
        self._pending.clear()
        self._patches.undo()
        atexit.unregister(self.report_missing)
        if self._timer is not None:
            self._timer.cancel()

    def report_missing(self) -> None:
        """Warn, once each, of targets whose module does not exist, or is the one that was started."""
        for name, targets in list(self._pending.items()):
            if name in sys.modules:
                continue
            if _is_started(name):
                self._pending.pop(name, None)
                for target in targets:
                    logger.warning(_RUNS_AS_MAIN, TARGETS[target.kind], target)
            elif not module_exists(name):
                self._pending.pop(name, None)
                for target in targets:
                    logger.warning(
                        "%s: %s is not recorded, there is no module %s (sys.path of this process was searched)",
                        TARGETS[target.kind],
                        target,
                        name,
                    )

    def _hook(self, name: str) -> Callable[[ModuleType], None]:
        def wrap_targets(module: ModuleType) -> None:
            if not self._active:
                return
            # In reverse: where one callable is a task and an execution, the task is the outer span.
            for target in reversed(self._pending.pop(name, [])):
                try:
                    self._patches.apply(target, module)
                except TargetError as error:
                    logger.warning("%s: %s", TARGETS[target.kind], error)
                except Exception as error:  # noqa: BLE001 - an import of the host must not fail because of us
                    logger.warning("%s: %s could not be wrapped (%r)", TARGETS[target.kind], target, error)

        return wrap_targets


def _is_started(name: str) -> bool:
    """Tell whether `python -m` runs this module: as __main__, and never under its name."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == name


def module_exists(name: str) -> bool:
    """Tell whether a module could be imported, without importing it or its packages."""
    path = None
    parts = name.split(".")
    for index in range(len(parts)):
        qualified = ".".join(parts[: index + 1])
        if qualified in sys.modules:
            path = getattr(sys.modules[qualified], "__path__", None)
        else:
            spec = _find_spec(qualified, path)
            if spec is None:
                return False
            path = spec.submodule_search_locations
        if path is None and index + 1 < len(parts):
            return False
    return True


def _find_spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if isinstance(finder, ImportHookFinder):
            continue  # our own hook, which would import the packages on the way
        try:
            spec = finder.find_spec(name, path)
        except (ImportError, AttributeError, ValueError):
            continue
        if spec is not None:
            return spec
    return None
