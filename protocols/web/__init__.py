"""Pages for people, rendered by the server: the driver's (of a Source) and the operator's console (of any node).

A page is a view of the same doors that the APIs open: it knows nothing that they do not tell. Without JavaScript it can
still be read and its forms work; with it, it shows by itself what changes.
"""
