"""Looking codes up: packed bits by Hamming distance, floats by cosine; the index that is kept.

``protocol.CodeIndex`` is the contract, ``kinds.make_index`` the table of what fulfils it in this
process, ``milvus_index`` the same on a server, and ``index.Index`` the file that users keep.
"""
