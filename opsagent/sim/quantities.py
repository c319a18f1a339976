"""Kubernetes quantities: ``500m``, ``128Mi``, ``2``."""

import re

# Source: the API's serialisation format of resource.Quantity
_SCALE = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
_FORM = re.compile(r"([0-9]+(?:\.[0-9]*)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def parse_quantity(text: str) -> float:
    """Return the number behind ``text``: cores, bytes or a count.

    Raises:
        ValueError: the text is no quantity.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"quantities must match the regular expression {_FORM.pattern!r}")
    return float(found[1]) * _SCALE[found[2] or ""]
