"""How soon a first response is due, and when each rung of the ladder comes: design words, exact arithmetic.

H1 fills in: see the helper brief.
"""
