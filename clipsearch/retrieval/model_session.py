"""The model of a library: chosen at the first indexing, verified whenever it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import IndexMismatchError
from clipsearch.models.parity import spaces_agree
from clipsearch.text import Notify

if TYPE_CHECKING:
    from clipsearch.models.encoder import Encoder

AUTO = "auto"
"""The library's own model; for a new library the best one available."""


class ModelSession:
    """The model of one library, loaded at most once.

    Attributes:
        loaded: the encoder; ``None`` until it is needed.
        is_loaded_by_spec: whether the encoder is loaded by its spec, not passed in or wrapped by the caller.
    """

    def __init__(
        self,
        catalog: LazyCatalog,
        *,
        requested: str,
        encoder: Encoder | None,
        load_by_spec: Callable[[str], Encoder],
        load_for_indexing: Callable[[str], Encoder],
        is_loaded_by_spec: bool,
        notify: Notify,
    ) -> None:
        """Bind the parts; nothing is loaded.

        Args:
            catalog: of the library.
            requested: a preset, any OpenCLIP name, or `AUTO`.
            encoder: use this one instead of loading one.
            load_by_spec: loads the encoder of a spec, for queries.
            load_for_indexing: loads it to embed many images.
            is_loaded_by_spec: see above.
            notify: callback for one-line user notices.
        """
        self._catalog = catalog
        self._requested = requested
        self._notify = notify
        self.loaded = encoder
        self.is_loaded_by_spec = is_loaded_by_spec
        self._load_by_spec = load_by_spec
        self._load_for_indexing = load_for_indexing

    def check_requested(self) -> None:
        """Refuse a model other than the library's own.

        Raises:
            IndexMismatchError: the library was made with another model.
        """
        if self._requested == AUTO:
            return
        model = self._catalog.active_model()
        if model is None:
            return
        from clipsearch.models.presets import resolve_preset

        if resolve_preset(self._requested) != model.spec:
            raise IndexMismatchError(
                f"the library {self._catalog.directory} was made with the model {model.spec}, not {self._requested}; "
                "omit --model, or use another library with --library DIR"
            )

    def for_indexing(self) -> tuple[Encoder, ModelRecord]:
        """The library's encoder and its row in the catalog; at the first indexing the model is chosen.

        Raises:
            ModelError: the model cannot be loaded.
            IndexMismatchError: as `encoder_of`.
        """
        model = self._catalog.active_model()
        if model is not None:
            return self.encoder_of(model, for_indexing=True), model
        encoder = self.load(self._first_model(), for_indexing=True)
        record = self._catalog.store.models.activate(
            spec=encoder.spec,
            fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            precision=encoder.precision,
            parity=encoder.parity,
        )
        return encoder, record

    def encoder_of(self, model: ModelRecord, *, for_indexing: bool = False) -> Encoder:
        """The encoder of a model of the catalog.

        Raises:
            ModelError: the model cannot be loaded.
            IndexMismatchError: its weights have changed, or are quantized without a passed parity check.
        """
        encoder = self.load(model.spec, for_indexing=for_indexing)
        if not spaces_agree(model, encoder):
            if (encoder.fingerprint, encoder.dim) == (model.fingerprint, model.dim):
                raise IndexMismatchError(
                    f"{model.spec} has weights in {encoder.precision}, the library {self._catalog.directory} has "
                    f"embeddings in {model.precision}, and no parity check shows that they are compatible; compile the "
                    "model again: clipsearch models compile"
                )
            raise IndexMismatchError(
                f"the weights of {model.spec} have changed since the library {self._catalog.directory} was made "
                f"(now {encoder.fingerprint}, library {model.fingerprint}); "
                f"restore the old model, or use the new one: clipsearch migrate --model {model.spec}"
            )
        return encoder

    def load(self, spec: str, *, for_indexing: bool = False) -> Encoder:
        """Load the encoder of a spec; `AUTO` accepts the one already loaded."""
        if self.loaded is None or spec not in (self.loaded.spec, AUTO):
            self.loaded = (self._load_for_indexing if for_indexing else self._load_by_spec)(spec)
        return self.loaded

    def _first_model(self) -> str:
        if self._requested != AUTO or self.loaded is not None:
            return self._requested
        from clipsearch.models.presets import resolve_auto

        spec, notice = resolve_auto()
        if notice:
            self._notify(notice)
        return spec
