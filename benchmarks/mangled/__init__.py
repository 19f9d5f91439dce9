"""Random and mangled bodies for every form tool, all the way: hook, store, router, form tool's API, books.

    python -m benchmarks.mangled --each 100000           # hours, for every provider
    python -m benchmarks.mangled --each 2000 meta zapier

Nothing may be answered with 5xx, nothing may be raised, and every submission must be accounted for.
"""
