"""How far answers may lie apart where arithmetic rounds: shares of the largest number of a layer, on some images."""

LAST_BITS = 1e-5
"""For logits behind layers that sum integers: another order of the last multiplications and additions."""

OWN_ORDER = 1e-4
"""For reals that are sums in another order."""
