"""Write and read model files: safetensors files that contain their own digest."""

from narrows.artefact.file import FORMAT_VERSION, Artefact, read_artefact, write_artefact

__all__ = ["FORMAT_VERSION", "Artefact", "read_artefact", "write_artefact"]
