"""Bundles as native libraries, which `python -m runtime build` compiles into the user's cache.

Read in this order: `cache` says where a library may be and when it is trusted, `library` calls one, `executor` runs a
bundle by it, `build` makes one.
"""
