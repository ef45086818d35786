"""Variants: named choices of pieces. A new variant is one new file and one line here."""

from narrows.variants.contractive import contractive
from narrows.variants.convolutional import convolutional
from narrows.variants.denoising import denoising
from narrows.variants.dictionary import dictionary
from narrows.variants.document import document
from narrows.variants.hashing import hashing
from narrows.variants.linear import linear
from narrows.variants.plain import plain
from narrows.variants.sparse import sparse
from narrows.variants.stacked import stacked
from narrows.variants.tied import tied
from narrows.variants.top_k import top_k
from narrows.variants.variational import variational
from narrows.variants.vector_quantized import vector_quantized

__all__ = ["VARIANTS"]

VARIANTS = {
    "contractive": contractive,
    "convolutional": convolutional,
    "denoising": denoising,
    "dictionary": dictionary,
    "document": document,
    "hashing": hashing,
    "linear": linear,
    "plain": plain,
    "sparse": sparse,
    "stacked": stacked,
    "tied": tied,
    "top_k": top_k,
    "variational": variational,
    "vector_quantized": vector_quantized,
}
