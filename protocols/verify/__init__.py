"""`node.py verify`: the proof for a partner we cannot see into, from outside and before going live.

It plays the other role, the user's app and, where allowed, the charging station; what it does is drawn by Hypothesis
from flows that our own charts know the right outcome of, and a failure is shrunk to the shortest conversation.
"""
