"""Before anything of Narrows is imported: named axes are checked where arrays are annotated."""

from jaxtyping import install_import_hook

# the ranks that annotate arrays; the checker has no use for the rest
_CHECKED = (
    "narrows.augmentations",
    "narrows.baseline",
    "narrows.corruptions",
    "narrows.decoders",
    "narrows.encoders",
    "narrows.losses",
    "narrows.objective",
    "narrows.penalties",
    "narrows.slots",
    "narrows.variants",
)

install_import_hook(_CHECKED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
