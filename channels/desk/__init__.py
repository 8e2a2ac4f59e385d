"""The desk: where people take over, in the browser, at /desk of the gateway.

rounds.py   timers: acknowledgement, waiting messages, promises, idle people, ratings
board.py    the live queue
staff.py    accounts, sessions, access log
views.py    routes
words.py    what waiting shoppers are told
"""
