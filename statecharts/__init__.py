"""WHAT may happen: charts as data, pure functions over them, and the vocabulary of the house. No I/O, no trio."""
