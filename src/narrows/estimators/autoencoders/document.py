"""The document autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.autoencoders.text_autoencoder import TextAutoencoder
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented
from narrows.fitting.auto_settings import DOCUMENTS, LAYERS_OF_WORDS
from narrows.training.layerwise import LayerwisePretraining

__all__ = ["DocumentAutoencoder"]


@documented
class DocumentAutoencoder(TextAutoencoder):
    """Learn a short code of documents, from texts or word counts.

    A document is treated as a distribution over words: the input is the proportion of each word,
    the output a softmax over all words, and the loss the multinomial cross-entropy. Long and short
    documents have the same weight. Codes are compared by cosine. X is a list or column of strings,
    the result of ``narrows.read_documents``, or counts (n_samples, n_features), CSR or dense. For
    texts, ``fit`` learns the vocabulary, which is stored in the model file.

    An epoch takes time O(n_samples x vocabulary x last hidden width), and the output of a batch
    takes memory for batch_size x vocabulary numbers; the input layer only reads the words that
    occur. For vocabularies of tens of thousands of words see ``sampled_words``.

    Parameters
    ----------
    n_components : int, default=10
        Width of the code.
    max_features : ...
    min_df : ...
    max_df : ...
    stop_words : ...
    stemmer : ...
    token_pattern : ...
    analyzer : ...
    ngram_range : ...
    n_neighbors : ...
    neighbors_by : ...
    pretrain : {"denoising", "rbm"} or None, default=None
        How to pretrain the layers one by one: as denoising autoencoders that drop a quarter of
        the words or units, or as restricted Boltzmann machines, the lowest a replicated softmax,
        which need activation="sigmoid".
    pretrain_epochs : int, default=5
        Passes over the data to pretrain each layer.
    sampled_words : int, default=0
        If k > 0, the softmax in training covers the words of the batch and k others, drawn in
        every step, instead of all words. Needs CSR counts, and no ``n_neighbors``.
    hidden : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none. "auto" is
        none for fewer than 8,000 documents, otherwise (128,).
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation between dense layers; the output is linear.
    code_activation : str, default="linear"
        Activation of the code, from the same list.
    corruption : str, spec, corruption or None, default="masking:0.5"
        Corruption x -> x~ in training; masking drops words.
    loss : {"multinomial", "squared_error", "bernoulli"} or a loss, default="multinomial"
        Reconstruction loss of the scaled rows.
    penalties : ...
    encoder : ...
    decoder : ...
    scale : {"tfidf", "proportions"} or another of ``Autoencoder``, default="tfidf"
        "proportions" divides counts by their sum, as in the paper; "tfidf" divides log counts,
        with rare words weighted more, which improves retrieval of related documents.
    linear_start : bool, default=True
        Whether training starts at latent semantic analysis (LSA): the singular vectors of rows that
        are scaled to length 1. Hidden layers are added beside this linear code. With False, with
        ``pretrain`` and with an encoder or decoder of your own, it starts at random weights, and
        "auto" is 500-250-125 units, 20 epochs, and a rate of 0.002.
    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the data. The learning rate warms up over the first tenth,
        then decays as a cosine. "auto" makes 40 passes, or more for 160 steps, up to 160 passes:
        nets that start at LSA soon overfit.
    batch_size : int or "auto", default="auto"
        Documents per step; "auto" is 128, or 256 of 12,000 or more.
    learning_rate : float or "auto", default="auto"
        Peak learning rate of Adam; "auto" is 0.005.
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Vocabulary, if fitted to texts, with ``terms``, ``document_frequencies``, ``n_documents``
        and ``count(texts)``.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``. The other attributes are as in
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid; if no word of the texts is left, naming
        the rule that dropped the last ones.

    Warns
    -----
    EmptyDocumentWarning
        If a text has no word of the vocabulary; all such texts get the same code.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313.

    Examples
    --------
    >>> from narrows import DocumentAutoencoder
    >>> texts = ["the cat sat on the mat", "cats and dogs", "stocks fell", "shares and stocks"] * 8
    >>> ae = DocumentAutoencoder(2, validation_fraction=0.0, random_state=0).fit(texts)
    >>> ae.transform(["a dog on a mat"]).shape
    (1, 2)
    >>> ae.vocabulary_.terms[:3]
    ('cat', 'dog', 'fell')
    """

    pretrain: str | None
    pretrain_epochs: int
    sampled_words: int

    def __init__(
        self,
        n_components: int = 10,
        *,
        max_features: int | None = 10_000,
        min_df: int | float = 1,
        max_df: int | float = 1.0,
        stop_words: str | Sequence[str] | None = "english",
        stemmer: str | None = "porter",
        token_pattern: str | None = None,
        analyzer: str = "auto",
        ngram_range: str | Sequence[int] = "auto",
        n_neighbors: int | None = None,
        neighbors_by: str = "auto",
        pretrain: str | None = None,
        pretrain_epochs: int = 5,
        sampled_words: int = 0,
        hidden: Sequence[int] | str = "auto",
        activation: str = "silu",
        code_activation: str = "linear",
        corruption: Any = "masking:0.5",
        loss: Any = "multinomial",
        penalties: Any = (),
        encoder: Any = None,
        decoder: Any = None,
        scale: str = "tfidf",
        linear_start: bool = True,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        validation_fraction: float | str = "auto",
        patience: int | str | None = "auto",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def _choice(self) -> Choice:
        activation_named(self.code_activation)
        pretraining = None
        if self.pretrain is not None:
            if self.encoder is not None or self.decoder is not None:
                raise UsageError(
                    "pretrain: trains the layers of a dense net, and cannot train an encoder or "
                    "decoder of your own; use pretrain=None."
                )
            pretraining = LayerwisePretraining(
                method=self.pretrain, max_epochs=int(self.pretrain_epochs)
            )
        shape = self._shape(always_path=True)
        if self.pretrain is not None:
            shape.pop("linear_path", None)
        parameters = {
            **shape,
            "code_activation": self.code_activation,
            **self._slots(encoder=self.encoder, decoder=self.decoder),
        }
        return Choice(
            "document",
            parameters,
            pretraining=pretraining,
            n_neighbors=self.n_neighbors,
            neighbors_by=self.neighbors_by,
            sampled_words=self.sampled_words,
            only_counts=True,
            auto=DOCUMENTS,
            auto_otherwise=LAYERS_OF_WORDS,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("sampled_words", self.sampled_words, low=0, integer=True)
        check_number("pretrain_epochs", self.pretrain_epochs, low=1, integer=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
