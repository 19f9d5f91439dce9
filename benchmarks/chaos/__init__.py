"""Nothing lost, nothing doubled: everything that can break is broken at once, and an independent checker counts.

run       the order of events; start reading here
server    a Valkey as `speed-to-lead up` starts it        proxy    the network between it and each process
fleet     the processes of the Procfile, and what restarts them
plan      which fault strikes when: a function of the seed faults   each fault, what it does and how it is undone
traffic   form tools with their retries                   responders  people who answer leads
sink      the destinations, in every mood                 rules    the configuration of it all
journal   what the world outside saw                      checker  what must be true of it; report prints it
"""
