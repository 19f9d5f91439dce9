"""Every kind of mistake, one at a time, in its exact words: what, where, and what to write instead.

Each row: the file, what stands in the small config, what replaces it, and the only mistake this may cause.
"""

import pytest
from tests.config.builders import ConfigDirectory

# fmt: off
MISTAKES = [
    ("slas.toml", 'reassign = true, name = "late"', 'repeat = "15"',
     'slas.fast.steps[2] "100%": repeat: "15" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
    ("slas.toml", 'reassign = true, name = "late"', "times = 3",
     'slas.fast.steps[2] "100%": times only means something with repeat, such as repeat = "15m"; add that, or remove times'),
    ("slas.toml", 'reassign = true, name = "late"', 'repeat = "15m", times = 51',
     'slas.fast.steps[2] "100%": times is the number 51; it takes a whole number from 1 to 50, without quotes'),
    ("slas.toml", 'name = "late" },', 'name = "late", repeat = "15m" }, { at = "+1h", tell = "rep", name = "late#2" },',
     'slas.fast.steps[3] "late#2": two steps are named "late#2"; give one of them a name of its own'),
    ("slas.toml", 'reassign = true, name = "late"', 'only_when = "londn"',
     'slas.fast.steps[2] "100%": only_when: calendar "londn" is unknown; did you mean "london"?'),
    ("slas.toml", '["manager", "desk"]', '["level:0"]',
     'slas.fast.steps[2] "late": alert: destination "level:0" is unknown; expected "console", "desk", "manager", "managers", "rep" or "team"'),
    ("slas.toml", 'respond_within = "5m"', 'respond_within = "5m"\nhold = "ten"',
     'slas.fast: hold: "ten" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
    ("teams.toml", 'assignment = "least_open"', 'levels = ["desc"]',
     'teams.triage: levels: destination "desc" is unknown; did you mean "desk"?'),
    ("alerts.toml", 'to = ["desk@example.com"]', 'to = ["desk@example.com"]\nquiet_outside = "londn"',
     'destinations.desk: quiet_outside: calendar "londn" is unknown; did you mean "london"?'),
    ("alerts.toml", 'to = ["desk@example.com"]', 'to = ["desk@example.com"]\ndigest_within = "1m"',
     "destinations.desk: digest_within only means something with digest_over, such as digest_over = 20; add that"),
    ("alerts.toml", 'to = ["desk@example.com"]', 'to = ["desk@example.com"]\ndigest_over = 20\ndigest_within = "2h"',
     'destinations.desk: digest_within is "2h"; an hour is the most that anybody should wait'),
    ("alerts.toml", 'to = ["desk@example.com"]', 'to = ["desk@example.com"]\nquiet_breaches = true',
     "destinations.desk: quiet_breaches only means something with quiet_outside, the name of a calendar; add that"),
    ("sources.toml", 'motion = "inbound"\naliases', 'motion = "inbund"\naliases',
     'sources.demo_request: motion "inbund" is unknown; did you mean "inbound"?'),
    ("sources.toml", 'motion = "referral"', "",
     'sources.customer_referral: "motion" is missing; it takes "inbound", "referral", "partner", "event" or "outbound"'),
    ("sources.toml", 'aliases = ["Book a demo"]', 'aliases = ["Paid-Search"]',
     'sources.demo_request: "Paid-Search" already means the source "paid_search"; one word means one source'),
    ("sources.toml", 'aliases = ["Book a demo"]', 'alias = ["x"]',
     'sources.demo_request: "alias" is an unknown key; did you mean "aliases"?'),
    ("sources.toml", 'aliases = ["Book a demo"]', "aliases = [1]",
     'sources.demo_request: aliases is the number 1; it takes a list of texts such as ["book a demo"]'),
    ("sources.toml", "sources.customer_referral", "sources.Customer-Referral",
     'sources.Customer-Referral: "Customer-Referral" cannot be a source\'s name; use a-z, 0-9 and _'),
    ("sources.toml", "[sources.customer_referral]", "[sources.unknown]",
     'sources.unknown: the source "unknown" is built in, for leads of which nothing tells the source; choose another name'),
    ("sources.toml", 'source = "paid_search"', 'source = "paid_serach"',
     'detect[1]: source "paid_serach" is unknown; did you mean "paid_search"?'),
    ("sources.toml", "utm_medium", "utm_medum",
     'detect[1]: when.utm_medum: "utm_medum" is no field of a lead; did you mean "utm_medium"?'),
    ("sources.toml", 'when.utm_medium = ["cpc", "paid*"]', 'when.motion = "inbound"',
     'detect[1]: when.motion: "motion" is not known yet where this is asked; only rules can ask for it'),
    ("sources.toml", 'when.utm_medium = ["cpc", "paid*"]', "when = {}",
     'detect[1]: when is empty; leave it out, or write a condition such as when.country = "US"'),
    ("routing.toml", "when.custom.plan", "when.received.weekday",
     'rules[1] "Big demo": when.received.weekday: received.weekday "pro" is unknown; expected "fri", "mon", "sat", "sun", "thu", "tue" or "wed"'),
    ("routing.toml", 'when.custom.plan = "pro"', 'when.received.weekday = "saturday"',
     'rules[1] "Big demo": when.received.weekday: received.weekday "saturday" is unknown; did you mean "sat"?'),
    ("routing.toml", 'when.custom.plan = "pro"', "when.recieved.hour = 9",
     'rules[1] "Big demo": when.recieved.hour: "recieved.hour" is no field of a lead; did you mean "received.hour"?'),
    ("routing.toml", 'when.custom.plan = "pro"', "when.received.hours = 9",
     'rules[1] "Big demo": when.received.hours: "received.hours" is no field of a lead; did you mean "received.hour"?'),
    ("routing.toml", 'when.custom.plan = "pro"', "when.received.hour = 24",
     'rules[1] "Big demo": when.received.hour: received.hour is never 24; it is from 0 to 23'),
    ("routing.toml", 'when.custom.plan = "pro"', 'when.received.hour = { at_least = "9" }',
     'rules[1] "Big demo": when.received.hour: the text "9" is no received.hour; write a whole number without quotes'),
    ("routing.toml", 'when.custom.plan = "pro"', "when.touches = { missing = true }",
     'rules[1] "Big demo": when.touches: missing: touches is always a number; compare it by a value, at_least or at_most'),
    ("routing.toml", 'when.custom.plan = "pro"', 'when.flags = ["honypot"]',
     'rules[1] "Big demo": when.flags: flags "honypot" is unknown; did you mean "honeypot"?'),
    ("routing.toml", 'when.custom.plan = "pro"', 'when.email_kind = "private"',
     'rules[1] "Big demo": when.email_kind: email_kind "private" is unknown; expected "free" or "work"'),
    ("routing.toml", 'when.custom.plan = "pro"', 'when.company_domian = "acme.example"',
     'rules[1] "Big demo": when.company_domian: "company_domian" is no field of a lead; did you mean "company_domain"?'),
    ("routing.toml", 'team = "inbound"\nsla = "same-day"', 'nurture = "dask"',
     'rules[2] "Referral": nurture: destination "dask" is unknown; did you mean "desk"?'),
    ("routing.toml", 'team = "inbound"\nsla = "same-day"', 'nurture = "desk"\nsla = "same-day"',
     'rules[2] "Referral": nurture and sla exclude each other: who is nurtured has no rep and no clock; keep one of them'),
    ("routing.toml", 'team = "inbound"\nsla = "same-day"', 'nurtur = "desk"',
     'rules[2] "Referral": "nurtur" is an unknown key; did you mean "nurture"?'),
    ("routing.toml", "[default]", '[default]\nnurture = "desk"',
     'default: "nurture" is an unknown key; expected "keep_with", "owner_from", "sla" or "team"'),
    ("routing.toml", "[default]", '[received]\ncalendar = "londn"\n[default]',
     'received: calendar "londn" is unknown; did you mean "london"?'),
    ("routing.toml", "[default]", "[received]\n[default]",
     'received: "calendar" is missing; it takes the name of a calendar of teams.toml'),
    ("sources.toml", "[[detect]]", "[[detekt]]",
     '"detekt" is an unknown key; did you mean "detect"?'),
    ("sources.toml", "[[detect]]", "[detect]",
     "detect is a table; it takes a list of tables: write [[detect]]"),
    ("teams.toml", '"Europe/London"', '"Europe/Londn"',
     'calendars.london: time zone "Europe/Londn" is unknown; did you mean "Europe/London"?'),
    ("teams.toml", 'timezone = "Europe/London"', "timezone = 1",
     'calendars.london: timezone is the number 1; it takes an IANA time zone such as "Europe/London"'),
    ("teams.toml", 'timezone = "Europe/London"', 'timezon = "Europe/London"',
     'calendars.london: "timezon" is an unknown key; did you mean "timezone"?'),
    ("teams.toml", "mon-thu", "mon-thurs",
     'calendars.london.hours: "mon-thurs": "thurs" is not a weekday; expected "mon" or "mon-fri"; did you mean "thursday"?'),
    ("teams.toml", '"09:00-12:00"', '"9-12"',
     'calendars.london.hours: mon-thu: "9-12" is not a span; expected two times such as "09:00-12:00", "22:00-06:00" (overnight) or "00:00-24:00"'),
    ("teams.toml", 'fri = "09', 'thu-fri = "09',
     'calendars.london.hours: Thursday is given twice, the second time in "thu-fri"; give each day once'),
    ("teams.toml", '{ mon-sun = ["00:00-24:00"] }', "{ mon = [] }",
     "calendars.always: it is never open in the coming year, so no deadline could be counted; give it more hours"),
    ("teams.toml", '{ mon-sun = ["00:00-24:00"] }', "{}",
     'calendars.always: hours is empty; it takes hours by weekday such as { mon-thu = ["09:00-12:00", "13:00-17:30"], fri = ["09:00-16:00"] }'),
    ("teams.toml", '{ mon-sun = ["00:00-24:00"] }', '"always"',
     'calendars.always: hours is the text "always"; it takes hours by weekday such as { mon-thu = ["09:00-12:00", "13:00-17:30"], fri = ["09:00-16:00"] }'),
    ("teams.toml", '"GB"', '"G8"',
     'calendars.london.holidays: country "G8" is unknown; expected a code such as "US"'),
    ("teams.toml", '"ENG"', '"EGN"',
     'calendars.london.holidays: subdivision "EGN" of GB is unknown; did you mean "ENG"?'),
    ("teams.toml", 'country = "GB", ', "",
     'calendars.london.holidays: subdivision needs a country: write country = "US" beside it'),
    ("teams.toml", '"2026-12-24"', '"24.12.2026"',
     'calendars.london.holidays: add: the text "24.12.2026" is no date; it takes a date such as "2026-12-24"'),
    ("teams.toml", "add =", "plus =",
     'calendars.london.holidays: "plus" is an unknown key; expected "add", "country", "remove" or "subdivision"'),
    ("teams.toml", 'calendar = "always"\nmanager', 'calendar = "allways"\nmanager',
     'teams.inbound: calendar "allways" is unknown; did you mean "always"?'),
    ("teams.toml", 'manager = "managers"', 'manager = "manager"',
     'teams.inbound: manager: destination "manager" is unknown; did you mean "managers"?'),
    ("teams.toml", 'manager = "managers"\n', "",
     'teams.inbound: "manager" is missing; it takes a destination: who hears of breaches'),
    ("teams.toml", '"least_open"', '"least-open"',
     'teams.triage: assignment "least-open" is unknown; did you mean "least_open"?'),
    ("teams.toml", "weight = 2", 'weight = "2"',
     'teams.inbound.reps[1] "ana": weight is the text "2"; it takes a whole number from 1 to 100, without quotes'),
    ("teams.toml", "weight = 2", "weight = 0",
     'teams.inbound.reps[1] "ana": weight is the number 0; it takes a whole number from 1 to 100, without quotes'),
    ("teams.toml", "weight = 2", "weight = true",
     'teams.inbound.reps[1] "ana": weight is true; it takes a whole number from 1 to 100, without quotes'),
    ("teams.toml", "max_open = 25", "max_open = -1",
     'teams.inbound.reps[1] "ana": max_open is the number -1; it takes a whole number from 1 to 1000000, without quotes'),
    ("teams.toml", "max_open = 25", "max_open = 2.5",
     'teams.inbound.reps[1] "ana": max_open is the number 2.5; it takes a whole number from 1 to 1000000, without quotes'),
    ("teams.toml", 'notify = "desk"', 'notify = "dsk"',
     'teams.inbound.reps[1] "ana": notify: destination "dsk" is unknown; did you mean "desk"?'),
    ("teams.toml", 'id = "ben"', 'id = "ana"',
     'teams.inbound.reps[2] "ana": rep "ana" is twice in this team; give the other one an id of their own'),
    ("teams.toml", 'id = "ben"', "",
     'teams.inbound.reps[2]: "id" is missing; it takes a short name such as "ana"'),
    ("teams.toml", 'id = "ben"', 'id = "b en"',
     'teams.inbound.reps[2] "b en": id "b en" cannot be a rep\'s id; use letters, digits, dot, _ and -'),
    ("teams.toml", "2026-12-20..2027-01-02", "2027-12-20..2027-01-02",
     'teams.inbound.reps[1] "ana": away: "2027-12-20..2027-01-02" ends before it starts; write the earlier day first'),
    ("teams.toml", "2026-12-20..2027-01-02", "2026-12-20 to 2027-01-02",
     'teams.inbound.reps[1] "ana": away: the text "2026-12-20 to 2027-01-02" is no leave; it takes a day such as "2026-12-24" or days such as "2026-12-20..2027-01-02"'),
    ("teams.toml", "max_open = 25", 'max_open = 25\ncooldown = "5 minutes"',
     'teams.inbound.reps[1] "ana": cooldown: "5 minutes" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
    ("teams.toml", "max_open = 25", "max_open = 25\nmax_a_day = 0",
     'teams.inbound.reps[1] "ana": max_a_day is the number 0; it takes a whole number from 1 to 1000000, without quotes'),
    ("teams.toml", '"least_open"', '"least_open"\nwhen_nobody = "que"',
     'teams.triage: when_nobody "que" is unknown; it takes "next_on_shift", "queue", or another team such as "team:triage"'),
    ("teams.toml", '"least_open"', '"least_open"\nwhen_nobody = "team:inbund"',
     'teams.triage: when_nobody: team "inbund" is unknown; did you mean "inbound"?'),
    ("teams.toml", '"least_open"', '"least_open"\nwhen_nobody = "team:triage"',
     "teams.triage: when_nobody: it names this team itself; name another one"),
    ("teams.toml", '"least_open"', '"least_open"\nwhen_no_match = "anybody"',
     'teams.triage: when_no_match only means something with assignment = "by_field"; remove it'),
    ("teams.toml", '"least_open"', '"least_open"\nmatch = { language = "custom.language" }',
     'teams.triage: match only means something with assignment = "by_field"; add that, or remove match'),
    ("teams.toml", 'id = "cleo"', 'id = "cleo"\nattributes = { language = "de" }',
     'teams.triage.reps[1] "cleo": attributes: match does not ask for "language"; the team has no match'),
    ("slas.toml", '"5m"', "5",
     'slas.fast: respond_within is the number 5; it takes a duration in quotes, such as "90s", "5m", "24h" or "3d"'),
    ("slas.toml", '"5m"', '"5 minutes"',
     'slas.fast: respond_within: "5 minutes" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
    ("slas.toml", 'respond_within = "5m"', 'respond_within = "5m"\nrespond_by = "close_of_business"',
     "slas.fast: it has both respond_within and respond_by, which are two deadlines; keep one"),
    ("slas.toml", 'respond_within = "5m"\n', "",
     'slas.fast: it has no deadline; write respond_within = "5m" or respond_by = "close_of_business"'),
    ("slas.toml", "respond_within", "respond_withn",
     'slas.fast: "respond_withn" is an unknown key; did you mean "respond_within"?'),
    ("slas.toml", '"close_of_business"', '"close-of-busines"',
     'slas.same-day: respond_by "close-of-busines" is unknown; did you mean "close_of_business"?'),
    ("slas.toml", '"16:00"', '"4pm"',
     'slas.same-day: cutoff is the text "4pm"; it takes a local time in quotes, such as "16:00"'),
    ("slas.toml", 'respond_within = "5m"', 'respond_within = "5m"\ncutoff = "16:00"',
     'slas.fast: cutoff only means something with respond_by = "close_of_business"; remove it'),
    ("slas.toml", 'respond_within = "5m"', 'respond_within = "5m"\nclock = "buisness"',
     'slas.fast: clock "buisness" is unknown; did you mean "business"?'),
    ("slas.toml", 'at = "0%"', 'at = "0"',
     'slas.fast.steps[1] "0": at: "0" is not the time of a step; expected a share of the time to the deadline such as "60%", or a time from the deadline such as "+10m" or "-10m"'),
    ("slas.toml", '{ at = "0%", tell', "{ tell",
     'slas.fast.steps[1]: "at" is missing; it takes a time such as "60%", "+10m" or "-5m"'),
    ("slas.toml", 'tell = "rep"', 'tel = "rep"',
     'slas.fast.steps[1] "0%": "tel" is an unknown key; did you mean "tell"?'),
    ("slas.toml", 'tell = "rep"', 'tell = "reps"',
     'slas.fast.steps[1] "0%": tell: destination "reps" is unknown; did you mean "rep"?'),
    ("slas.toml", ', tell = "rep"', "",
     'slas.fast.steps[1] "0%": it does nothing; add tell, remind, alert or reassign, such as alert = ["manager"]'),
    ("slas.toml", "reassign = true", 'reassign = "yes"',
     'slas.fast.steps[2] "late": reassign is the text "yes"; it takes true or false, without quotes'),
    ("slas.toml", 'name = "late"', 'name = "0%"',
     'slas.fast.steps[2] "0%": two steps are named "0%"; give one of them a name of its own'),
    ("slas.toml", 'name = "late"', 'name = "too late"',
     'slas.fast.steps[2] "too late": name "too late" cannot name a step; use up to 64 characters, no colon, no ~ and no blanks'),
    ("slas.toml", 'name = "late"', 'name = "moved-1"',
     'slas.fast.steps[2] "moved-1": name "moved-1" cannot name a step; the program itself names steps so in alerts and in history; choose another'),
    ("slas.toml", 'name = "late"', 'name = "completed"',
     'slas.fast.steps[2] "completed": name "completed" cannot name a step; the program itself names steps so in alerts and in history; choose another'),
    ("slas.toml", 'cutoff = "16:00"', "steps = []",
     "slas.same-day: steps is empty, so nobody would hear of a breach; leave it out for the default steps"),
    ("routing.toml", 'name = "Big demo"\n', "",
     'rules[1]: "name" is missing; it takes a text that people will read in traces'),
    ("routing.toml", '"Referral"', '"Big demo"',
     'rules[2] "Big demo": rule 1 has the same name; traces and reports need each name once'),
    ("routing.toml", '"Referral"', '"default"',
     'rules[2] "default": the name "default" belongs to [default]; choose another'),
    ("routing.toml", 'team = "inbound"', 'team = "inbond"',
     'rules[1] "Big demo": team "inbond" is unknown; did you mean "inbound"?'),
    ("routing.toml", 'sla = "fast"', 'sla = "fats"',
     'rules[1] "Big demo": SLA "fats" is unknown; did you mean "fast"?'),
    ("routing.toml", 'sla = "fast"\n', "",
     'rules[1] "Big demo": "sla" is missing; it takes the name of an SLA'),
    ("routing.toml", '[default]\nteam = "triage"\nsla = "same-day"', "",
     '"default" is missing; it takes the team and sla of every lead that no rule matches: write [default]'),
    ("routing.toml", "[default]", '[default]\nwhen.country = "US"',
     'default: it catches every lead that no rule matches, so it has no "when"; write [[rules]] instead'),
    ("routing.toml", "[[rules]]", "[[rule]]",
     '"rule" is an unknown key; did you mean "rules"?'),
    ("routing.toml", '"demo_request"', '"demo_reqest"',
     'rules[1] "Big demo": when.source: source "demo_reqest" is unknown; did you mean "demo_request"?'),
    ("routing.toml", '"demo_request"', '"Book a demo"',
     'rules[1] "Big demo": when.source: source "Book a demo" is a label or alias; rules use the name, "demo_request"'),
    ("routing.toml", '"demo_request"', '"chat*"',
     'rules[1] "Big demo": when.source: no source is named like "chat*"'),
    ("routing.toml", '"demo_request"', "5",
     'rules[1] "Big demo": when.source: the number 5 is no source; write its name in quotes'),
    ("routing.toml", 'motion = "referral"', 'motion = "referal"',
     'rules[2] "Referral": when.motion: motion "referal" is unknown; did you mean "referral"?'),
    ("routing.toml", "at_least", "at_leest",
     'rules[1] "Big demo": when.employees: "at_leest" is no comparison; did you mean "at_least"?'),
    ("routing.toml", "500", '"many"',
     'rules[1] "Big demo": when.employees: at_least takes a number, not \'many\''),
    ("routing.toml", "500", "nan",
     'rules[1] "Big demo": when.employees: at_least: the number nan cannot be compared; write an ordinary number'),
    ("routing.toml", "when.employees", "when.employes",
     'rules[1] "Big demo": when.employes: "employes" is no field of a lead; did you mean "employees"?'),
    ("routing.toml", "when.employees", "when.plan",
     'rules[1] "Big demo": when.plan: "plan" is no field of a lead; what a form asks beyond the known fields is written custom.NAME'),
    ("routing.toml", "when.custom.plan", "when.custom",
     'rules[1] "Big demo": when.custom: a custom field has a name; write custom.NAME'),
    ("routing.toml", 'when.custom.plan = "pro"', "when.custom.plan = []",
     'rules[1] "Big demo": when.custom.plan: an empty list can never hold; name at least one value'),
    ("routing.toml", 'when.custom.plan = "pro"', 'when.custom.plan = ""',
     'rules[1] "Big demo": when.custom.plan: an empty text never matches, since blank fields are dropped; write { missing = true }'),
    ("routing.toml", 'when.custom.plan = "pro"', "when.custom.plan = 2026-01-01",
     'rules[1] "Big demo": when.custom.plan: the date 2026-01-01 cannot be compared; write a text, a number or true/false'),
    ("routing.toml", 'when.motion = "referral"', 'when = "referral"',
     'rules[2] "Referral": when is the text "referral"; it takes conditions such as when.country = ["US", "CA"]'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "TYPEFORM_SECRET"\nhoneypot = "E-Mail"',
     'forms.website-demo: honeypot "E-Mail" is what people fill in themselves (email), so every lead would be flagged; name a field that they do not see, such as "website2"'),
    ("intake.toml", '"typeform"', '"typform"',
     'forms.website-demo: provider "typform" is unknown; did you mean "typeform"?'),
    ("intake.toml", '"TYPEFORM_SECRET"', '"hunter2"',
     "forms.website-demo: secret_env takes the name of an environment variable (A-Z, 0-9 and _), and this is none; secrets are named, never written here"),
    ("intake.toml", '"TYPEFORM_SECRET"', '"STL_SECRET"',
     'forms.website-demo: secret_env "STL_SECRET": names that begin with STL_ are settings of the program; choose another'),
    ("intake.toml", "secret_env =", "secret =",
     'forms.website-demo: "secret" is an unknown key; did you mean "secret_env"?'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', "secret_env = 5",
     'forms.website-demo: secret_env is not a text; it takes the name of an environment variable such as "TYPEFORM_SECRET"'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\nrate_limit = "10/d"',
     'forms.website-demo: rate_limit is the text "10/d"; it takes a number in a second, minute or hour, such as "10/s", "600/m" or "5000/h"'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\nrate_limit = 10',
     'forms.website-demo: rate_limit is the number 10; it takes a number in a second, minute or hour, such as "10/s", "600/m" or "5000/h"'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\ntoken_env = "B"',
     'forms.website-demo: it has secret_env and token_env; keep exactly one of secret_env (signed), token_env (a shared secret) or auth = "none"'),
    ("intake.toml", '"generic"\ntoken_env', '"zapier"\nsecret_env',
     'forms.import: zapier signs nothing, so secret_env proves nothing; use token_env, or auth = "none"'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\napi_url = "graph.example.com"',
     'forms.website-demo: api_url is the text "graph.example.com"; it takes an address that begins with https:// (or http://), without a query'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\nwait_for_data = "soon"',
     'forms.website-demo: wait_for_data: "soon" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\nwait_for_data = "2d"',
     'forms.website-demo: wait_for_data "2d" is longer than a day; a lead waits for nobody that long'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\napi_token_env = "EAAB-a-token"',
     "forms.website-demo: api_token_env takes the name of an environment variable (A-Z, 0-9 and _), and this is none; secrets are named, never written here"),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\napi_forms = "lT4Z3j"',
     "forms.website-demo: api_forms needs api_token_env, the name of the variable that holds the token for that API"),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'secret_env = "A"\napi_token_env = "B"\napi_forms = ["lT4Z3j", "a/../b"]',
     'forms.website-demo: api_forms is the text "a/../b"; it takes the name that typeform has for the form, such as "lT4Z3j", or a list of them'),
    ("intake.toml", '"generic"\ntoken_env', '"zapier"\napi_token_env = "B"\napi_forms = "1"\ntoken_env',
     "forms.import: api_forms: zapier keeps no list that can be asked for; those that do: calendly, hubspot, jotform, linkedin, meta, tally, typeform, webflow"),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', "",
     'forms.website-demo: nothing says how it proves itself; add secret_env (signed), token_env (a shared secret) or auth = "none"'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'auth = "non"',
     'forms.website-demo: auth "non" is unknown; did you mean "none"?'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'auth = "token"',
     'forms.website-demo: auth = "token" needs token_env, the name of the variable that holds the secret'),
    ("intake.toml", 'secret_env = "TYPEFORM_SECRET"', 'auth = "standard-webhooks"\nsecret_env = "A"',
     'forms.website-demo: auth = "standard-webhooks" does not fit: secret_env of provider "typeform" means auth = "signature"; remove auth'),
    ("intake.toml", 'source = "demo_request"', 'source = "demo"',
     'forms.website-demo: source "demo" is unknown; expected "customer_referral", "demo_request", "paid_search" or "unknown"'),
    ("intake.toml", "company =", "compani =",
     'forms.website-demo.fields: "compani" is no field of a lead; did you mean "company"?'),
    ("intake.toml", '"ref:company_name"', '"reff:company_name"',
     'forms.website-demo.fields: company: "reff:company_name" selects nothing, since "reff" is no kind of selector; did you mean "ref"?'),
    ("intake.toml", '"ref:company_name"', "5",
     'forms.website-demo.fields: company is the number 5; it takes the text that selects an answer, such as "ref:company_name"'),
    ("intake.toml", "forms.import", "forms.Import",
     'forms.Import: "Import" cannot be a form\'s name, which is part of its address; use a-z, 0-9, _ and -'),
    ("alerts.toml", '"slack"', '"slak"',
     'destinations.managers: type "slak" is unknown; did you mean "slack"?'),
    ("alerts.toml", 'url_env = "SLACK_URL"', 'url = "https://hooks.slack.com/services/T0/B0/xyz"',
     'destinations.managers: "url" is an unknown key; did you mean "url_env"?'),
    ("alerts.toml", 'url_env = "SLACK_URL"', 'url_env = "https://hooks.slack.com/services/T0/B0/xyz"',
     "destinations.managers: url_env takes the name of an environment variable (A-Z, 0-9 and _), and this is none; secrets are named, never written here"),
    ("alerts.toml", 'url_env = "SLACK_URL"', "",
     'destinations.managers: a destination of type "slack" needs "url_env" or "token_env" and "channel"'),
    ("alerts.toml", 'url_env = "SLACK_URL"', 'token_env = "SLACK_TOKEN"',
     'destinations.managers: "channel" is missing; a destination of type "slack" needs it'),
    ("alerts.toml", 'url_env = "SLACK_URL"', 'url_env = "SLACK_URL"\ntoken_env = "SLACK_TOKEN"\nchannel = "C1"',
     'destinations.managers: a destination of type "slack" needs "url_env" or "token_env" and "channel", and not both'),
    ("alerts.toml", 'url_env = "SLACK_URL"', 'url_env = "SLACK_URL"\ndetail = "minimum"',
     'destinations.managers: detail "minimum" is unknown; did you mean "minimal"?'),
    ("alerts.toml", 'to = ["desk@example.com"]', "to = 5",
     "destinations.desk: to is the number 5; it takes a text or a list of texts"),
    ("alerts.toml", 'to = ["desk@example.com"]', "to = []",
     "destinations.desk: to is an empty list; it takes a text or a list of texts"),
    ("alerts.toml", 'type = "email"\n', "",
     'destinations.desk: "type" is missing; it takes "console", "slack", "webhook" or "email"'),
]
# fmt: on


@pytest.mark.parametrize(("file", "old", "new", "expected"), MISTAKES)
def test_one_mistake_is_told_once_and_exactly(
    config: ConfigDirectory, file: str, old: str, new: str, expected: str
) -> None:
    """One wrong word makes one mistake, with its place and the nearest valid word, and no others in its wake."""
    config.replace(file, old, new)
    assert [f"{file}: {expected}"] == config.mistakes()


SCORING = """
[[points]]
name = "Large"
points = 20
when.employees = { at_least = 200 }
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("points = 20", 'points = "20"',
         'points[1] "Large": points is the text "20"; it takes a whole number from -1000 to 1000, without quotes'),
        ("points = 20", "points = 0", 'points[1] "Large": points is 0, which changes no score; write how many, or remove it'),
        ("points = 20", "", 'points[1] "Large": "points" is missing; it takes a whole number from -1000 to 1000'),
        ("points = 20", "point = 20", 'points[1] "Large": "point" is an unknown key; did you mean "points"?'),
        ('name = "Large"', "", 'points[1]: "name" is missing; it takes a text that people will read in traces'),
        ("when.employees", "when.employes",
         'points[1] "Large": when.employes: "employes" is no field of a lead; did you mean "employees"?'),
        ("when.employees", "when.score",
         'points[1] "Large": when.score: "score" is not known yet where this is asked; only rules can ask for it'),
        ("when.employees = { at_least = 200 }", 'when.source = "demo_requst"',
         'points[1] "Large": when.source: source "demo_requst" is unknown; did you mean "demo_request"?'),
        ("[[points]]", "[[point]]", '"point" is an unknown key; did you mean "points"?'),
    ],
)  # fmt: skip
def test_a_mistake_in_scoring(config: ConfigDirectory, old: str, new: str, expected: str) -> None:
    """Points are read as strictly as rules."""
    config.write({"scoring.toml": SCORING.replace(old, new, 1).encode()})
    assert [f"scoring.toml: {expected}"] == config.mistakes()


def test_two_points_of_one_name(config: ConfigDirectory) -> None:
    """A trace that names one of them must mean that one."""
    config.write({"scoring.toml": (SCORING + SCORING).encode()})
    why = "points 1 have the same name; traces need each name once"
    assert [f'scoring.toml: points[2] "Large": {why}'] == config.mistakes()


#: A team that assigns by match, which loads.
BY_FIELD = """
[teams.world]
calendar = "always"
manager = "console"
assignment = "by_field"
match = { language = "custom.language", territory = "country" }
when_no_match = "team:triage"
when_nobody = "queue"
[[teams.world.reps]]
id = "lea"
max_a_day = 20
cooldown = "5m"
attributes = { language = ["de", "en"], territory = "DE" }
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "{ language =",
            "{ langage =",
            'reps[1] "lea": attributes: match does not ask for "language"; did you mean "langage"?',
        ),
        (
            '"custom.language"',
            '"language"',
            'match.language: "language" is no field of a lead; ',
        ),
        (
            ', territory = "DE" }',
            " }",
            'match: no rep of this team has the attribute "territory"; write for example attributes = { territory = ["…"] } with a rep',
        ),
        ("team:triage", "nobody", 'when_no_match "nobody" is unknown; it takes "anybody", or another team'),
        ('match = { language = "custom.language", territory = "country" }\n', "", '"match" is missing'),
    ],
)
def test_mistakes_in_a_team_that_assigns_by_match(
    config: ConfigDirectory, old: str, new: str, expected: str
) -> None:
    """What does not fit together between match and attributes is told, with what to write."""
    config.append("teams.toml", BY_FIELD.replace(old, new, 1))
    assert any(expected in mistake for mistake in config.mistakes())


@pytest.mark.parametrize(
    ("inbound", "triage", "loop"),
    [
        ("team:triage", "team:inbound", '"inbound" → "triage" → "inbound"'),
        ("team:world", "team:inbound", '"inbound" → "world" → "triage" → "inbound"'),
    ],
)
def test_teams_that_pass_leads_round_in_a_loop(
    config: ConfigDirectory, inbound: str, triage: str, loop: str
) -> None:
    """A loop is told once, with the whole way round; a chain that ends is fine."""
    config.append("teams.toml", BY_FIELD)
    config.replace(
        "teams.toml", "[[teams.inbound.reps]]", f'when_nobody = "{inbound}"\n[[teams.inbound.reps]]'
    )
    config.load()
    config.replace("teams.toml", '"least_open"', f'"least_open"\nwhen_nobody = "{triage}"')
    (mistake,) = config.mistakes()
    assert mistake.startswith(
        f"teams.toml: teams.inbound: leads that nobody takes would go round in a loop, {loop}"
    )


def test_a_cap_a_day_needs_one_day(config: ConfigDirectory) -> None:
    """Somebody whose day begins twice, in two teams, is refused."""
    config.append("teams.toml", BY_FIELD)
    config.replace("teams.toml", 'id = "cleo"\ncalendar = "always"', 'id = "lea"\nmax_a_day = 3')
    (mistake,) = config.mistakes()
    assert 'rep "lea" has max_a_day and is in teams of two time zones (Europe/London, UTC)' in mistake
