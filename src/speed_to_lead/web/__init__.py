"""HTTP in.

app.py        puts it together: /hooks/ goes to the bare route, everything else through the guard
hooks.py      POST /hooks/{form}: genuine? stored? exactly 200. The route that carries the load
hints.py      tells the router that something waits, without keeping anybody waiting
guard.py      keys and their scopes, body limits and security headers of everything that is no hook
headers.py    the security headers
room.py       how many bytes of bodies are held at once
forgeries.py  a burst of wrong signatures at one form is told to somebody
failures.py   how often an address gave a wrong key or signature lately
api.py        /v1 for programs: leads in, leads out, responses
submitted.py  leads a program posts: one or NDJSON, checked before they are stored
reference.py  /docs: the API described on one plain page
errors.py     every failure as {"error": sentence}, without a value of the request
serve.py      the process: bind, run, stop
protocol.py   HTTP/1.1 with a limit for what comes before the body
"""

from speed_to_lead.web.app import create_app
from speed_to_lead.web.serve import serve

__all__ = ["create_app", "serve"]
