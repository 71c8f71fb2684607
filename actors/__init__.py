"""WHO does it: one trio task per station, transaction and peer, owning its state, its journal and its effects."""
