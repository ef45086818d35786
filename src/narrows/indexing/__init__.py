"""Search codes: packed bits by Hamming distance, floats by cosine.

``index.Index`` is the index that users save and load. ``protocol.CodeIndex`` is the contract of
the search structures behind it: ``kinds.make_index`` makes those in memory, and ``milvus_index``
searches on a Milvus server.
"""
