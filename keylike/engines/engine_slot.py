"""A holder of the engine: loads it, and gives it to requests once it is ready."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

from structlog.stdlib import BoundLogger

from keylike.engines.contract import Engine
from keylike.errors import RETRY_AFTER_S, ModelError, ModelLoading
from keylike.observability.logs import places
from keylike.readers.contract import ReaderInfo
from keylike.readers.loading import why
from keylike.scheduling.admission import AdmissionControl


class EngineSlot:
    """A holder of the engine. Until the engine is loaded and warmed up, requests get ModelLoading.

    Args:
        load: Returns the engine of the configured model.
        slots: Admission control, which is opened with the engine's capacity.
        spare: Returns the engine to use if `load` fails. The attribute `reason` then says why.
        log: Receives the error if `load` or `spare` fails.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        slots: AdmissionControl,
        *,
        spare: Callable[[], Engine] | None = None,
        log: BoundLogger | None = None,
    ) -> None:
        self.reason: str | None = None
        self._load = load
        self._slots = slots
        self._spare = spare
        self._log = log
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._closed = False

    @classmethod
    def of(cls, engine: Engine, slots: AdmissionControl) -> EngineSlot:
        """Return a slot with an engine that is already loaded. It is not warmed up."""
        slot = cls(lambda: engine, slots)
        slot._publish(engine, None)
        return slot

    def load(self) -> None:
        """Load and warm up the engine, or the spare one if that fails, and admit requests.

        Raises:
            ModelError: Neither engine can be used.
        """
        engine, reason = self._attempt(self._load), None
        if isinstance(engine, str) and self._spare is not None:
            reason = engine
            # A reference cycle often keeps a half-loaded model alive, which may fill the memory.
            gc.collect()
            engine = self._attempt(self._spare)
        if isinstance(engine, str):
            cause = (
                engine
                if reason in (None, engine)
                else f"{reason}; the fallback reader failed too: {engine}"
            )
            raise ModelError(cause)
        self._publish(engine, reason)

    @property
    def ready(self) -> bool:
        """True if an engine is loaded."""
        return self._engine is not None

    @property
    def info(self) -> ReaderInfo | None:
        """Name, version and digest of the reader; None until it is ready."""
        return self._engine.info if self._engine else None

    @property
    def name(self) -> str | None:
        """Name and version of the reader, such as "caliper-1.0.0"; None until it is ready."""
        return self._engine.info.label if self._engine else None

    def engine(self) -> Engine:
        """Return the engine.

        Raises:
            ModelLoading: The engine is not ready yet.
        """
        if self._engine is None:
            raise ModelLoading("The model is still loading.", retry_after_s=RETRY_AFTER_S)
        return self._engine

    def waiting_since(self) -> list[float]:
        """Return the arrival times of photos that wait in the engine."""
        return self._engine.waiting_since() if self._engine else []

    def close(self, timeout_s: float = 5.0) -> bool:
        """Close the engine. An engine that is still loading is closed when it is loaded.

        Returns:
            True if all threads and processes of a loaded engine have stopped.
        """
        with self._lock:
            self._closed = True
            engine = self._engine
        return engine.close(timeout_s) if engine else True

    def _publish(self, engine: Engine, reason: str | None) -> None:
        with self._lock:
            closed = self._closed
            if not closed:
                self.reason = reason
                self._engine = engine
        if closed:
            engine.close()
            raise ModelError("the server was stopped while the model was loading")
        self._slots.open(engine.capacity)
        if reason is not None and self._log:
            self._log.warning("degraded", reason=reason, model=self.name)

    def _attempt(self, load: Callable[[], Engine]) -> Engine | str:
        """Return the engine, loaded and warmed up, or the reason why it cannot be used.

        The reason is a text, because an exception object would keep the half-loaded model alive.
        BaseException is caught because some native libraries raise it.
        """
        try:
            engine = load()
            engine.warm()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self._log and not isinstance(error, ModelError):
                self._log.error("model_crash", error=type(error).__name__, places=places(error))
            return why(error)
        return engine
