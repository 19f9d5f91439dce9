"""The only package that talks to CRMs: it asks them whose a lead is (`core/lookup.py` says what, and reads the answer)."""

from speed_to_lead.crm.lookups import Lookups

__all__ = ["Lookups"]
