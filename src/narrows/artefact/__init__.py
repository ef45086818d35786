"""The model file: one safetensors file, sealed by a digest."""

from narrows.artefact.file import FORMAT_VERSION, Artefact, read_artefact, write_artefact

__all__ = ["FORMAT_VERSION", "Artefact", "read_artefact", "write_artefact"]
