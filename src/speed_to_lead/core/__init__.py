"""The decisions: pure functions over plain values. No clock, no I/O, no third-party imports.

Time comes in as an argument (`now`, an aware datetime); an answer goes out as a value the caller applies.
"""
