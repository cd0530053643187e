"""Which model a library works with: chosen when it is first indexed, checked whenever it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import IndexMismatchError
from clipsearch.models.parity import spaces_agree

if TYPE_CHECKING:
    from clipsearch.models.encoder import Encoder

AUTO = "auto"
"""No model in particular: the library's own, or for a new library the best that can be had."""


class ModelSession:
    """The model of one library, loaded at most once.

    Attributes:
        loaded: the encoder at hand; ``None`` until one is needed.
        is_loaded_by_spec: whether the encoder is what its spec names, not one that the caller gave or wrapped.
    """

    def __init__(
        self,
        catalog: LazyCatalog,
        *,
        wanted: str,
        encoder: Encoder | None,
        load_by_spec: Callable[[str], Encoder],
        is_loaded_by_spec: bool,
        notify: Callable[[str], None],
    ) -> None:
        """Bind the parts; nothing is loaded.

        Args:
            catalog: of the library, which remembers the choice.
            wanted: a preset, any OpenCLIP name, or `AUTO`.
            encoder: use this one instead of loading one.
            load_by_spec: gives the encoder of a spec.
            is_loaded_by_spec: see there.
            notify: told in one line which model was chosen for want of a better one.
        """
        self._catalog = catalog
        self._wanted = wanted
        self._notify = notify
        self.loaded = encoder
        self.is_loaded_by_spec = is_loaded_by_spec
        self._load_by_spec = load_by_spec

    def check_wanted(self) -> None:
        """Refuse a model that is not the library's own.

        Raises:
            IndexMismatchError: the library was made with another one.
        """
        if self._wanted == AUTO:
            return
        model = self._catalog.active_model()
        if model is None:
            return
        from clipsearch.models.presets import resolve_preset

        if resolve_preset(self._wanted) != model.spec:
            raise IndexMismatchError(
                f"the library {self._catalog.directory} was made with the model {model.spec}, not {self._wanted}; "
                "leave out --model, or make another library with --library DIR"
            )

    def for_indexing(self) -> tuple[Encoder, ModelRecord]:
        """The library's encoder, chosen now if this is the first indexing, and its row in the catalog.

        Raises:
            ModelError: it cannot be loaded.
            IndexMismatchError: as `encoder_of`.
        """
        model = self._catalog.active_model()
        if model is not None:
            return self.encoder_of(model), model
        encoder = self.load(self._first_model())
        record = self._catalog.store.models.activate(
            spec=encoder.spec,
            fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            precision=encoder.precision,
            parity=encoder.parity,
        )
        return encoder, record

    def encoder_of(self, model: ModelRecord) -> Encoder:
        """The encoder of a model of the catalog.

        Raises:
            ModelError: it cannot be loaded.
            IndexMismatchError: its weights have changed since, or are rounded and their parity was never shown.
        """
        encoder = self.load(model.spec)
        if not spaces_agree(model, encoder):
            if (encoder.fingerprint, encoder.dim) == (model.fingerprint, model.dim):
                raise IndexMismatchError(
                    f"the weights of {model.spec} are rounded ({encoder.precision}; the library "
                    f"{self._catalog.directory} has {model.precision}), and that their embeddings may stand side by "
                    "side was never shown; compile the model again: clipsearch models compile"
                )
            raise IndexMismatchError(
                f"the model {model.spec} is no longer the one that the library {self._catalog.directory} was made with "
                f"(weights {encoder.fingerprint}, library {model.fingerprint}); "
                "put the old model back, or index again into another library with --library DIR"
            )
        return encoder

    def load(self, spec: str) -> Encoder:
        """The encoder of a spec; with `AUTO`, the one at hand if there is one."""
        if self.loaded is None or spec not in (self.loaded.spec, AUTO):
            self.loaded = self._load_by_spec(spec)
        return self.loaded

    def _first_model(self) -> str:
        if self._wanted != AUTO or self.loaded is not None:
            return self._wanted
        from clipsearch.models.presets import resolve_auto

        spec, notice = resolve_auto()
        if notice:
            self._notify(notice)
        return spec
