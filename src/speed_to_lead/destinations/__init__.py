"""Destinations: the only package that talks to people. One file per kind; the registry is here."""
