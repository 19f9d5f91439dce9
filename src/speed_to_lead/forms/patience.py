"""Which form tools send a delivery again after 429, and wait as long as Retry-After says. All the others would drop the lead.

Typeform tries again every two or three minutes for ten hours, HubSpot honours Retry-After, Standard Webhooks and CloudEvents
slow down: their documents say so. Of Google Ads, Segment and HubSpot's neighbours among the page builders, 4xx means never
again; Calendly, LinkedIn, Webflow and Intercom switch a hook off that goes on refusing. `generic` is a program of one's
own, which is told in the documents that 429 means later.
"""

from typing import Final

WAITS_AFTER_429: Final = frozenset(("cloudevents", "generic", "hubspot", "standard_webhooks", "typeform"))
