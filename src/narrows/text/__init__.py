"""Read documents, split them into terms, and count the terms."""

from narrows.text.analyzer import Analyzer
from narrows.text.documents import Document, Documents, as_documents
from narrows.text.readers import looks_like_documents, read_documents
from narrows.text.vocabulary import Vocabulary, empty_rows, share_unknown

__all__ = [
    "Analyzer",
    "Document",
    "Documents",
    "Vocabulary",
    "as_documents",
    "empty_rows",
    "looks_like_documents",
    "read_documents",
    "share_unknown",
]
